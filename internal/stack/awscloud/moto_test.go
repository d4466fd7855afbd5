package awscloud_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"refline/internal/stack/planfile"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/awscloud"
)

// openMoto reaches moto, which others wrote after the same service. It has its
// gaps: no values in change sets, no replacement, no outputs of stacks made by
// one, no events of resources, no early validation, and it executes at once.
func openMoto(t *testing.T) stack.Cloud {
	t.Helper()
	endpoint := os.Getenv("REFLINE_TEST_MOTO")
	if endpoint == "" {
		t.Skip("REFLINE_TEST_MOTO is not set: run the tests by scripts/with-moto, which installs and starts moto")
	}
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-central-1", "AWS_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_CONFIG_FILE": "/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"} {
		t.Setenv(name, value)
	}
	c, err := awscloud.Open(t.Context(), stack.Access{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// makeBucket makes one as the owner of an account would, beforehand.
func makeBucket(t *testing.T, name string) {
	t.Helper()
	body := strings.NewReader(`<CreateBucketConfiguration><LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, os.Getenv("REFLINE_TEST_MOTO")+"/"+name, body)
	if err != nil {
		t.Fatal(err)
	}
	// It reads the service from the signature and does not verify it.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260102/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("bucket: %s %v", res.Status, err)
	}
}

func TestMotoStory(t *testing.T) {
	c := openMoto(t)
	const name, staging = "refline-story", "refline-staging"
	makeBucket(t, staging)
	who, err := c.Caller(t.Context())
	if err != nil || len(who.Account) != 12 {
		t.Fatalf("caller: %v %v", who, err)
	}
	if _, err := c.Stack(t.Context(), name); !errs.Is(err, errs.NotFound) {
		t.Fatalf("a stack before its creation: %v", err)
	}

	put := func(key, body string) string {
		o := stack.Object{Bucket: staging, Key: key, Body: []byte(body), ContentType: "application/json", Metadata: map[string]string{"commit": "abc"}}
		for i, want := range []bool{true, false} {
			if created, err := c.PutObject(t.Context(), o); err != nil || created != want {
				t.Fatalf("put %d: %v %v", i, created, err)
			}
		}
		got, err := c.GetObject(t.Context(), staging, key)
		if err != nil || string(got.Body) != body || got.Metadata["commit"] != "abc" {
			t.Fatalf("get: %+v %v", got, err)
		}
		return c.ObjectURL(staging, key)
	}
	first := put("app/1.json", bucketTemplate)
	second := put("app/2.json", strings.Replace(bucketTemplate, `"Resources": {`, `"Resources": {"Topic": {"Type": "AWS::SNS::Topic"},`, 1))
	list, err := c.ListObjects(t.Context(), staging, "app/")
	if err != nil || len(list) != 2 {
		t.Fatalf("list: %v %v", list, err)
	}

	plan := func(kind stack.ChangeSetType, label, url string) stack.ChangeSet {
		arn := submit(t, c, stack.ChangeSetInput{Stack: name, Name: label, Type: kind, Template: stack.Source{URL: url}, Token: label,
			Tags: []stack.Pair{{Key: "team", Value: "one"}}})
		cs, err := c.ChangeSet(t.Context(), arn)
		if err != nil {
			t.Fatal(err)
		}
		return cs
	}
	deploy := func(cs stack.ChangeSet, want stack.Status) stack.Stack {
		no := false
		if err := c.ExecuteChangeSet(t.Context(), cs.ARN, stack.ExecuteOptions{Token: "token", DisableRollback: &no}); err != nil {
			t.Fatal(err)
		}
		st, err := c.Stack(t.Context(), name)
		if err != nil || st.Status != want {
			t.Fatalf("stack: %v %v, want %s", st.Status, err, want)
		}
		return st
	}

	cs := plan(planfile.ChangeSetCreate, "first", first)
	if cs.Status != "CREATE_COMPLETE" || len(cs.Changes) != 1 || cs.Changes[0].LogicalID != "Logs" || cs.Changes[0].Action != "Add" {
		t.Fatalf("first plan: %+v", cs)
	}
	st := deploy(cs, "CREATE_COMPLETE")
	if st.ID != cs.StackID || len(st.Tags) != 1 || st.Tags[0].Value != "one" {
		t.Errorf("stack: %+v", st)
	}
	if empty := plan(planfile.ChangeSetUpdate, "empty", first); empty.Status != "FAILED" || !strings.HasPrefix(empty.Reason, "The submitted information didn't contain changes.") {
		t.Errorf("empty plan: %+v", empty)
	}
	cs = plan(planfile.ChangeSetUpdate, "second", second)
	deploy(cs, "UPDATE_COMPLETE")
	resources, err := c.Resources(t.Context(), name)
	if err != nil || len(resources) != 2 {
		t.Errorf("resources: %v %v", resources, err)
	}
	events, err := c.Events(t.Context(), stack.EventQuery{Stack: name})
	if err != nil || len(events) == 0 || events[0].Status != "UPDATE_COMPLETE" {
		t.Errorf("events: %v %v", events, err)
	}
	if body, err := c.Template(t.Context(), name); err != nil || !strings.Contains(body, "AWS::SNS::Topic") {
		t.Errorf("template: %q %v", body, err)
	}
	if v, err := c.Validate(t.Context(), stack.Source{Body: `{"Description": "a bucket", "Resources": {"B": {"Type": "AWS::S3::Bucket"}}}`}); err != nil || v.Description != "a bucket" {
		t.Errorf("validation: %+v %v", v, err)
	}
	if got, err := c.Failures(t.Context(), cs.ARN); err != nil || got != nil {
		t.Errorf("failures: %v %v", got, err)
	}
	if err := c.Do(t.Context(), name, stack.Action{Delete: &stack.DeleteStack{Token: "bye"}}); err != nil {
		t.Fatal(err)
	}
	if gone, err := c.Stack(t.Context(), st.ID); err != nil || gone.Status != "DELETE_COMPLETE" {
		t.Errorf("after its deletion: %v %v", gone.Status, err)
	}
}

package awscloud_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/stack/planfile"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/awscloud"
	"refline/internal/stack/stacktest"
)

// open reaches a new cloud as a user would: by the environment. Tests that call
// it cannot be parallel.
func open(t *testing.T, a stack.Access) (stack.Cloud, *stacktest.Server) {
	t.Helper()
	server := stacktest.Start(t)
	return reach(t, server, a), server
}

func reach(t *testing.T, server *stacktest.Server, a stack.Access) stack.Cloud {
	t.Helper()
	for _, v := range server.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	c, err := awscloud.Open(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const bucketTemplate = `{
  "Description": "a bucket",
  "Parameters": {"Word": {"Type": "String", "Default": "one", "Description": "a word"}, "Hidden": {"Type": "String", "NoEcho": true, "Default": "x"}},
  "Resources": {
    "Logs": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "app-logs", "Tags": [{"Key": "word", "Value": {"Ref": "Word"}}]}}
  },
  "Outputs": {"Name": {"Value": {"Ref": "Logs"}, "Description": "its name", "Export": {"Name": "app-logs-name"}}}
}`

func create(t *testing.T, c stack.Cloud, name, body string, parameters ...stack.Parameter) {
	t.Helper()
	arn := submit(t, c, stack.ChangeSetInput{Stack: name, Name: "create", Type: planfile.ChangeSetCreate, Template: stack.Source{Body: body}, Parameters: parameters})
	if cs, err := c.ChangeSet(t.Context(), arn); err != nil || cs.Status != "CREATE_COMPLETE" {
		t.Fatalf("change set: %v %v", cs.Status, err)
	}
	no := false
	if err := c.ExecuteChangeSet(t.Context(), arn, stack.ExecuteOptions{Token: "token-create", DisableRollback: &no}); err != nil {
		t.Fatal(err)
	}
	// Looking lets the cloud finish its work.
	if st, err := c.Stack(t.Context(), name); err != nil || st.Status != "CREATE_COMPLETE" {
		t.Fatalf("stack: %v %v", st.Status, err)
	}
}

func submit(t *testing.T, c stack.Cloud, in stack.ChangeSetInput) string {
	t.Helper()
	ref, err := c.CreateChangeSet(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return ref.ARN
}

func TestOneStack(t *testing.T) {
	c, server := open(t, stack.Access{})
	create(t, c, "app", bucketTemplate)
	st, err := c.Stack(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	want := stack.Stack{
		ID: st.ID, Name: "app", Status: "CREATE_COMPLETE", Description: "a bucket", Created: st.Created, Updated: st.Updated,
		Parameters:  []stack.Pair{{Key: "Hidden", Value: "****"}, {Key: "Word", Value: "one"}},
		Outputs:     []stack.Output{{Key: "Name", Value: "app-logs", Description: "its name", Export: "app-logs-name"}},
		DriftStatus: "NOT_CHECKED", ChangeSet: st.ChangeSet,
	}
	if diff := cmp.Diff(want, st); diff != "" || st.Created.IsZero() || st.Updated.IsZero() || st.ChangeSet == "" {
		t.Errorf("stack (-want +got):\n%s", diff)
	}
	resources, err := c.Resources(t.Context(), "app")
	if err != nil || len(resources) != 1 || resources[0].PhysicalID != "app-logs" || resources[0].Status != "CREATE_COMPLETE" {
		t.Errorf("resources: %v %v", resources, err)
	}
	if body, err := c.Template(t.Context(), "app"); err != nil || body != bucketTemplate {
		t.Errorf("template: %q %v", body, err)
	}
	if body, err := c.Template(t.Context(), st.ChangeSet); err != nil || body != bucketTemplate {
		t.Errorf("template of the change set: %q %v", body, err)
	}
	server.PageSize(2)
	all, err := c.Events(t.Context(), stack.EventQuery{Stack: "app"})
	if err != nil || len(all) != 6 || all[0].Status != "CREATE_COMPLETE" || all[0].Token != "token-create" || all[5].Status != "REVIEW_IN_PROGRESS" {
		t.Errorf("events: %v %v", all, err)
	}
	news, err := c.Events(t.Context(), stack.EventQuery{Stack: "app", After: all[3].ID})
	if diff := cmp.Diff(all[:3], news); err != nil || diff != "" {
		t.Errorf("events after one (-want +got):\n%s %v", diff, err)
	}
	if some, err := c.Events(t.Context(), stack.EventQuery{Stack: "app", Limit: 3}); err != nil || len(some) != 3 {
		t.Errorf("limited events: %v %v", some, err)
	}
}

func TestChangeSetWithValues(t *testing.T) {
	c, _ := open(t, stack.Access{})
	create(t, c, "app", bucketTemplate)
	arn := submit(t, c, stack.ChangeSetInput{Stack: "app", Name: "second", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: bucketTemplate},
		Parameters: []stack.Parameter{{Key: "Word", Value: "two"}, {Key: "Hidden", UsePrevious: true}}, Token: "t1", Nested: true})
	again := submit(t, c, stack.ChangeSetInput{Stack: "app", Name: "second", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: bucketTemplate}, Token: "t1"})
	if again != arn {
		t.Errorf("the same token made another change set: %s, %s", arn, again)
	}
	cs, err := c.ChangeSet(t.Context(), arn)
	if err != nil {
		t.Fatal(err)
	}
	want := []stack.ResourceChange{{
		Action: "Modify", LogicalID: "Logs", PhysicalID: "app-logs", Type: "AWS::S3::Bucket", Replacement: "False", Scope: []string{"Properties"},
		Details: []stack.ChangeDetail{
			{Attribute: "Properties", Name: "Tags", Path: "/Properties/Tags/0/Value", RequiresRecreation: "Never", Evaluation: "Dynamic",
				ChangeSource: "DirectModification", AttributeChange: "Modify", Before: "one", After: "two"},
			{Attribute: "Properties", Name: "Tags", Path: "/Properties/Tags/0/Value", RequiresRecreation: "Never", Evaluation: "Static",
				ChangeSource: "ParameterReference", CausingEntity: "Word", AttributeChange: "Modify", Before: "one", After: "two"},
		},
		Before: `{"Properties":{"BucketName":"app-logs","Tags":[{"Key":"word","Value":"one"}]}}`,
		After:  `{"Properties":{"BucketName":"app-logs","Tags":[{"Key":"word","Value":"two"}]}}`,
	}}
	if diff := cmp.Diff(want, cs.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if cs.Status != "CREATE_COMPLETE" || cs.Execution != "AVAILABLE" || cs.Name != "second" || !cs.Nested || cs.StackName != "app" {
		t.Errorf("change set: %+v", cs)
	}
	list, err := c.ListChangeSets(t.Context(), "app")
	if err != nil || len(list) != 2 || list[1].ARN != arn {
		t.Errorf("list: %v %v", list, err)
	}
	for range 2 { // the second time it is gone already
		if err := c.DeleteChangeSet(t.Context(), arn); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := c.ChangeSet(t.Context(), arn); !errs.Is(err, errs.NotFound) {
		t.Errorf("after its deletion: %v", err)
	}
}

func TestEarlyValidation(t *testing.T) {
	c, server := open(t, stack.Access{})
	server.RejectEarly(stacktest.EarlyValidation{Resource: "Logs", Name: "NAME_CONFLICT_VALIDATION",
		Path: "/Resources/Logs/Properties/BucketName", Reason: "Resource of type 'AWS::S3::Bucket' with identifier 'app-logs' already exists."})
	arn := submit(t, c, stack.ChangeSetInput{Stack: "app", Name: "first", Type: planfile.ChangeSetCreate, Template: stack.Source{Body: bucketTemplate}})
	cs, err := c.ChangeSet(t.Context(), arn)
	if err != nil || cs.Status != "FAILED" || !strings.Contains(cs.Reason, "AWS::EarlyValidation::ResourceExistenceCheck") {
		t.Errorf("change set: %v %q %v", cs.Status, cs.Reason, err)
	}
	got, err := c.Failures(t.Context(), arn)
	for i := range got {
		if got[i].Time.IsZero() {
			t.Error("a failure has no time")
		}
		got[i].Time = time.Time{}
	}
	want := []stack.Failure{{LogicalID: "Logs", Type: "AWS::S3::Bucket", Status: "FAILED", Mode: "FAIL",
		Reason: "Resource of type 'AWS::S3::Bucket' with identifier 'app-logs' already exists.", Validation: "NAME_CONFLICT_VALIDATION",
		Path: "/Resources/Logs/Properties/BucketName"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("failures (-want +got):\n%s %v", diff, err)
	}
}

func TestActions(t *testing.T) {
	c, _ := open(t, stack.Access{})
	create(t, c, "app", bucketTemplate)
	yes, no := true, false
	do := func(a stack.Action) error { return c.Do(t.Context(), "app", a) }
	if err := do(stack.Action{Protect: &yes}); err != nil {
		t.Fatal(err)
	}
	if err := do(stack.Action{Delete: &stack.DeleteStack{}}); !errs.Is(err, errs.Conflict) {
		t.Errorf("deleting a protected stack: %v", err)
	}
	if err := do(stack.Action{Protect: &no}); err != nil {
		t.Fatal(err)
	}
	policy := `{"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}]}`
	if err := do(stack.Action{Policy: policy}); err != nil {
		t.Errorf("policy: %v", err)
	}
	if err := do(stack.Action{Policy: "{}"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a policy that is none: %v", err)
	}
	if err := do(stack.Action{CancelUpdate: true}); !errs.Is(err, errs.Conflict) {
		t.Errorf("cancelling nothing: %v", err)
	}
	if err := do(stack.Action{ContinueRollback: &stack.ContinueRollback{}}); !errs.Is(err, errs.Conflict) {
		t.Errorf("continuing nothing: %v", err)
	}
	before, err := c.Stack(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if err := do(stack.Action{Delete: &stack.DeleteStack{Token: "bye"}}); err != nil {
		t.Fatal(err)
	}
	gone, err := c.Stack(t.Context(), before.ID)
	if err != nil || gone.Status != "DELETE_COMPLETE" || gone.Deleted.IsZero() {
		t.Errorf("by its ARN: %v %v", gone, err)
	}
	if _, err := c.Stack(t.Context(), "app"); !errs.Is(err, errs.NotFound) || err.Error() != "Stack with id app does not exist" {
		t.Errorf("by its name: %v", err)
	}
}

func TestDrift(t *testing.T) {
	c, server := open(t, stack.Access{})
	create(t, c, "app", `{"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "p", "Type": "String", "Value": "as planned"}}}}`)
	if err := server.Drift("app", "P", "Value", "by hand"); err != nil {
		t.Fatal(err)
	}
	server.Pace(1)
	first, err := c.Drift(t.Context(), "app", "")
	if err != nil || first.Done || first.Detection == "" {
		t.Fatalf("start: %+v %v", first, err)
	}
	second, err := c.Drift(t.Context(), "app", first.Detection)
	if err != nil || second.Done {
		t.Errorf("under way: %+v %v", second, err)
	}
	got, err := c.Drift(t.Context(), "app", first.Detection)
	want := stack.Drift{Detection: first.Detection, Done: true, Status: "DRIFTED", Resources: []stack.ResourceDrift{{
		LogicalID: "P", PhysicalID: "p", Type: "AWS::SSM::Parameter", Status: "MODIFIED",
		Differences: []stack.Difference{{Path: "/Value", Kind: "NOT_EQUAL", Expected: "as planned", Actual: "by hand"}}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("drift (-want +got):\n%s %v", diff, err)
	}
}

func TestValidate(t *testing.T) {
	c, server := open(t, stack.Access{})
	v, err := c.Validate(t.Context(), stack.Source{Body: bucketTemplate})
	want := stack.Validation{Description: "a bucket", Parameters: []stack.TemplateParameter{
		{Key: "Hidden", Default: "x", NoEcho: true}, {Key: "Word", Default: "one", Description: "a word"}}}
	if diff := cmp.Diff(want, v); err != nil || diff != "" {
		t.Errorf("validation (-want +got):\n%s %v", diff, err)
	}
	server.CreateBucket("staging", "")
	role := `{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}`
	if _, err := c.PutObject(t.Context(), stack.Object{Bucket: "staging", Key: "a b/t.json", Body: []byte(role)}); err != nil {
		t.Fatal(err)
	}
	v, err = c.Validate(t.Context(), stack.Source{URL: c.ObjectURL("staging", "a b/t.json")})
	if err != nil || len(v.Capabilities) != 1 || v.CapabilitiesReason == "" {
		t.Errorf("by URL: %+v %v", v, err)
	}
}

func TestObjects(t *testing.T) {
	c, server := open(t, stack.Access{})
	server.CreateBucket("staging", "")
	server.PageSize(2)
	put := func(key, body, kms string) bool {
		created, err := c.PutObject(t.Context(), stack.Object{Bucket: "staging", Key: key, Body: []byte(body), ContentType: "application/json",
			Metadata: map[string]string{"commit": "abc"}, KMSKey: kms})
		if err != nil {
			t.Fatal(err)
		}
		return created
	}
	if !put("t/1.json", "{}", "") || put("t/1.json", "other", "") || !put("t/2.json", "[]", "alias/key") || !put("u", "", "") {
		t.Error("what exists must not be written again, what does not must be")
	}
	o, err := c.GetObject(t.Context(), "staging", "t/1.json")
	want := stack.Object{Bucket: "staging", Key: "t/1.json", Body: []byte("{}"), ContentType: "application/json",
		Metadata: map[string]string{"commit": "abc"}, Modified: o.Modified, Size: 2}
	if diff := cmp.Diff(want, o); err != nil || diff != "" || o.Modified.IsZero() {
		t.Errorf("object (-want +got):\n%s %v", diff, err)
	}
	kept := server.Objects("staging")
	if kept["t/1.json"].Encryption != "AES256" || kept["t/2.json"].Encryption != "aws:kms" || kept["t/2.json"].KMSKey != "alias/key" {
		t.Errorf("encryption: %+v", kept)
	}
	list, err := c.ListObjects(t.Context(), "staging", "t/")
	if err != nil || len(list) != 2 || list[0].Key != "t/1.json" || list[1].Key != "t/2.json" || list[1].Size != 2 {
		t.Errorf("list: %v %v", list, err)
	}
	_, err = c.GetObject(t.Context(), "staging", "none")
	if !errs.Is(err, errs.NotFound) || err.Error() != "s3://staging/none: The specified key does not exist" {
		t.Errorf("an object that is not there: %v", err)
	}
	if _, err = c.ListObjects(t.Context(), "elsewhere", ""); !errs.Is(err, errs.NotFound) || err.Error() != "bucket elsewhere does not exist; create it, or correct bucket: in the configuration" {
		t.Errorf("a bucket that is not there: %v", err)
	}
	server.CreateBucket("theirs", "222222222222")
	if _, err = c.PutObject(t.Context(), stack.Object{Bucket: "theirs", Key: "x"}); !errs.Is(err, errs.Denied) || err.Error() != "s3://theirs/x: Access Denied" {
		t.Errorf("a bucket of somebody else: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	server := stacktest.Start(t)
	caller := func(a stack.Access) (stack.Caller, error) { return reach(t, server, a).Caller(t.Context()) }
	if who, err := caller(stack.Access{}); err != nil || who.Account != stacktest.Account {
		t.Errorf("from the environment: %v %v", who, err)
	}
	role := stack.Access{Role: "arn:aws:iam::222222222222:role/deployer", Session: "refline/main#7", ExternalID: "x"}
	if who, err := caller(role); err != nil || who.Account != "222222222222" {
		t.Errorf("by a role: %v %v", who, err)
	}
	_, err := caller(stack.Access{Role: "arn:aws:iam::222222222222:role/denied"})
	if !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "role arn:aws:iam::222222222222:role/denied: User is not authorized") {
		t.Errorf("by a role that denies: %v", err)
	}
	server.Break("AssumeRole", 1)
	if _, err := caller(role); !errs.Is(err, errs.Unavailable) {
		t.Errorf("when STS is broken: %v", err)
	}
}

func TestProfiles(t *testing.T) {
	server := stacktest.Start(t)
	reach(t, server, stack.Access{})
	folder := t.TempDir()
	for name, text := range map[string]string{
		"config":      "[profile dev]\nregion = us-east-2\n",
		"credentials": "[dev]\naws_access_key_id = " + stacktest.AccessKey("333333333333") + "\naws_secret_access_key = not-a-secret\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(folder, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(folder, "credentials"))
	t.Setenv("AWS_REGION", "")
	c, err := awscloud.Open(t.Context(), stack.Access{Profile: "dev"})
	if err != nil {
		t.Fatal(err)
	}
	if who, err := c.Caller(t.Context()); err != nil || who.Account != "333333333333" {
		t.Errorf("caller: %v %v", who, err)
	}
	_, err = awscloud.Open(t.Context(), stack.Access{Profile: "nobody"})
	if !errs.Is(err, errs.Invalid) || err.Error() != `profile "nobody" is not in the AWS configuration files (~/.aws/config, ~/.aws/credentials)` {
		t.Errorf("a profile that is not there: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err = awscloud.Open(t.Context(), stack.Access{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("no region: %v", err)
	}
	c, err = awscloud.Open(t.Context(), stack.Access{Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Caller(t.Context()); !errs.Is(err, errs.Denied) || !strings.HasPrefix(err.Error(), "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") {
		t.Errorf("no credentials: %v", err)
	}
}

func TestErrors(t *testing.T) {
	c, server := open(t, stack.Access{})
	create(t, c, "app", bucketTemplate)
	server.Throttle("DescribeStacks", 1)
	if _, err := c.Stack(t.Context(), "app"); !errs.Is(err, errs.Unavailable) || err.Error() != "Rate exceeded" {
		t.Errorf("throttled: %v", err)
	}
	server.Break("DescribeStacks", 1)
	if _, err := c.Stack(t.Context(), "app"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("broken: %v", err)
	}
	_, err := c.CreateChangeSet(t.Context(), stack.ChangeSetInput{Stack: "app", Name: "x", Type: planfile.ChangeSetCreate, Template: stack.Source{Body: bucketTemplate}})
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("creating what exists: %v", err)
	}
	_, err = c.CreateChangeSet(t.Context(), stack.ChangeSetInput{Stack: "other", Name: "x", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: bucketTemplate}})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("updating what does not exist: %v", err)
	}
	_, err = c.CreateChangeSet(t.Context(), stack.ChangeSetInput{Stack: "app", Name: "x", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: `{"Resources": {}}`}})
	if !errs.Is(err, errs.Invalid) || err.Error() != "Template format error: At least one Resources member must be defined" {
		t.Errorf("no template: %v", err)
	}
	arn := submit(t, c, stack.ChangeSetInput{Stack: "app", Name: "same", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: bucketTemplate}})
	if err := c.ExecuteChangeSet(t.Context(), arn, stack.ExecuteOptions{Token: "t", DisableRollback: nil}); !errs.Is(err, errs.Conflict) {
		t.Errorf("executing an empty change set: %v", err)
	}
	secret := strings.Repeat("tell-nobody", 400)
	_, err = c.CreateChangeSet(t.Context(), stack.ChangeSetInput{Stack: "app", Name: "x", Type: planfile.ChangeSetUpdate, Template: stack.Source{Body: bucketTemplate},
		Parameters: []stack.Parameter{{Key: "Hidden", Value: secret}}})
	if !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "tell-nobody") || !strings.Contains(err.Error(), "Value '****' at 'parameters.1") {
		t.Errorf("a value that the service quotes: %v", err)
	}
	server.Deny("DescribeStacks")
	if _, err := c.Stack(t.Context(), "app"); !errs.Is(err, errs.Denied) {
		t.Errorf("denied: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Stack(ctx, "app"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	server.Close()
	if _, err := c.Resources(t.Context(), "app"); !errs.Is(err, errs.Unavailable) || !strings.HasPrefix(err.Error(), "AWS does not answer: ") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestAnOldServiceKnowsNoFailures(t *testing.T) {
	c, server := open(t, stack.Access{})
	server.Unknown("DescribeEvents")
	if got, err := c.Failures(t.Context(), "arn:aws:cloudformation:eu-central-1:111111111111:changeSet/a/b"); err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestObjectURL(t *testing.T) {
	for _, c := range []struct{ region, bucket, want string }{
		{"eu-central-1", "staging", "https://staging.s3.eu-central-1.amazonaws.com/a%20b/t.json"},
		{"eu-central-1", "my.staging", "https://s3.eu-central-1.amazonaws.com/my.staging/a%20b/t.json"},
		{"cn-north-1", "staging", "https://staging.s3.cn-north-1.amazonaws.com.cn/a%20b/t.json"},
	} {
		t.Setenv("AWS_ENDPOINT_URL", "")
		t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
		cloud, err := awscloud.Open(t.Context(), stack.Access{Region: c.region})
		if err != nil {
			t.Fatal(err)
		}
		if got := cloud.ObjectURL(c.bucket, "a b/t.json"); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

package stacktest_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"refline/internal/stack/stacktest"
)

// stage puts a template in the bucket and gives its URL.
func (k *sdk) stage(key, body string) string {
	k.t.Helper()
	k.cloud.CreateBucket("staging", "")
	_, err := k.s3.PutObject(k.t.Context(), &s3.PutObjectInput{Bucket: aws.String("staging"), Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		k.t.Fatal(err)
	}
	return "https://staging.s3.eu-central-1.amazonaws.com/" + key
}

const inner = `{
  "Parameters": {"Word": {"Type": "String"}},
  "Resources": {"Leaf": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": {"Fn::Sub": "leaf-${Word}"}, "Type": "String", "Value": "v"}}},
  "Outputs": {"Name": {"Value": {"Ref": "Leaf"}}}
}`

// outer has the stack Child and a topic that shows its output.
func outer(url, word string) string {
	return `{"Resources": {
  "Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "` + url + `", "Parameters": {"Word": "` + word + `"}}},
  "Shown": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::GetAtt": ["Child", "Outputs.Name"]}}}
}}`
}

func nested(in *cloudformation.CreateChangeSetInput) { in.IncludeNestedStacks = aws.Bool(true) }

func TestNestedPlan(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.CreateBucket("staging", "")
	url := k.stage("inner.json", inner)
	root := k.plan("app", "CREATE", "first", outer(url, "one"), nested)
	arn := aws.ToString(root.Changes[0].ResourceChange.ChangeSetId)
	if root.Status != "CREATE_COMPLETE" || arn == "" {
		t.Fatalf("root: %s %s %v", root.Status, aws.ToString(root.StatusReason), root.Changes)
	}
	child := k.describe(arn)
	if *child.RootChangeSetId != *root.ChangeSetId || *child.ParentChangeSetId != *root.ChangeSetId || *child.Changes[0].ResourceChange.LogicalResourceId != "Leaf" {
		t.Errorf("child: %+v", child)
	}
	for what, err := range map[string]error{
		"execute": second(k.cfn.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: &arn})),
		"delete":  second(k.cfn.DeleteChangeSet(t.Context(), &cloudformation.DeleteChangeSetInput{ChangeSetName: &arn})),
	} {
		if got := refusal(t, err); !strings.HasPrefix(got, "InvalidChangeSetStatus") {
			t.Errorf("%s at the child: %s", what, got)
		}
	}
	k.execute(*root.ChangeSetId)
	if got := k.stack("app").StackStatus; got != "CREATE_COMPLETE" {
		t.Fatalf("root stack is %s: %q", got, k.events("app"))
	}
	st := k.stack(*child.StackId)
	if st.StackStatus != "CREATE_COMPLETE" || *st.RootId != *root.StackId || *st.Outputs[0].OutputValue != "leaf-one" {
		t.Errorf("child stack: %+v", st)
	}

	second := k.plan("app", "UPDATE", "second", outer(url, "two"), nested)
	change := second.Changes[0].ResourceChange
	leaf := k.describe(*change.ChangeSetId).Changes[0].ResourceChange
	if change.Action != "Modify" || leaf.Replacement != "True" || leaf.PolicyAction != "ReplaceAndDelete" {
		t.Errorf("changes: %+v, %+v", change, leaf)
	}
	k.execute(*second.ChangeSetId)
	if got := k.stack("app"); got.StackStatus != "UPDATE_COMPLETE" || *k.stack(*child.StackId).Outputs[0].OutputValue != "leaf-two" {
		t.Errorf("after the update: %+v", got)
	}

	same := k.plan("app", "UPDATE", "third", outer(url, "two"), nested)
	if same.Status != "FAILED" || len(same.Changes) > 0 {
		t.Errorf("nothing changed: %s %v", same.Status, same.Changes)
	}
	list, err := k.cfn.ListChangeSets(t.Context(), &cloudformation.ListChangeSetsInput{StackName: child.StackId})
	if err != nil || len(list.Summaries) != 2 {
		t.Errorf("change sets of the child: %v %v", list, err)
	}
	blind := k.plan("app", "UPDATE", "fourth", outer(url, "two"))
	if len(blind.Changes) != 1 || blind.Changes[0].ResourceChange.Details[0].ChangeSource != "Automatic" {
		t.Errorf("without nested change sets the service must say that the child may change: %v", blind.Changes)
	}
}

func second[T any](_ T, err error) error { return err }

func TestNestedPlanIsDeletedFromTheRoot(t *testing.T) {
	t.Parallel()
	k := start(t)
	root := k.plan("app", "CREATE", "first", outer(k.stage("inner.json", inner), "one"), nested)
	child := k.describe(*root.Changes[0].ResourceChange.ChangeSetId)
	if _, err := k.cfn.DeleteChangeSet(t.Context(), &cloudformation.DeleteChangeSetInput{ChangeSetName: root.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	_, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: child.ChangeSetId})
	if got := refusal(t, err); !strings.HasPrefix(got, "ChangeSetNotFound") {
		t.Errorf("the child's: %s", got)
	}
	_, err = k.cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: child.StackId})
	if got := refusal(t, err); !strings.HasSuffix(got, "does not exist") {
		t.Errorf("the child's stack: %s", got)
	}
	if got := k.stack("app").StackStatus; got != "REVIEW_IN_PROGRESS" {
		t.Errorf("the root's stack is %s", got)
	}
}

func TestNestedFailures(t *testing.T) {
	t.Parallel()
	t.Run("early", func(t *testing.T) {
		t.Parallel()
		k := start(t)
		k.cloud.RejectEarly(stacktest.EarlyValidation{Resource: "Leaf", Name: "PROPERTY_VALIDATION", Path: "/Resources/Leaf/Properties", Reason: "no such thing"})
		root := k.plan("app", "CREATE", "first", outer(k.stage("inner.json", inner), "one"), nested)
		if root.Status != "FAILED" || !strings.HasPrefix(*root.StatusReason, "Nested change set arn:") {
			t.Fatalf("root: %s %s", root.Status, aws.ToString(root.StatusReason))
		}
		arn := strings.Fields(*root.StatusReason)[3]
		events, err := k.cfn.DescribeEvents(t.Context(), &cloudformation.DescribeEventsInput{ChangeSetName: &arn})
		if err != nil || len(events.OperationEvents) != 1 || *events.OperationEvents[0].ValidationStatusReason != "no such thing" {
			t.Errorf("events of the child: %+v %v", events, err)
		}
	})
	t.Run("create", func(t *testing.T) {
		t.Parallel()
		k := start(t)
		k.cloud.Fail(stacktest.Failure{Resource: "Leaf", Phase: stacktest.OnCreate, Reason: "no room"})
		st := k.deploy("app", "CREATE", outer(k.stage("inner.json", inner), "one"), nested)
		if st.StackStatus != "ROLLBACK_COMPLETE" {
			t.Errorf("root is %s: %q", st.StackStatus, k.events("app"))
		}
		var reason string
		for _, e := range k.events("app") {
			if strings.HasPrefix(e, "Child CREATE_FAILED Embedded stack arn:") {
				reason = e
			}
		}
		if !strings.HasSuffix(reason, "was not successfully created: The following resource(s) failed to create: [Leaf].") {
			t.Errorf("reason %q in %q", reason, k.events("app"))
		}
	})
	t.Run("update", func(t *testing.T) {
		t.Parallel()
		k := start(t)
		url := k.stage("inner.json", inner)
		k.deploy("app", "CREATE", outer(url, "one"), nested)
		k.cloud.Fail(stacktest.Failure{Resource: "Shown", Phase: stacktest.OnUpdate, Times: 1})
		st := k.deploy("app", "UPDATE", outer(url, "two"), nested)
		if st.StackStatus != "UPDATE_ROLLBACK_COMPLETE" {
			t.Errorf("root is %s: %q", st.StackStatus, k.events("app"))
		}
		resource, err := k.cfn.DescribeStackResource(t.Context(), &cloudformation.DescribeStackResourceInput{StackName: aws.String("app"), LogicalResourceId: aws.String("Child")})
		if err != nil {
			t.Fatal(err)
		}
		child := k.stack(*resource.StackResourceDetail.PhysicalResourceId)
		if child.StackStatus != "UPDATE_ROLLBACK_COMPLETE" || *child.Outputs[0].OutputValue != "leaf-one" {
			t.Errorf("child: %s %v", child.StackStatus, child.Outputs)
		}
		if cs := k.plan("app", "UPDATE", "again", outer(url, "one"), nested); cs.Status != "FAILED" {
			t.Errorf("the rollback left changes: %v", cs.Changes)
		}
	})
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		k := start(t)
		st := k.deploy("app", "CREATE", outer(k.stage("inner.json", inner), "one"), nested)
		k.cloud.Fail(stacktest.Failure{Resource: "Leaf", Phase: stacktest.OnDelete, Times: 1})
		for _, want := range []string{"DELETE_FAILED", "DELETE_COMPLETE"} {
			if _, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: st.StackId}); err != nil {
				t.Fatal(err)
			}
			if got := k.stack(*st.StackId); string(got.StackStatus) != want {
				t.Errorf("root is %s, want %s: %q", got.StackStatus, want, k.events(*st.StackId))
			}
		}
	})
}

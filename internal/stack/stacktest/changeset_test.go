package stacktest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/google/go-cmp/cmp"
)

const topics = `{
  "Parameters": {"Display": {"Type": "String", "Default": "value"}},
  "Resources": {
    "Topic1": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "topic-name-1", "DisplayName": {"Ref": "Display"}}},
    "Topic2": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "topic-name-2", "DisplayName": {"Fn::GetAtt": ["Topic1", "DisplayName"]}}}
  },
  "Outputs": {"Arn": {"Value": {"Ref": "Topic1"}, "Export": {"Name": "the-topic"}}}
}`

func TestFirstCreation(t *testing.T) {
	t.Parallel()
	k := start(t)
	cs := k.plan("app", "CREATE", "first", topics)
	if got := string(k.stack("app").StackStatus); got != "REVIEW_IN_PROGRESS" {
		t.Errorf("stack is %s before its change set is executed", got)
	}
	var got []string
	for _, c := range cs.Changes {
		got = append(got, string(c.ResourceChange.Action)+" "+*c.ResourceChange.LogicalResourceId+" "+aws.ToString(c.ResourceChange.AfterContext))
	}
	want := []string{
		`Add Topic1 {"Properties":{"DisplayName":"value","TopicName":"topic-name-1"}}`,
		`Add Topic2 {"Properties":{"DisplayName":"{{changeSet:KNOWN_AFTER_APPLY}}","TopicName":"topic-name-2"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	k.execute(*cs.ChangeSetId)
	st := k.stack("app")
	if st.StackStatus != "CREATE_COMPLETE" || *st.Outputs[0].OutputValue != "arn:aws:sns:eu-central-1:111111111111:topic-name-1" {
		t.Errorf("stack is %s with outputs %v", st.StackStatus, st.Outputs)
	}
	wantEvents := []string{
		"app REVIEW_IN_PROGRESS User Initiated",
		"app CREATE_IN_PROGRESS User Initiated",
		"Topic1 CREATE_IN_PROGRESS",
		"Topic1 CREATE_IN_PROGRESS Resource creation Initiated",
		"Topic1 CREATE_COMPLETE",
		"Topic2 CREATE_IN_PROGRESS",
		"Topic2 CREATE_IN_PROGRESS Resource creation Initiated",
		"Topic2 CREATE_COMPLETE",
		"app CREATE_COMPLETE",
	}
	if diff := cmp.Diff(wantEvents, k.events("app")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestChangeSetsOfOneStack(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", topics)
	same := k.plan("app", "UPDATE", "same", topics)
	if same.Status != "FAILED" || *same.StatusReason != "The submitted information didn't contain changes. Submit different information to create a change set." {
		t.Errorf("a change set without changes: %s %s", same.Status, aws.ToString(same.StatusReason))
	}
	_, err := k.cfn.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: same.ChangeSetId})
	want := "InvalidChangeSetStatus: ChangeSet [" + *same.ChangeSetId + "] cannot be executed in its current status of [FAILED]"
	if got := refusal(t, err); got != want {
		t.Errorf("executing it: got %q, want %q", got, want)
	}
	a := k.plan("app", "UPDATE", "a", topics, parameters("Display", "a"))
	b := k.plan("app", "UPDATE", "b", topics, parameters("Display", "b"))
	k.execute(*b.ChangeSetId)
	if got := k.describe(*a.ChangeSetId).ExecutionStatus; got != "OBSOLETE" {
		t.Errorf("after the other was executed: %s", got)
	}
	_, err = k.cfn.ExecuteChangeSet(t.Context(), &cloudformation.ExecuteChangeSetInput{ChangeSetName: a.ChangeSetId})
	if got := refusal(t, err); got != "InvalidChangeSetStatus: ChangeSet ["+*a.ChangeSetId+"] cannot be executed in its current status of [OBSOLETE]" {
		t.Errorf("executing a stale one: %s", got)
	}
}

package stacktest_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"

	"refline/internal/stack/stacktest"
)

// threeTopics has A and B side by side and C after A.
const threeTopics = `{
  "Parameters": {"Word": {"Type": "String", "Default": "one"}},
  "Resources": {
    "A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Word"}}},
    "B": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Word"}}},
    "C": {"Type": "AWS::SNS::Topic", "DependsOn": "A", "Properties": {"DisplayName": {"Ref": "Word"}}}
  }
}`

func TestCreationFails(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.Fail(stacktest.Failure{Resource: "A", Phase: stacktest.OnCreate, Reason: "no room"})
	st := k.deploy("app", "CREATE", threeTopics)
	if st.StackStatus != "ROLLBACK_COMPLETE" {
		t.Errorf("stack is %s", st.StackStatus)
	}
	want := []string{
		"app REVIEW_IN_PROGRESS User Initiated",
		"app CREATE_IN_PROGRESS User Initiated",
		"A CREATE_IN_PROGRESS",
		"B CREATE_IN_PROGRESS",
		"A CREATE_FAILED no room",
		"B CREATE_FAILED Resource creation cancelled",
		"app ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [A, B]. Rollback requested by user.",
		"app ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, k.events("app")); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	_, err := k.cfn.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("app"),
		ChangeSetName: aws.String("x"), TemplateBody: aws.String(threeTopics)})
	if got := refusal(t, err); !strings.HasSuffix(got, "is in ROLLBACK_COMPLETE state and can not be updated.") {
		t.Errorf("an update then: %s", got)
	}
	// The way out: delete it, and create it again.
	if _, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("app")}); err != nil {
		t.Fatal(err)
	}
	k.stack(*st.StackId)
	k.cloud.Heal()
	if st := k.deploy("app", "CREATE", threeTopics); st.StackStatus != "CREATE_COMPLETE" {
		t.Errorf("the second time it is %s", st.StackStatus)
	}
}

func TestEndsOfAFailedCreation(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		onFail  string
		disable bool
		also    stacktest.Phase
		want    string
	}{
		{name: "rolled back", want: "ROLLBACK_COMPLETE"},
		{name: "rollback disabled", disable: true, want: "CREATE_FAILED"},
		{name: "left", onFail: "DO_NOTHING", want: "CREATE_FAILED"},
		{name: "deleted", onFail: "DELETE", want: "DELETE_COMPLETE"},
		{name: "rollback fails", also: stacktest.OnDelete, want: "ROLLBACK_FAILED"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			k.cloud.Fail(stacktest.Failure{Resource: "C", Phase: stacktest.OnCreate})
			if c.also != "" {
				k.cloud.Fail(stacktest.Failure{Resource: "A", Phase: c.also})
			}
			cs := k.plan("app", "CREATE", "first", threeTopics, func(in *cloudformation.CreateChangeSetInput) {
				in.OnStackFailure = cfntypes.OnStackFailure(c.onFail)
			})
			in := &cloudformation.ExecuteChangeSetInput{ChangeSetName: cs.ChangeSetId}
			if c.onFail == "" {
				in.DisableRollback = &c.disable
			}
			if _, err := k.cfn.ExecuteChangeSet(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if got := k.stack(*cs.StackId); string(got.StackStatus) != c.want {
				t.Errorf("stack is %s, want %s", got.StackStatus, c.want)
			}
		})
	}
}

func (k *sdk) values(stack string) map[string]string {
	k.t.Helper()
	out := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(k.cfn, &cloudformation.ListStackResourcesInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		for _, r := range page.StackResourceSummaries {
			out[*r.LogicalResourceId] = string(r.ResourceStatus)
		}
	}
	return out
}

func TestUpdateFails(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", threeTopics)
	before := len(k.events("app"))
	k.cloud.Fail(stacktest.Failure{Resource: "C", Phase: stacktest.OnUpdate, Reason: "not so", Times: 1})
	withD := strings.Replace(threeTopics, `"Resources": {`, `"Resources": {"D": {"Type": "AWS::SNS::Topic"},`, 1)
	st := k.deploy("app", "UPDATE", withD, parameters("Word", "two"))
	if st.StackStatus != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("stack is %s", st.StackStatus)
	}
	want := []string{
		"app UPDATE_IN_PROGRESS User Initiated",
		"A UPDATE_IN_PROGRESS",
		"B UPDATE_IN_PROGRESS",
		"D CREATE_IN_PROGRESS",
		"A UPDATE_COMPLETE",
		"B UPDATE_COMPLETE",
		"D CREATE_IN_PROGRESS Resource creation Initiated",
		"D CREATE_COMPLETE",
		"C UPDATE_IN_PROGRESS",
		"C UPDATE_FAILED not so",
		"app UPDATE_ROLLBACK_IN_PROGRESS The following resource(s) failed to update: [C].",
		"C UPDATE_IN_PROGRESS",
		"C UPDATE_COMPLETE",
		"B UPDATE_IN_PROGRESS",
		"B UPDATE_COMPLETE",
		"A UPDATE_IN_PROGRESS",
		"A UPDATE_COMPLETE",
		"app UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
		"D DELETE_IN_PROGRESS",
		"D DELETE_COMPLETE",
		"app UPDATE_ROLLBACK_COMPLETE",
	}
	if diff := cmp.Diff(want, k.events("app")[before:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"A": "UPDATE_COMPLETE", "B": "UPDATE_COMPLETE", "C": "UPDATE_COMPLETE"}, k.values("app")); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if st.Parameters[0].ParameterValue == nil || *st.Parameters[0].ParameterValue != "one" {
		t.Errorf("parameters: %v", st.Parameters)
	}
	if cs := k.plan("app", "UPDATE", "once-more", threeTopics); cs.Status != "FAILED" {
		t.Errorf("what was rolled back differs from what was: %v", cs.Changes)
	}
}

func TestRollbackFails(t *testing.T) {
	t.Parallel()
	stuck := func(t *testing.T) *sdk {
		k := start(t)
		k.deploy("app", "CREATE", threeTopics)
		k.cloud.Fail(stacktest.Failure{Resource: "C", Phase: stacktest.OnUpdate})
		k.cloud.Fail(stacktest.Failure{Resource: "B", Phase: stacktest.OnRollback, Reason: "stuck"})
		st := k.deploy("app", "UPDATE", threeTopics, parameters("Word", "two"))
		if st.StackStatus != "UPDATE_ROLLBACK_FAILED" || *st.StackStatusReason != "The following resource(s) failed to update: [B]. " {
			t.Fatalf("stack is %s: %s", st.StackStatus, aws.ToString(st.StackStatusReason))
		}
		return k
	}
	proceed := func(k *sdk, skip ...string) string {
		_, err := k.cfn.ContinueUpdateRollback(k.t.Context(), &cloudformation.ContinueUpdateRollbackInput{StackName: aws.String("app"), ResourcesToSkip: skip})
		if err != nil {
			k.t.Fatal(err)
		}
		return string(k.stack("app").StackStatus)
	}
	t.Run("again", func(t *testing.T) {
		t.Parallel()
		k := stuck(t)
		if got := proceed(k); got != "UPDATE_ROLLBACK_FAILED" {
			t.Errorf("continued while it still fails: %s", got)
		}
		k.cloud.Heal()
		if got := proceed(k); got != "UPDATE_ROLLBACK_COMPLETE" {
			t.Errorf("continued after the cause is gone: %s", got)
		}
	})
	t.Run("skipped", func(t *testing.T) {
		t.Parallel()
		if got := proceed(stuck(t), "B"); got != "UPDATE_ROLLBACK_COMPLETE" {
			t.Errorf("continued without B: %s", got)
		}
	})
	t.Run("skip what is well", func(t *testing.T) {
		t.Parallel()
		k := stuck(t)
		_, err := k.cfn.ContinueUpdateRollback(t.Context(), &cloudformation.ContinueUpdateRollbackInput{StackName: aws.String("app"), ResourcesToSkip: []string{"A"}})
		if got := refusal(t, err); !strings.HasPrefix(got, "ValidationError") {
			t.Error(got)
		}
	})
}

func TestDeletionFails(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := *k.deploy("app", "CREATE", threeTopics).StackId
	k.cloud.Fail(stacktest.Failure{Resource: "A", Phase: stacktest.OnDelete, Reason: "in use"})
	remove := func(retain ...string) cfntypes.Stack {
		if _, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &id, RetainResources: retain}); err != nil {
			t.Fatal(err)
		}
		return k.stack(id)
	}
	_, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &id, RetainResources: []string{"A"}})
	if got := refusal(t, err); !strings.Contains(got, "DELETE_FAILED") {
		t.Errorf("retaining before anything failed: %s", got)
	}
	if st := remove(); st.StackStatus != "DELETE_FAILED" || *st.StackStatusReason != "The following resource(s) failed to delete: [A]. " {
		t.Errorf("stack is %s: %s", st.StackStatus, aws.ToString(st.StackStatusReason))
	}
	if st := remove("A"); st.StackStatus != "DELETE_COMPLETE" {
		t.Errorf("with A retained it is %s", st.StackStatus)
	}
	events := k.events(id)
	if got := events[len(events)-2]; got != "A DELETE_SKIPPED" {
		t.Errorf("the last of A is %q", got)
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.Pace(1)
	made, err := k.cfn.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("app"), ChangeSetName: aws.String("first"),
		ChangeSetType: "CREATE", TemplateBody: aws.String(threeTopics)})
	if err != nil {
		t.Fatal(err)
	}
	if got := k.describe(*made.Id).Status; got != "CREATE_IN_PROGRESS" {
		t.Errorf("at the first look: %s", got)
	}
	if got := k.describe(*made.Id).Status; got != "CREATE_COMPLETE" {
		t.Errorf("at the second look: %s", got)
	}
	k.execute(*made.Id)
	looks, seen := 0, 0
	for ; k.stack("app").StackStatus == "CREATE_IN_PROGRESS"; looks++ {
		now := len(k.events("app"))
		if now != seen+2 && seen > 0 {
			t.Fatalf("%d events after %d", now, seen)
		}
		seen = now
	}
	if looks < 4 {
		t.Errorf("done after %d looks", looks)
	}
}

func TestCancelUpdate(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", threeTopics)
	cs := k.plan("app", "UPDATE", "second", threeTopics, parameters("Word", "two"))
	k.cloud.Pace(2)
	k.execute(*cs.ChangeSetId)
	k.stack("app")
	if _, err := k.cfn.CancelUpdateStack(t.Context(), &cloudformation.CancelUpdateStackInput{StackName: aws.String("app")}); err != nil {
		t.Fatal(err)
	}
	k.cloud.Pace(0)
	if got := k.stack("app").StackStatus; got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("stack is %s", got)
	}
}

func TestThrottleAndBreak(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.Throttle("DescribeStacks", 2)
	k.cloud.Break("*", 1)
	var got []string
	for range 4 {
		_, err := k.cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
		if err == nil {
			got = append(got, "")
			continue
		}
		got = append(got, refusal(t, err))
	}
	want := []string{"Throttling: Rate exceeded", "Throttling: Rate exceeded", "InternalFailure: internal failure", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestPolicyForbidsUpdate(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", threeTopics)
	_, err := k.cfn.SetStackPolicy(t.Context(), &cloudformation.SetStackPolicyInput{StackName: aws.String("app"), StackPolicyBody: aws.String(
		`{"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
			{"Effect": "Deny", "Action": "Update:Modify", "Principal": "*", "Resource": "LogicalResourceId/B"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got := k.deploy("app", "UPDATE", threeTopics, parameters("Word", "two")).StackStatus; got != "UPDATE_ROLLBACK_COMPLETE" {
		t.Errorf("stack is %s", got)
	}
	var denied bool
	for _, e := range k.events("app") {
		denied = denied || strings.HasPrefix(e, "B UPDATE_FAILED Action denied by stack policy")
	}
	if !denied {
		t.Errorf("no event tells of the policy: %q", k.events("app"))
	}
}

func TestTell(t *testing.T) {
	t.Parallel()
	k := start(t)
	for _, order := range []string{"pace 1", "throttle DescribeStacks 1", "fail A create because", "bucket b", "hide A DisplayName", "pagesize 2",
		"warn A PROPERTY_VALIDATION /Resources/A odd", "deny DeleteStack", "heal", "pace 0", "break ListStacks 1"} {
		if err := k.cloud.Tell(strings.Fields(order)...); err != nil {
			t.Errorf("%s: %v", order, err)
		}
	}
	if err := k.cloud.Tell("dance"); err == nil {
		t.Error("it dances")
	}
	if got := k.deploy("app", "CREATE", threeTopics).StackStatus; got != "CREATE_COMPLETE" {
		t.Errorf("after all was healed: %s", got)
	}
	if err := k.cloud.Tell("drift", "app", "A", "DisplayName", "other"); err != nil {
		t.Error(err)
	}
}

package stack

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"refline/internal/stack/planfile"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
	"refline/internal/errs"
)

var update = flag.Bool("update", false, "rewrite the files of expected output")

// changes make the change set of a test hold these.
func changes(list ...ResourceChange) func(ChangeSetInput, *ChangeSet) {
	return func(_ ChangeSetInput, set *ChangeSet) { set.Changes = list }
}

func fails(reason string) func(ChangeSetInput, *ChangeSet) {
	return func(_ ChangeSetInput, set *ChangeSet) {
		set.Status, set.Execution, set.Reason = failed, "UNAVAILABLE", reason
	}
}

var rename = ResourceChange{Action: "Modify", LogicalID: "Bucket", PhysicalID: "landing-a", Type: "AWS::S3::Bucket",
	Replacement: "True", PolicyAction: "ReplaceAndRetain", Scope: []string{"Properties"},
	Details: []ChangeDetail{{Attribute: "Properties", Name: "BucketName", Path: "/Properties/BucketName", RequiresRecreation: "Always",
		Evaluation: "Static", ChangeSource: "DirectModification", AttributeChange: "Modify", Before: "landing-a", After: "landing-b"}}}

func TestPlanOfANewStack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", bucket: staging"), nil)
	w.made = changes(ResourceChange{Action: "Add", LogicalID: "Bucket", Type: "AWS::S3::Bucket"})
	p := w.plan(PlanOptions{})
	if p.Type != planfile.ChangeSetCreate || p.Empty || p.Count(planfile.EffectAdd) != 1 {
		t.Errorf("got type %s, empty %t, %d added; want a reviewed creation with 1", p.Type, p.Empty, p.Count(planfile.EffectAdd))
	}
	in := w.inputs[p.ChangeSet]
	if !in.Nested || in.Template.Body != "" || !strings.HasPrefix(in.Template.URL, "https://s3/staging/refline/templates/") {
		t.Errorf("change set was asked for with nested %t and template %+v", in.Nested, in.Template)
	}
	if want := "refline plan: landing in dev, develop 3f9c2ab, 7"; in.Description != want {
		t.Errorf("description %q, want %q", in.Description, want)
	}
	if in.Name != "landing-dev-20260102-030405-000001" {
		t.Errorf("change set is named %q", in.Name)
	}
	if got := p.Changes[0].Place.String(); got != "template.yml:2:3" {
		t.Errorf("the bucket is at %s, want template.yml:2:3", got)
	}
}

func TestTwoPlansInTheSameMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.add("landing-dev", createComplete)
	w.made = changes(rename)
	a, b := w.plan(PlanOptions{}), w.plan(PlanOptions{})
	if a.ChangeSet == b.ChangeSet || a.Digest == b.Digest {
		t.Errorf("two plans are one: %s %s", a.ChangeSet, b.ChangeSet)
	}
}

func TestEmptyPlanIsASuccessAndCleanedUp(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{
		"The submitted information didn't contain changes. Submit different information to create a change set.",
		"No updates are to be performed.",
	} {
		w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
		w.add("landing-dev", createComplete)
		w.made = fails(reason)
		p := w.plan(PlanOptions{})
		if !p.Empty || p.HasChanges() || p.ChangeSet != "" {
			t.Errorf("%q: plan is not empty: %+v", reason, p)
		}
		if len(w.sets) != 0 {
			t.Errorf("%q: %d change sets are left", reason, len(w.sets))
		}
		if w.find("landing-dev") == nil {
			t.Errorf("%q: the stack is gone", reason)
		}
	}
}

func TestThrottledPollsAreNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.add("landing-dev", createComplete)
	w.made = changes(rename)
	w.throttle = pollPatience - 1
	if p := w.plan(PlanOptions{}); p.Count(planfile.EffectReplace) != 1 {
		t.Errorf("plan has %s", p.Summary())
	}
	w.throttle = pollPatience
	if _, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v, want an end of patience", err)
	}
}

func TestAnErrorIsNotAMissingStack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.Cloud = deniedCloud{w.memory}
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	if !errs.Is(err, errs.Denied) || w.count("CreateChangeSet") != 0 {
		t.Errorf("got %v after %d change sets; a stack that cannot be seen is not a new one", err, w.count("CreateChangeSet"))
	}
}

func TestFailedPlanTellsEveryReasonAtItsLine(t *testing.T) {
	t.Parallel()
	config := fmt.Sprintf(oneStack, "", ", bucket: staging")
	w := newWorld(t, config, map[string]string{
		"template.yml": `Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: taken
  Network:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: nested/network.yml
`,
		"nested/network.yml": `Resources:
  Vpc:
    Type: AWS::EC2::VPC
    Properties:
      CidrBlock: 10.0.0.0/64
`})
	const nestedARN = "arn:aws:cloudformation:eu-west-1:111111111111:changeSet/nested/1-2"
	w.sets[nestedARN] = &ChangeSet{ARN: nestedARN, Status: failed, Reason: "The following resource types are not valid: [Vpc]."}
	w.failures[nestedARN] = []Failure{{LogicalID: "Vpc", Type: "AWS::EC2::VPC", Validation: "PROPERTY_VALIDATION", Mode: "FAIL",
		Path: "/Resources/Vpc/Properties/CidrBlock", Reason: "The CIDR block is not valid."}}
	w.made = func(_ ChangeSetInput, set *ChangeSet) {
		fails("Nested change set "+nestedARN+" was not successfully created: Currently in FAILED.")(ChangeSetInput{}, set)
		set.Changes = []ResourceChange{{Action: "Add", LogicalID: "Network", Type: nestedStack, ChangeSet: nestedARN}}
		w.failures[set.ARN] = []Failure{{LogicalID: "Bucket", Type: "AWS::S3::Bucket", Validation: "NAME_CONFLICT_VALIDATION", Mode: "FAIL",
			Path: "/Properties/BucketName", Reason: "Resource of type 'AWS::S3::Bucket' with identifier 'taken' already exists."}}
	}
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	want := `plan landing-dev: nested/network.yml:5:7: error: The CIDR block is not valid
template.yml:5:7: error: Resource of type 'AWS::S3::Bucket' with identifier 'taken' already exists; give it another name, delete the one that exists, or take it in: refline stack plan --import-existing`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	var failure *diag.Failure
	if !errors.As(err, &failure) || failure.Findings[0].Subject != "Network/Vpc" {
		t.Errorf("the finding does not name Network/Vpc: %+v", failure)
	}
	for _, set := range w.sets {
		if set.ARN != nestedARN {
			t.Errorf("change set %s is left", set.ARN)
		}
	}
	if s := w.find("landing-dev"); s != nil {
		t.Errorf("the empty shell of the stack is left: %s", s.Status)
	}
}

func TestFailureWithoutEventsHasTheReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.made = fails("Requires capabilities : [CAPABILITY_IAM]")
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	want := "plan landing-dev: template.yml: error: Requires capabilities : [CAPABILITY_IAM]; add it to capabilities: of the stack"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestStatesThatNoPlanHelps(t *testing.T) {
	t.Parallel()
	for status, want := range map[Status]string{
		rollbackComplete:           "refline stack delete landing --env dev",
		updateRollbackFailed:       "refline stack continue landing --env dev --skip ID",
		"UPDATE_IN_PROGRESS":       "refline stack events landing --env dev --follow",
		deleteFailed:               "refline stack delete landing --env dev --retain ID",
		reviewInProgress:           "",
		"UPDATE_COMPLETE":          "",
		"IMPORT_COMPLETE":          "",
		"UPDATE_FAILED":            "",
		"ROLLBACK_FAILED":          "refline stack delete landing --env dev",
		"DELETE_IN_PROGRESS":       "wait for the end",
		"UPDATE_ROLLBACK_COMPLETE": "",
	} {
		w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
		w.add("landing-dev", status)
		w.made = changes(rename)
		p, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", status, err)
			} else if wantType := map[bool]ChangeSetType{true: planfile.ChangeSetCreate, false: planfile.ChangeSetUpdate}[status == reviewInProgress]; p.Type != wantType {
				t.Errorf("%s: change set of type %s, want %s", status, p.Type, wantType)
			}
			continue
		}
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a conflict that offers %s", status, err, want)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	template := `Parameters:
  Size: {Type: String}
  Kept: {Type: String}
  Optional: {Type: String, Default: x}
  Secret: {Type: String, NoEcho: true}
  VpcId: {Type: String}
Resources:
  T: {Type: "AWS::SNS::Topic"}
`
	config := `
stacks:
  network: {template: network.yml}
  landing:
    template: landing.yml
    parameters: {Size: 3, Kept: {previous: true}, Secret: {env: SECRET}, VpcId: {output: network.VpcId}}
environments:
  dev: {account: "111111111111", region: eu-west-1, parameters: {Optional: env-wide, Unknown: ignored}}
`
	w := newWorld(t, config, map[string]string{"landing.yml": template, "network.yml": "Resources: {}\nOutputs:\n  VpcId: {Value: x}\n"})
	w.Getenv = func(name string) string { return map[string]string{"SECRET": "s3cr3t"}[name] }
	st := w.add("landing-dev", createComplete)
	st.Parameters = []Pair{{Key: "Kept", Value: "old"}, {Key: "Size", Value: "1"}}

	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	var notYet *NotYetError
	if !errors.As(err, &notYet) || !strings.Contains(err.Error(), "deploy that first, or all in order: refline stack up --env dev") {
		t.Errorf("before the network: got %v", err)
	}
	w.add("network-dev", createComplete).Outputs = []Output{{Key: "VpcID", Value: "vpc-1"}}
	if _, err = w.Plan(t.Context(), w.target("landing"), PlanOptions{}); !errors.As(err, &notYet) {
		t.Errorf("an output that the template has and the stack not yet: got %v", err)
	}
	wrong := w.target("landing")
	wrong.Parameters = slices.Clone(wrong.Parameters)
	for i := range wrong.Parameters {
		if wrong.Parameters[i].Key == "VpcId" {
			wrong.Parameters[i].Output.Key = "VpcIdd"
		}
	}
	_, err = w.Plan(t.Context(), wrong, PlanOptions{})
	if err == nil || err.Error() != `refline.stacks.yml:6:74: error: stack network-dev has no output "VpcIdd"; did you mean "VpcID"?` {
		t.Errorf("wrong output: got %v", err)
	}
	w.find("network-dev").Outputs[0].Key = "VpcId"
	p := w.plan(PlanOptions{})
	want := []Parameter{{Key: "Kept", UsePrevious: true}, {Key: "Optional", Value: "env-wide"}, {Key: "Secret", Value: "s3cr3t"},
		{Key: "Size", Value: "3"}, {Key: "VpcId", Value: "vpc-1"}}
	if diff := cmp.Diff(want, w.inputs[p.ChangeSet].Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}

	delete(w.stacks, st.ID)
	_, err = w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "has no value of Kept to keep") {
		t.Errorf("a new stack has nothing to keep: got %v", err)
	}
}

func TestParametersThatAreNot(t *testing.T) {
	t.Parallel()
	config := fmt.Sprintf(oneStack, ", parameters: {Siez: 3}", "")
	w := newWorld(t, config, map[string]string{"template.yml": "Parameters:\n  Size: {Type: Number}\nResources: {Topic: {Type: 'AWS::SNS::Topic'}}\n"})
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	want := `refline.stacks.yml:3:50: error: template.yml has no parameter "Siez"; did you mean "Size"?
template.yml:2:3: error: parameter Size has no value; add it to parameters: of stack landing in refline.stacks.yml, or give it a Default`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	dynamic := rename
	dynamic.Details = []ChangeDetail{{Path: "/Properties/BucketName", RequiresRecreation: "Always", Evaluation: "Dynamic", After: planfile.KnownAfter}}
	mixed := dynamic
	mixed.Details = append(rename.Details[:1:1], dynamic.Details...)
	twice := rename // the same property, once for the value and once for its reference
	twice.Details = append(rename.Details[:1:1], ChangeDetail{Path: "/Properties/BucketName", RequiresRecreation: "Always", Evaluation: "Dynamic",
		ChangeSource: "ParameterReference", CausingEntity: "Name"})
	for name, tc := range map[string]struct {
		change ResourceChange
		effect planfile.Effect
		data   planfile.DataImpact
	}{
		"renamed":            {rename, planfile.EffectReplace, planfile.DataKept},
		"known after":        {dynamic, planfile.EffectMaybe, planfile.DataKept},
		"known and unknown":  {mixed, planfile.EffectReplace, planfile.DataKept},
		"value and its ref":  {twice, planfile.EffectReplace, planfile.DataKept},
		"conditional":        {ResourceChange{Action: "Modify", LogicalID: "Bucket", Replacement: "Conditional"}, planfile.EffectMaybe, planfile.DataKept},
		"no policy":          {ResourceChange{Action: "Modify", LogicalID: "Topic", Replacement: "True"}, planfile.EffectReplace, planfile.DataLost},
		"in place":           {ResourceChange{Action: "Modify", LogicalID: "Topic", Replacement: "False"}, planfile.EffectChange, ""},
		"removed":            {ResourceChange{Action: "Remove", LogicalID: "Old", PolicyAction: "Delete"}, planfile.EffectRemove, planfile.DataLost},
		"removed and kept":   {ResourceChange{Action: "Remove", LogicalID: "Old", PolicyAction: "Retain"}, planfile.EffectRemove, planfile.DataKept},
		"snapshot":           {ResourceChange{Action: "Remove", LogicalID: "Old", PolicyAction: "Snapshot"}, planfile.EffectRemove, planfile.DataSnapshot},
		"replaced, snapshot": {ResourceChange{Action: "Modify", LogicalID: "Old", Replacement: "True", PolicyAction: "ReplaceAndSnapshot"}, planfile.EffectReplace, planfile.DataSnapshot},
		"import":             {ResourceChange{Action: "Import", LogicalID: "Old"}, planfile.EffectImport, ""},
		"dynamic":            {ResourceChange{Action: "Dynamic", LogicalID: "Old"}, planfile.EffectMaybe, planfile.DataLost},
		"drift":              {ResourceChange{Action: "SyncWithActual", LogicalID: "Topic"}, planfile.EffectChange, ""},
	} {
		w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
		w.made = changes(tc.change)
		w.add("landing-dev", createComplete)
		c := w.plan(PlanOptions{}).Changes[0]
		if c.Effect != tc.effect || c.Data != tc.data {
			t.Errorf("%s: %s with data %q, want %s with %q", name, c.Effect, c.Data, tc.effect, tc.data)
		}
	}
}

func TestGuards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", "")+"stateful: ['Custom::*']\n", nil)
	w.add("landing-dev", createComplete)
	w.made = changes(rename,
		ResourceChange{Action: "Remove", LogicalID: "Ledger", Type: "Custom::Ledger", PolicyAction: "Delete"},
		ResourceChange{Action: "Remove", LogicalID: "Topic", Type: "AWS::SNS::Topic", PolicyAction: "Delete"})
	p := w.plan(PlanOptions{AllowReplace: []string{"Bucket", "Other"}})
	want := []planfile.Refusal{{ID: "Ledger", Rule: "stateful", Message: "Ledger (Custom::Ledger) holds data and would be removed; it is deleted",
		Hint: "if intended: --allow-replace Ledger"}}
	if diff := cmp.Diff(want, p.Refusals); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"--allow-replace Other was not needed"}, p.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if _, err := w.Deploy(t.Context(), p, DeployOptions{}); !errs.Is(err, errs.Denied) || w.count("ExecuteChangeSet") != 0 {
		t.Errorf("a refused plan: got %v", err)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	read := files(map[string]string{"rules.yml": `rules:
  - {name: quiet topics, forbid: [change], types: ["AWS::SNS::*"], properties: ["Properties/Subscription*"]}
  - {name: no names, forbid: [replace, remove], resources: [Bucket], environments: [prod]}
  - {name: few, forbid: [add], max: 1, message: one at a time}
`, "bad.yml": "rules:\n  - {nme: x, forbid: [replace, chang], max: -1}\n"})
	rules, err := LoadRules(t.Context(), "rules.yml", read)
	if err != nil {
		t.Fatal(err)
	}
	p := &planfile.Plan{Environment: "dev", Changes: []planfile.Change{
		{Effect: planfile.EffectChange, LogicalID: "T", Type: "AWS::SNS::Topic", Properties: []planfile.PropertyChange{{Path: "Properties/Subscription/0/Endpoint"}}},
		{Effect: planfile.EffectChange, LogicalID: "U", Type: "AWS::SNS::Topic", Properties: []planfile.PropertyChange{{Path: "Properties/DisplayName"}}},
		{Effect: planfile.EffectReplace, LogicalID: "Bucket", Type: "AWS::S3::Bucket"},
		{Effect: planfile.EffectAdd, LogicalID: "A", Type: "X"}, {Effect: planfile.EffectAdd, LogicalID: "B", Type: "X"},
	}}
	var got []string
	for _, r := range rules.check(p) {
		got = append(got, r.Rule+" | "+r.Message)
	}
	want := []string{"quiet topics | T: change of AWS::SNS::Topic is forbidden", "few | A: one at a time", "few | B: one at a time"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	_, err = LoadRules(t.Context(), "bad.yml", read)
	wantErr := `bad.yml:2:5: error: a rule has no name; add name:, which refusals show
bad.yml:2:6: error: "nme" is not a key of a rule; did you mean "name"?
bad.yml:2:32: error: "chang" is not a known value; did you mean "change"?
bad.yml:2:40: error: max is a whole number, not -1`
	if err == nil || err.Error() != wantErr {
		t.Errorf("got\n%v\nwant\n%s", err, wantErr)
	}
}

func TestLike(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"ab*ba", "aba", false},
		{"a*b*c", "a1b2c", true}, {"a*b*c", "acb", false}, {"*b", "ab", true}, {"*b*", "abc", true},
	} {
		if got := like(tc.pattern, tc.name); got != tc.want {
			t.Errorf("%q like %q: %t, want %t", tc.name, tc.pattern, got, tc.want)
		}
	}
}

func TestPlanLooksIntoNestedStacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", bucket: staging"), map[string]string{
		"template.yml": "Resources:\n  Network:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: network.jsonnet\n" +
			"  Same:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: https://example.com/same.yml\n",
		"network.jsonnet": "{ Resources: { Vpc: import 'vpc.libsonnet' } }",
		"vpc.libsonnet":   "{\n  Type: 'AWS::EC2::VPC',\n  Properties: {\n    EnableDnsHostnames: true,\n  },\n}\n",
	})
	w.add("landing-dev", createComplete)
	w.sets["child"] = &ChangeSet{ARN: "child", Status: createComplete, Changes: []ResourceChange{{Action: "Modify", LogicalID: "Vpc",
		Type: "AWS::EC2::VPC", Replacement: "False", Details: []ChangeDetail{{Attribute: "Properties", Name: "EnableDnsHostnames",
			Path: "/Properties/EnableDnsHostnames", AttributeChange: "Add", After: "true", RequiresRecreation: "Never"}}}}}
	w.sets["same"] = &ChangeSet{ARN: "same", Status: failed, Reason: "The submitted information didn't contain changes."}
	w.made = changes(
		ResourceChange{Action: "Modify", LogicalID: "Network", Type: nestedStack, Replacement: "False", ChangeSet: "child",
			Details: []ChangeDetail{{ChangeSource: "Automatic", RequiresRecreation: "Never", Evaluation: "Dynamic", Attribute: "Properties"}}},
		ResourceChange{Action: "Modify", LogicalID: "Same", Type: nestedStack, Replacement: "False", ChangeSet: "same"})
	p := w.plan(PlanOptions{})
	var got []string
	for _, c := range p.Changes {
		got = append(got, string(c.Effect)+" "+c.ID())
		for _, x := range c.Properties {
			if x.Place != nil {
				got = append(got, x.Name()+" at "+x.Place.String())
			}
		}
	}
	want := []string{"change Network", "Properties at template.yml:4:5", "change Network/Vpc", "EnableDnsHostnames at vpc.libsonnet:4:5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	root := string(w.objects["staging/"+strings.TrimPrefix(w.inputs[p.ChangeSet].Template.URL, "https://s3/staging/")].Body)
	if !strings.Contains(root, `"TemplateURL":"https://s3/staging/refline/templates/`) || !strings.Contains(root, "https://example.com/same.yml") {
		t.Errorf("the root's nested file is not its URL:\n%s", root)
	}
}

func TestNestedFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ", bucket: staging"), map[string]string{
		"template.yml": "Resources:\n  N:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: gone.yml\n"})
	_, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{})
	want := "template.yml:5:7: error: gone.yml: no such file; TemplateURL is a file beside this template, or an https URL"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// fixed is a plan with one of everything, for the forms it is shown in.
func fixed() *planfile.Plan {
	text := func(s string) *string { return &s }
	at := func(file string, line, column int) *diag.Place {
		return &diag.Place{File: file, Line: line, Column: column}
	}
	p := &planfile.Plan{Version: planfile.Version, Stack: "landing", Environment: "dev", Account: "123456789012", Region: "ap-southeast-2",
		StackName: "landing-dev", StackID: "arn:stack", Type: planfile.ChangeSetUpdate, ChangeSet: "arn:set", Template: planfile.Template{File: "template.jsonnet", Digest: "sha256:00"},
		Parameters: []Pair{{Key: "Size", Value: "3"}}, Tags: []Pair{{Key: "team", Value: "data"}},
		Origin: Origin{Ref: "develop", Commit: "3f9c2ab4d5e6f708", Author: "A. <Committer>"},
		Changes: []planfile.Change{
			{Effect: planfile.EffectRemove, LogicalID: "OldTopic", Type: "AWS::SNS::Topic", Data: planfile.DataLost},
			{Effect: planfile.EffectReplace, LogicalID: "LandingBucket", Type: "AWS::S3::Bucket", Stateful: true, Data: planfile.DataKept, Place: at("includes/s3landingbucket.libsonnet", 2, 3),
				Properties: []planfile.PropertyChange{{Path: "Properties/BucketName", Before: text("landing-a"), After: text("landing-b"), Replaces: "always",
					Place: at("includes/s3landingbucket.libsonnet", 4, 5)}}},
			{Effect: planfile.EffectMaybe, LogicalID: "Subnet", Type: "AWS::EC2::Subnet", Data: planfile.DataLost,
				Properties: []planfile.PropertyChange{{Path: "Properties/VpcId", Before: text("vpc-1"), Unknown: true, Replaces: "maybe", Cause: "Vpc"}}},
			{Effect: planfile.EffectChange, LogicalID: "Vpc", Type: "AWS::EC2::VPC", Drift: "MODIFIED", Properties: []planfile.PropertyChange{
				{Path: "Properties/EnableDnsHostnames", Before: text("false"), After: text("true"), Place: at("includes/vpc.libsonnet", 9, 7)},
				{Path: "Properties/Tags/0/Value", After: text("a|b`c\n<script>\x1b[31m"), Cause: "parameter Size"}}},
			{Effect: planfile.EffectAdd, Path: []string{"Logs"}, LogicalID: "LoggingBucket", Type: "AWS::S3::Bucket"},
		},
		Refusals: []planfile.Refusal{{ID: "LandingBucket", Rule: "stateful", Message: "LandingBucket (AWS::S3::Bucket) holds data and would be replaced; the old one is kept",
			Hint: "if intended: --allow-replace LandingBucket"}},
		Notes: []string{"--allow-replace Other was not needed"},
	}
	p.Digest = "sha256:9c1f0a"
	return p
}

func TestPlanIsShown(t *testing.T) {
	t.Parallel()
	var text, colored, markdown, page, empty strings.Builder
	nothing := &planfile.Plan{StackName: "landing-dev", Account: "1", Region: "r", Type: planfile.ChangeSetUpdate, Empty: true}
	for _, err := range []error{
		WriteText(&text, fixed(), TextOptions{File: "landing-dev.plan.json"}),
		WriteText(&colored, fixed(), TextOptions{Color: true}),
		WriteMarkdown(&markdown, fixed()),
		(&Review{Plans: []*planfile.Plan{fixed(), nothing}, Later: []string{"app-dev waits for <output>"}}).WriteHTML(&page),
		WriteText(&empty, nothing, TextOptions{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "plan.txt", text.String())
	golden(t, "plan.md", markdown.String())
	golden(t, "plan.html", page.String())
	if want := "landing-dev · account 1 · r · exists, UPDATE\nno changes\n"; empty.String() != want {
		t.Errorf("empty plan:\n%s", empty.String())
	}
	if !strings.Contains(colored.String(), "\x1b[31m±\x1b[0m") || strings.Contains(text.String(), "\x1b") {
		t.Error("colour is on a terminal only, and never a value's own")
	}
	if strings.Contains(page.String(), "<script>") {
		t.Error("the page has a value as markup")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

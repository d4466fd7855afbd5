package stacktest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// said finds what a recording says at a path of keys: "e1/Error" gives code and
// message.
func said(t *testing.T, recorded map[string]any, path string) string {
	t.Helper()
	var at any = recorded
	for _, key := range strings.Split(path, "/") {
		m, _ := at.(map[string]any)
		at = m[key]
	}
	switch at := at.(type) {
	case string:
		// As a boto error prints: "An error occurred (Code) when calling the X operation: text".
		_, rest, _ := strings.Cut(at, "An error occurred (")
		code, rest, _ := strings.Cut(rest, ")")
		_, message, _ := strings.Cut(rest, "operation: ")
		return code + ": " + message
	case map[string]any:
		return fmt.Sprint(at["Code"], ": ", at["Message"])
	}
	t.Fatalf("the recording has nothing at %s", path)
	return ""
}

// alike compares a message with a recorded one, in which <…> is any text.
func alike(recorded, got string) bool {
	for {
		before, rest, found := strings.Cut(recorded, "<")
		if !strings.HasPrefix(got, before) {
			return false
		}
		if !found {
			return got == before
		}
		_, recorded, _ = strings.Cut(rest, ">")
		got = got[len(before):]
		next, _, _ := strings.Cut(recorded, "<")
		at := strings.Index(got, next)
		if at < 0 {
			return false
		}
		if next == "" {
			at = len(got)
		}
		got = got[at:]
	}
}

const plainTopic = `{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}`

func TestMessagesAsRecorded(t *testing.T) {
	t.Parallel()
	type in = cloudformation.CreateStackInput
	create := func(k *sdk, edit in) error {
		if edit.StackName == nil {
			edit.StackName = aws.String("fresh")
		}
		_, err := k.cfn.CreateStack(k.t.Context(), &edit)
		return err
	}
	body := func(text string) func(*sdk) error {
		return func(k *sdk) error { return create(k, in{TemplateBody: &text}) }
	}
	changeSet := func(k *sdk, stack, kind, name string) error {
		_, err := k.cfn.CreateChangeSet(k.t.Context(), &cloudformation.CreateChangeSetInput{StackName: &stack, ChangeSetName: &name,
			ChangeSetType: cfntypes.ChangeSetType(kind), TemplateBody: aws.String(plainTopic)})
		return err
	}
	cases := []struct {
		file, test, path string
		do               func(k *sdk) error
	}{
		{"test_changesets", "test_describe_change_set_nonexisting", "exception", func(k *sdk) error {
			_, err := k.cfn.DescribeChangeSet(k.t.Context(), &cloudformation.DescribeChangeSetInput{StackName: aws.String("somestack"), ChangeSetName: aws.String("none")})
			return err
		}},
		{"test_changesets", "test_delete_change_set_exception", "e1/Error", func(k *sdk) error {
			_, err := k.cfn.DeleteChangeSet(k.t.Context(), &cloudformation.DeleteChangeSetInput{StackName: aws.String("nostack"), ChangeSetName: aws.String("none")})
			return err
		}},
		{"test_changesets", "test_delete_change_set_exception", "e2/Error", func(k *sdk) error {
			_, err := k.cfn.DeleteChangeSet(k.t.Context(), &cloudformation.DeleteChangeSetInput{ChangeSetName: aws.String("none")})
			return err
		}},
		{"test_changesets", "test_name_conflicts", "create_changeset_existingstack_exc/Error", func(k *sdk) error {
			k.deploy("app", "CREATE", plainTopic)
			return changeSet(k, "app", "CREATE", "again")
		}},
		{"test_changesets", "test_create_changeset_for_deleted_stack", "ErrorForUpdate/Error", func(k *sdk) error {
			return changeSet(k, deletedStack(k), "UPDATE", "test")
		}},
		{"test_changesets", "test_create_changeset_for_deleted_stack", "ErrorForCreate/Error", func(k *sdk) error {
			return changeSet(k, deletedStack(k), "CREATE", "test")
		}},
		{"test_changesets", "test_using_pseudoparameters_in_places[resource]", "error/Error", body(`{"Resources": {"AWS::NoValue": {"Type": "AWS::SNS::Topic"}}}`)},
		{"test_changesets", "test_using_pseudoparameters_in_places[parameter]", "error/Error",
			body(`{"Parameters": {"AWS::NoValue": {"Type": "String"}}, "Resources": {"T": {"Type": "AWS::SNS::Topic"}}}`)},
		{"test_stacks", "test_stack_name_creation", "stack_response/Error", func(k *sdk) error {
			return create(k, in{StackName: aws.String("*@da591fa3_$"), TemplateBody: aws.String(plainTopic)})
		}},
		{"test_stacks", "test_name_conflicts", "create_stack_already_exists_exc/Error", func(k *sdk) error {
			k.deploy("fresh", "CREATE", plainTopic)
			return create(k, in{TemplateBody: aws.String(plainTopic)})
		}},
		{"test_stacks", "test_non_existing_stack_message", "Error/Error", func(k *sdk) error {
			_, err := k.cfn.DescribeStacks(k.t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("none")})
			return err
		}},
		{"test_stacks", "test_describe_stack_events_errors", "describe_stack_events_stack_not_found/Error", func(k *sdk) error {
			_, err := k.cfn.DescribeStackEvents(k.t.Context(), &cloudformation.DescribeStackEventsInput{StackName: aws.String("does-not-exist")})
			return err
		}},
		{"test_stacks", "test_stack_resource_not_found", "Error/Error", func(k *sdk) error {
			k.deploy("app", "CREATE", plainTopic)
			_, err := k.cfn.DescribeStackResource(k.t.Context(), &cloudformation.DescribeStackResourceInput{StackName: aws.String("app"), LogicalResourceId: aws.String("NonExistentResource")})
			return err
		}},
		{"test_stacks", "test_no_parameters_given", "deploy-error", func(k *sdk) error {
			return create(k, in{TemplateBody: aws.String(`{"Parameters": {"Input": {"Type": "String"}}, "Resources": {"T": {"Type": "AWS::SNS::Topic"}}}`)})
		}},
		{"test_stacks", "test_linting_error_during_creation", "error/Error", body(`{"Resources": {"T": "text"}}`)},
		{"test_stacks", "test_update_stack_with_same_template_withoutchange", "no_change_exception/Error", func(k *sdk) error {
			k.deploy("app", "CREATE", plainTopic)
			_, err := k.cfn.UpdateStack(k.t.Context(), &cloudformation.UpdateStackInput{StackName: aws.String("app"), TemplateBody: aws.String(plainTopic)})
			return err
		}},
		{"test_templates", "test_validate_invalid_json_template_should_fail", "validate-invalid-json/Error", func(k *sdk) error {
			_, err := k.cfn.ValidateTemplate(k.t.Context(), &cloudformation.ValidateTemplateInput{TemplateBody: aws.String(`{"this is invalid JSON"}`)})
			return err
		}},
		{"test_templates", "test_create_stack_invalid_yaml_template_should_fail", "create-invalid-yaml/Error", body("Resources:\n  - a\n b: [\n")},
		{"test_templates", "test_create_stack_from_s3_template_url[s3_url]", "create-error/Error", func(k *sdk) error {
			return create(k, in{TemplateURL: aws.String("s3://bucket/key")})
		}},
		{"test_templates", "test_create_stack_from_s3_template_url[http_invalid]", "create-error/Error", func(k *sdk) error {
			return create(k, in{TemplateURL: aws.String("https://example.com/key")})
		}},
		{"test_templates", "test_get_template_summary_non_executed_change_set", "error/Error", func(k *sdk) error {
			k.plan("app", "CREATE", "first", plainTopic)
			_, err := k.cfn.GetTemplateSummary(k.t.Context(), &cloudformation.GetTemplateSummaryInput{StackName: aws.String("app")})
			return err
		}},
		{"test_templates", "test_get_template_missing_resources_stack", "stack-error/Error", func(k *sdk) error {
			_, err := k.cfn.GetTemplate(k.t.Context(), &cloudformation.GetTemplateInput{StackName: aws.String("does-not-exist")})
			return err
		}},
		{"test_templates", "test_get_template_missing_resources_change_set", "change-set-error/Error", func(k *sdk) error {
			_, err := k.cfn.GetTemplate(k.t.Context(), &cloudformation.GetTemplateInput{ChangeSetName: aws.String("does-not-exist")})
			return err
		}},
		{"test_templates", "test_get_template_no_arguments", "stack-error/Error", func(k *sdk) error {
			_, err := k.cfn.GetTemplate(k.t.Context(), &cloudformation.GetTemplateInput{})
			return err
		}},
		{"test_update_stack", "test_no_template_error", "error/Error", func(k *sdk) error { return create(k, in{}) }},
		{"test_update_stack", "test_update_with_resource_types", "resource_not_allowed/Error", func(k *sdk) error {
			return create(k, in{TemplateBody: aws.String(plainTopic), ResourceTypes: []string{"AWS::EC2::*"}})
		}},
		{"test_validations", "test_invalid_output_structure[none-value]", "validation-error/Error",
			body(`{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"MyOutput": {"Value": null}}}`)},
		{"test_validations", "test_invalid_output_structure[multiple-nones]", "validation-error/Error",
			body(`{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"MyOutput": {}}}`)},
		{"test_validations", "test_missing_resources_block", "validation-error/Error", body(`{"Outputs": {}}`)},
		{"test_validations", "test_resources_blocks[missing-type]", "validation-error/Error", body(`{"Resources": {"A": {"Properties": {}}}}`)},
		{"test_validations", "test_resources_blocks[invalid-key]", "validation-error/Error",
			body(`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Invalid": "x"}}}`)},
		{"test_change_set_conditions", "test_missing_condition", "error/Error",
			body(`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::If": ["MissingCondition", "a", "b"]}}}}}`)},
		{"test_stack_policies", "test_set_policy_both_policy_and_url", "error/Error", func(k *sdk) error {
			k.deploy("app", "CREATE", plainTopic)
			_, err := k.cfn.SetStackPolicy(k.t.Context(), &cloudformation.SetStackPolicyInput{StackName: aws.String("app"),
				StackPolicyBody: aws.String("{}"), StackPolicyURL: aws.String("https://example.com")})
			return err
		}},
	}
	for _, c := range cases {
		t.Run(c.file+"/"+c.test+"/"+c.path, func(t *testing.T) {
			t.Parallel()
			want := said(t, recording(t, c.file, c.test), c.path)
			if got := refusal(t, c.do(start(t))); !alike(want, got) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// deletedStack gives the ARN of a stack that was deleted.
func deletedStack(k *sdk) string {
	k.t.Helper()
	id := *k.deploy("gone", "CREATE", plainTopic).StackId
	if _, err := k.cfn.DeleteStack(k.t.Context(), &cloudformation.DeleteStackInput{StackName: &id}); err != nil {
		k.t.Fatal(err)
	}
	if st := k.stack(id); st.StackStatus != "DELETE_COMPLETE" {
		k.t.Fatalf("stack is %s", st.StackStatus)
	}
	return id
}

func TestNoEchoAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := recording(t, "test_stacks", "test_no_echo_parameter")
	k := start(t)
	template := `{
  "Parameters": {
    "SecretParameter": {"Type": "String", "NoEcho": true},
    "SecretParameterWithDefault": {"Type": "String", "NoEcho": true, "Default": "hidden"},
    "NormalParameter": {"Type": "String", "Default": "Some default value here"}
  },
  "Resources": {"LocalBucket": {"Type": "AWS::S3::Bucket", "Metadata": {"SensitiveData": {"Ref": "SecretParameter"}},
    "Properties": {"BucketName": "cfn-noecho-bucket", "Tags": [{"Key": "Secret", "Value": {"Ref": "SecretParameter"}}]}}},
  "Outputs": {"SecretValue": {"Description": "Secret value from parameter", "Value": {"Ref": "SecretParameter"}}}
}`
	capabilities := func(in *cloudformation.CreateChangeSetInput) {
		in.Capabilities = []cfntypes.Capability{"CAPABILITY_AUTO_EXPAND", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}
	}
	st := k.deploy("app", "CREATE", template, parameters("SecretParameter", "SecretValue"), capabilities)
	stacks := recorded["describe_stacks"].(map[string]any)["Stacks"].([]any)
	same(t, "describe_stacks", stacks[0], answer(t, st))
	cs := k.plan("app", "UPDATE", "second", template, parameters("SecretParameter", "NewSecretValue1"))
	out, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: cs.ChangeSetId})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "describe_change_set_on_create_complete", recorded["describe_change_set_on_create_complete"], answer(t, out))
}

func TestMissingExportAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := recording(t, "test_change_set_exports_imports", "test_describe_change_set_import_non_existent_export")
	k := start(t)
	template := `{"Resources": {"MyFoo": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "nobody"}}}}}`
	cs := k.plan("app", "CREATE", "first", template)
	same(t, "describe_with_values", recorded["describe_with_values"], answer(t, cs))
	k.execute(*cs.ChangeSetId)
	if got := k.stack("app").StackStatus; got != "ROLLBACK_COMPLETE" {
		t.Errorf("stack is %s after it imported what nobody exports", got)
	}
}

func TestReviewedStackAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := recording(t, "test_changesets", "test_name_conflicts")
	k := start(t)
	stackOf := func(key string) any { return recorded[key].(map[string]any)["Stacks"].([]any)[0] }
	first := k.plan("app", "CREATE", "initial", plainParameter)
	k.execute(*first.ChangeSetId)
	k.stack("app")
	if _, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("app")}); err != nil {
		t.Fatal(err)
	}
	same(t, "the deleted stack", stackOf("stack_id_desc"), answer(t, k.stack(*first.StackId)))
	again := k.plan("app", "CREATE", "initial", plainParameter)
	same(t, "the stack under review", stackOf("new_stack_desc"), answer(t, k.stack("app")))
	for key, arn := range map[string]string{"initial_changeset_id_desc": *first.ChangeSetId, "second_initial_changeset_id_desc": *again.ChangeSetId} {
		out, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: &arn})
		if err != nil {
			t.Fatal(err)
		}
		same(t, key, recorded[key], answer(t, out))
	}
}

func TestChangeSetIsObsoleteAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := recording(t, "test_changesets", "test_create_while_in_review")
	k := start(t)
	cs := k.plan("app", "CREATE", "initial", plainParameter)
	made, err := k.cfn.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: aws.String("app"), TemplateBody: aws.String(plainParameter)})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "create_stack", recorded["create_stack_while_in_review"], answer(t, made))
	same(t, "describe_stack", recorded["describe_stack"].(map[string]any)["Stacks"].([]any)[0], answer(t, k.stack("app")))
	out, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: cs.ChangeSetId})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "describe_change_set", recorded["describe_change_set"], answer(t, out))
}

const plainParameter = `{"Resources": {"SimpleParam": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v"}}}}`

func TestTemplateSummaryAsRecorded(t *testing.T) {
	t.Parallel()
	recorded := recording(t, "test_templates", "test_get_template_summary")
	k := start(t)
	got, err := k.cfn.GetTemplateSummary(t.Context(), &cloudformation.GetTemplateSummaryInput{TemplateBody: aws.String(
		`{"Metadata": {"TopicName": "sns-topic-simple"}, "Resources": {"topic123": {"Type": "AWS::SNS::Topic"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := recorded["template-summary"].(map[string]any)
	delete(want, "Metadata") // there it is Python's text of it
	mine := answer(t, got).(map[string]any)
	delete(mine, "Metadata")
	same(t, "template summary", want, mine)
}

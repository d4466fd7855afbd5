package stacktest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"refline/internal/stack/stacktest"
)

func TestTemplateInYAML(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", `
Parameters:
  Zones: {Type: CommaDelimitedList, Default: "a, b"}
Mappings:
  Sizes: {eu-central-1: {big: "10"}}
Conditions:
  Wanted: !Not [!Equals [!Ref AWS::Region, us-east-1]]
  Both: !And [!Condition Wanted, !Equals [x, x]]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Condition: Both
    Properties:
      BucketName: !Sub "${AWS::StackName}-${AWS::AccountId}"
  Other:
    Type: AWS::S3::Bucket
    Condition: Unwanted
Outputs:
  Sub: {Value: !Sub ["${x}/${Bucket.Arn}/${!Literal}", {x: !Select [1, !Ref Zones]}]}
  Map: {Value: !FindInMap [Sizes, !Ref AWS::Region, big]}
  Join: {Value: !Join ["-", !Split [".", "a.b.c"]]}
  If: {Value: !If [Wanted, !Base64 hi, !Ref AWS::NoValue]}
  Cidr: {Value: !Select [2, !Cidr ["10.0.0.0/16", 4, 8]]}
`+"", func(in *cloudformation.CreateChangeSetInput) {
		body := strings.Replace(*in.TemplateBody, "  Both:", "  Unwanted: !Not [!Condition Wanted]\n  Both:", 1)
		in.TemplateBody = &body
	})
	got := map[string]string{}
	for _, o := range k.stack("app").Outputs {
		got[*o.OutputKey] = *o.OutputValue
	}
	want := map[string]string{"Sub": "b/arn:aws:s3:::app-111111111111/${Literal}", "Map": "10", "Join": "a-b-c", "If": "aGk=", "Cidr": "10.0.2.0/24"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"Bucket": "CREATE_COMPLETE"}, k.values("app")); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ body, want string }{
		"no such target": {`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "B"}}}}}`,
			"Template format error: Unresolved resource dependencies [B] in the Resources block of the template"},
		"no such attribute's resource": {`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::GetAtt": ["B", "Arn"]}}}}}`,
			"Template error: instance of Fn::GetAtt references undefined resource B"},
		"circle": {`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "DependsOn": "B"}, "B": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "${A}"}}}}}`,
			"Circular dependency between resources: [A, B]"},
		"too long":   {`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "` + strings.Repeat("x", 51200) + `"}}}}`, "Member must have length less than or equal to 51200"},
		"a list":     {`- a`, "Template format error: unsupported structure."},
		"no parts":   {`{"Resources": {"A": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Join": ["-"]}}}}}`, "Template error: every Fn::Join object requires two parameters"},
		"role alone": {`{"Resources": {"R": {"Type": "AWS::IAM::Role"}}}`, "Requires capabilities : [CAPABILITY_IAM]"},
		"named role": {`{"Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}}}`, "Requires capabilities : [CAPABILITY_NAMED_IAM]"},
		"transform":  {`{"Transform": "AWS::Serverless-2016-10-31", "Resources": {"R": {"Type": "AWS::SNS::Topic"}}}`, "Requires capabilities : [CAPABILITY_AUTO_EXPAND]"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			_, err := k.cfn.CreateChangeSet(t.Context(), &cloudformation.CreateChangeSetInput{StackName: aws.String("app"), ChangeSetName: aws.String("a"),
				ChangeSetType: "CREATE", TemplateBody: &c.body})
			if got := refusal(t, err); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if out, err := k.cfn.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{}); err != nil || len(out.Stacks) > 0 {
				t.Errorf("it left a stack: %v %v", out, err)
			}
		})
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	t.Parallel()
	body := `{"Parameters": {"Size": {"Type": "String", "AllowedValues": ["s", "m"], "Default": "s"}, "Code": {"Type": "String", "AllowedPattern": "[a-z]+", "Default": "a"},
		"Count": {"Type": "Number", "Default": "1"}}, "Resources": {"A": {"Type": "AWS::SNS::Topic"}}}`
	cases := map[string]struct{ key, value, want string }{
		"not allowed": {"Size", "xl", "Parameter 'Size' must be one of AllowedValues"},
		"no match":    {"Code", "A1", "Parameter 'Code' must match pattern [a-z]+"},
		"no number":   {"Count", "many", "Parameter 'Count' must be a number."},
		"unknown":     {"Colour", "red", "Parameters: [Colour] do not exist in the template"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			in := &cloudformation.CreateChangeSetInput{StackName: aws.String("app"), ChangeSetName: aws.String("a"), ChangeSetType: "CREATE", TemplateBody: &body}
			parameters(c.key, c.value)(in)
			_, err := k.cfn.CreateChangeSet(t.Context(), in)
			if got := refusal(t, err); got != "ValidationError: "+c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestExports(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("network", "CREATE", topics)
	k.deploy("app", "CREATE", `{"Resources": {"P": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": "the-topic"}}}}}`)
	exports, err := k.cfn.ListExports(t.Context(), &cloudformation.ListExportsInput{})
	if err != nil || len(exports.Exports) != 1 || *exports.Exports[0].Name != "the-topic" {
		t.Errorf("exports: %v %v", exports, err)
	}
	imports, err := k.cfn.ListImports(t.Context(), &cloudformation.ListImportsInput{ExportName: aws.String("the-topic")})
	if err != nil || len(imports.Imports) != 1 || imports.Imports[0] != "app" {
		t.Errorf("imports: %v %v", imports, err)
	}
	_, err = k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("network")})
	if got := refusal(t, err); got != "ValidationError: Export the-topic cannot be deleted as it is in use by app" {
		t.Error(got)
	}
	if got := k.deploy("network-2", "CREATE", topics).StackStatus; got != "ROLLBACK_COMPLETE" {
		t.Errorf("a second stack with the same export is %s", got)
	}
}

func TestChangesThatAreNotOfProperties(t *testing.T) {
	t.Parallel()
	plain := `{"Resources": {"A": {"Type": "AWS::SNS::Topic"%s}}, "Outputs": {"O": {"Value": "%s"}}}`
	first := fmt.Sprintf(plain, "", "1")
	cases := map[string]struct {
		second string
		edit   func(*cloudformation.CreateChangeSetInput)
		status cfntypes.ChangeSetStatus
		scope  []cfntypes.ResourceAttribute
		reason string
	}{
		"metadata": {second: fmt.Sprintf(plain, `, "Metadata": {"a": 1}`, "1"), status: "CREATE_COMPLETE", scope: []cfntypes.ResourceAttribute{"Metadata"}},
		"policies": {second: fmt.Sprintf(plain, `, "DeletionPolicy": "Retain"`, "1"), status: "CREATE_COMPLETE", scope: []cfntypes.ResourceAttribute{"DeletionPolicy"}},
		"tags": {second: first, status: "CREATE_COMPLETE", scope: []cfntypes.ResourceAttribute{"Tags"}, edit: func(in *cloudformation.CreateChangeSetInput) {
			in.Tags = []cfntypes.Tag{{Key: aws.String("team"), Value: aws.String("one")}}
		}},
		"output":  {second: fmt.Sprintf(plain, "", "2"), status: "CREATE_COMPLETE"},
		"spacing": {second: fmt.Sprintf(plain, "", "1") + "\n", status: "FAILED", reason: "No updates are to be performed."},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			k.deploy("app", "CREATE", first)
			edit := c.edit
			if edit == nil {
				edit = func(*cloudformation.CreateChangeSetInput) {}
			}
			cs := k.plan("app", "UPDATE", "second", c.second, edit)
			var scope []cfntypes.ResourceAttribute
			for _, ch := range cs.Changes {
				scope = append(scope, ch.ResourceChange.Scope...)
			}
			if cs.Status != c.status || !cmp.Equal(scope, c.scope) || aws.ToString(cs.StatusReason) != c.reason {
				t.Errorf("%s %s %v", cs.Status, aws.ToString(cs.StatusReason), scope)
			}
			if c.status == "FAILED" {
				return
			}
			k.execute(*cs.ChangeSetId)
			if got := k.stack("app").StackStatus; got != "UPDATE_COMPLETE" {
				t.Errorf("stack is %s", got)
			}
			if again := k.plan("app", "UPDATE", "third", c.second, edit); again.Status != "FAILED" {
				t.Errorf("the change remains: %v", again.Changes)
			}
		})
	}
}

func TestRetainedAndReplaced(t *testing.T) {
	t.Parallel()
	k := start(t)
	bucket := `{"Resources": {"B": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Snapshot", "Properties": {"BucketName": "%s"}}, "T": {"Type": "AWS::SNS::Topic"}}}`
	k.deploy("app", "CREATE", fmt.Sprintf(bucket, "one"))
	replace := k.plan("app", "UPDATE", "replace", fmt.Sprintf(bucket, "two")).Changes[0].ResourceChange
	remove := k.plan("app", "UPDATE", "remove", `{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}`)
	if replace.Replacement != "True" || replace.PolicyAction != "ReplaceAndSnapshot" || remove.Changes[0].ResourceChange.PolicyAction != "Retain" {
		t.Errorf("replacing: %+v, removing: %+v", replace, remove.Changes[0].ResourceChange)
	}
	k.execute(*remove.ChangeSetId)
	if got := k.stack("app").StackStatus; got != "UPDATE_COMPLETE" {
		t.Errorf("stack is %s", got)
	}
	if events := k.events("app"); events[len(events)-2] != "B DELETE_SKIPPED" {
		t.Errorf("events: %q", events)
	}
}

func TestHiddenValue(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", topics)
	k.cloud.HideValue("Topic1", "TopicName")
	ch := k.plan("app", "UPDATE", "second", topics).Changes[0].ResourceChange
	if ch.Replacement != "True" || *ch.Details[0].Target.AfterValue != "{{changeSet:KNOWN_AFTER_APPLY}}" {
		t.Errorf("%+v", ch)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", `{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}`)
	cs := k.plan("app", "IMPORT", "import", `{"Resources": {"T": {"Type": "AWS::SNS::Topic"}, "Old": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": "old-one"}}}}`,
		func(in *cloudformation.CreateChangeSetInput) {
			in.ResourcesToImport = []cfntypes.ResourceToImport{{LogicalResourceId: aws.String("Old"), ResourceType: aws.String("AWS::S3::Bucket"),
				ResourceIdentifier: map[string]string{"BucketName": "old-one"}}}
		})
	if ch := cs.Changes[0].ResourceChange; len(cs.Changes) != 1 || ch.Action != "Import" || *ch.PhysicalResourceId != "old-one" {
		t.Errorf("changes: %+v", cs.Changes)
	}
	k.execute(*cs.ChangeSetId)
	if got := k.stack("app").StackStatus; got != "IMPORT_COMPLETE" {
		t.Errorf("stack is %s: %q", got, k.events("app"))
	}
}

func TestDriftIsReverted(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", topics)
	if err := k.cloud.Drift("app", "Topic1", "DisplayName", "by hand"); err != nil {
		t.Fatal(err)
	}
	if cs := k.plan("app", "UPDATE", "blind", topics); cs.Status != "FAILED" {
		t.Errorf("a usual change set sees drift: %v", cs.Changes)
	}
	cs := k.plan("app", "UPDATE", "revert", topics, func(in *cloudformation.CreateChangeSetInput) { in.DeploymentMode = "REVERT_DRIFT" })
	target := cs.Changes[0].ResourceChange.Details[0].Target
	if *target.BeforeValue != "by hand" || *target.AfterValue != "value" {
		t.Errorf("change: %+v", target)
	}
	k.execute(*cs.ChangeSetId)
	k.stack("app")
	if cs := k.plan("app", "UPDATE", "again", topics, func(in *cloudformation.CreateChangeSetInput) { in.DeploymentMode = "REVERT_DRIFT" }); cs.Status != "FAILED" {
		t.Errorf("it is not reverted: %v", cs.Changes)
	}
}

func TestAccountsAndRegionsAreApart(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.deploy("app", "CREATE", topics)
	for _, at := range []struct{ region, account string }{{"us-east-1", stacktest.Account}, {stacktest.Region, "222222222222"}} {
		other := cloudformation.New(cloudformation.Options{Region: at.region, BaseEndpoint: aws.String(k.cloud.URL()),
			Credentials: credentials.NewStaticCredentialsProvider(stacktest.AccessKey(at.account), "not-a-secret", "")})
		_, err := other.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{StackName: aws.String("app")})
		if got := refusal(t, err); got != "ValidationError: Stack with id app does not exist" {
			t.Errorf("%+v: %s", at, got)
		}
	}
}

func TestPagesOfChanges(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.PageSize(2)
	cs := k.plan("app", "CREATE", "first", threeTopics)
	if len(cs.Changes) != 2 || cs.NextToken == nil {
		t.Fatalf("first page: %v", cs.Changes)
	}
	rest, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: cs.ChangeSetId, NextToken: cs.NextToken})
	if err != nil || len(rest.Changes) != 1 || rest.NextToken != nil {
		t.Errorf("second page: %v %v", rest, err)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.cloud.CreateBucket("mine", "")
	k.cloud.CreateBucket("theirs", "222222222222")
	put := func(bucket, key string, once bool) error {
		in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("text"), Metadata: map[string]string{"Commit": "abc"}}
		if once {
			in.IfNoneMatch = aws.String("*")
		}
		_, err := k.s3.PutObject(t.Context(), in)
		return err
	}
	if err := put("mine", "a/b c", true); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"again":   {put("mine", "a/b c", true), "PreconditionFailed"},
		"theirs":  {put("theirs", "x", false), "AccessDenied"},
		"nowhere": {put("nobodys", "x", false), "NoSuchBucket"},
	} {
		if got := refusal(t, c.err); !strings.HasPrefix(got, c.want+": ") {
			t.Errorf("%s: %s", what, got)
		}
	}
	head, err := k.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("mine"), Key: aws.String("a/b c")})
	if err != nil || head.Metadata["commit"] != "abc" || *head.ContentLength != 4 || head.ServerSideEncryption != "AES256" {
		t.Errorf("head: %+v %v", head, err)
	}
	list, err := k.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("mine"), Prefix: aws.String("a/")})
	if err != nil || len(list.Contents) != 1 || *list.Contents[0].Key != "a/b c" {
		t.Errorf("list: %+v %v", list, err)
	}
}

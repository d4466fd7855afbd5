package lint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// parse reads a template that a test wrote.
func parse(t *testing.T, src string) *cfn.Template {
	t.Helper()
	tmpl, err := cfn.Parse("t.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// check gives the findings of a template as "rule:line".
func check(t *testing.T, src string, o lint.Options) []string {
	t.Helper()
	o.Today = today()
	list, err := lint.Lint(t.Context(), parse(t, src), o)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, f := range list {
		got = append(got, fmt.Sprintf("%s:%d", f.Rule, f.Line))
	}
	return slices.Compact(got)
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, src string
		want      []string
	}{
		{"a clean template", `
Resources:
  Bucket:
    Type: AWS::S3::Bucket
`, []string{}},
		{"values of properties", `
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      BucketNam: x
      VersioningConfiguration:
        Status: enabled
      Tags: x
      LifecycleConfiguration:
        Rules:
          - Id: a
  Q:
    Type: AWS::SQS::Queue
    Properties:
      DelaySeconds: 901
      VisibilityTimeout: soon
`, []string{"E3002:6", "E3030:8", "E3012:9", "E3024:9", "E3003:12", "E3034:16", "E3012:17"}},
		{"functions and what they give", `
Parameters:
  Names:
    Type: CommaDelimitedList
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Ref Names
      AccelerateConfiguration: !Ref Other
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !GetAtt B.Nothing
      TopicName: !Sub "${Missing}-x"
  Other:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !GetAtt Nobody.Arn
      TopicName:
        Fn::Join: [a, b]
      KmsMasterKeyId: !Select [4, [a, b]]
`, []string{"E1020:9", "E1020:10", "E1010:14", "E1019:15", "E1010:19", "E1022:21", "E1017:22"}},
		{"values that a parameter can have", `
Parameters:
  Status:
    Type: String
    Default: Enabled
    AllowedValues: [Enabled, Off]
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration:
        Status: !Ref Status
`, []string{"W1030:6"}},
		{"mappings", `
Mappings:
  M:
    us-east-1:
      Status: Sometimes
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration:
        Status: !FindInMap [M, !Ref "AWS::Region", Status]
  C:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !FindInMap [M, us-east-1, Nam]
`, []string{"W1034:11", "E1011:15"}},
		{"conditions choose", `
Parameters:
  Env:
    Type: String
Conditions:
  Prod: !Equals [!Ref Env, prod]
  Dev: !Equals [!Ref Env, dev]
  Never: !And [!Condition Prod, !Condition Dev]
Resources:
  A:
    Type: AWS::S3::Bucket
    Condition: Prod
    Properties:
      BucketName: !If [Dev, aaa, bbb]
      VersioningConfiguration:
        Status: !If [Prod, Enabled, Wrong]
  B:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: !Ref A
      DisplayName: !If [Prod, !Ref A, none]
  C:
    Type: AWS::SNS::Topic
    Condition: Nobody
Outputs:
  O:
    Condition: Never
    Value: !Ref A
`, []string{"W1028:14", "E3030:16", "W1028:16", "W1001:20", "E3015:24"}},
		{"a condition decides what is required", `
Parameters:
  Env: {Type: String}
Conditions:
  Prod: !Equals [!Ref Env, prod]
Resources:
  T:
    Type: AWS::Logs::MetricFilter
    Properties:
      FilterPattern: x
      LogGroupName: !If [Prod, g, !Ref "AWS::NoValue"]
      MetricTransformations: [{MetricName: a, MetricNamespace: b, MetricValue: "1"}]
`, []string{"E3003:9"}},
		{"circles and strangers", `
Resources:
  A:
    Type: AWS::SNS::Topic
    DependsOn: B
  B:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !Sub "${A}"
  C:
    Type: AWS::SNS::Topic
    DependsOn: [C, D]
  E:
    Type: AWS::SNS::Topi
`, []string{"E3004:3", "E3004:6", "E3004:10", "E3005:12", "E3006:14"}},
		{"a key of YAML's own", `
Resources:
  A:
    Type: AWS::SNS::Topic
    Properties: &p {DisplayName: x}
  B:
    Type: AWS::SNS::Topic
    Properties: *p
`, []string{"W1101:8"}},
		{"loops", `
Transform: AWS::LanguageExtensions
Resources:
  Fn::ForEach::Topics:
    - Name
    - [One, Two]
    - Topic${Name}:
        Type: AWS::SNS::Topic
        Properties:
          DisplayName: !Ref Name
          TopicNam: !Sub "${Name}"
Outputs:
  O:
    Value: !Ref TopicTwo
  P:
    Value: !Ref TopicThree
`, []string{"E3002:11", "E6101:16"}},
		{"a loop without its transform", `
Resources:
  Fn::ForEach::Topics:
    - Name
    - [One]
    - Topic${Name}: {Type: AWS::SNS::Topic}
`, []string{"E1032:3", "E3001:3"}},
		{"serverless", `
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.13
    Handler: a.b
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ./src
      Events:
        Get:
          Type: Api
          Properties: {Path: /, Method: get}
Outputs:
  Url:
    Value: !Sub "https://${ServerlessRestApi}.example.com"
  Role:
    Value: !GetAtt FRole.Arn
`, []string{}},
		{"dynamic references", `
Resources:
  D:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: "{{resolve:ssm:name:1}}"
      TopicName: "{{resolve:vault:name}}"
      KmsMasterKeyId: "{{resolve:ssm-secure:name}}"
Outputs:
  O:
    Value: "{{resolve:secretsmanager:x}}"
`, []string{"E1050:7", "E1027:8", "E1051:11"}},
		{"networks", `
Resources:
  V:
    Type: AWS::EC2::VPC
    Properties: {CidrBlock: 10.0.0.0/16}
  A:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref V, CidrBlock: 10.0.0.0/24}
  B:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref V, CidrBlock: 10.0.0.128/25}
  C:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: !Ref V, CidrBlock: 10.1.0.0/24}
`, []string{"E3060:11", "E3059:14"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, check(t, tc.src, lint.Options{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRegions(t *testing.T) {
	t.Parallel()
	src := "Resources:\n  A:\n    Type: AWS::AppRunner::Service\n    Properties:\n      SourceConfiguration: {ImageRepository: {ImageIdentifier: x, ImageRepositoryType: ECR_PUBLIC}}\n"
	if got := check(t, src, lint.Options{Regions: []string{"us-east-1"}}); slices.Contains(got, "E3006:3") {
		t.Errorf("us-east-1: %v", got)
	}
	if got := check(t, src, lint.Options{Regions: []string{"us-east-1", "ca-west-1"}}); !slices.Contains(got, "E3006:3") {
		t.Errorf("ca-west-1: %v", got)
	}
	_, err := lint.Lint(t.Context(), parse(t, src), lint.Options{Regions: []string{"mars-1"}})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `"mars-1"`) {
		t.Errorf("got %v", err)
	}
}

func TestGivenParameters(t *testing.T) {
	t.Parallel()
	const src = `Parameters:
  Env: {Type: String, AllowedValues: [dev, prod]}
  Count: {Type: Number, MaxValue: 5, Default: 1}
  Secret: {Type: String, NoEcho: true, MinLength: 8}
  Status: {Type: String, Default: Enabled}
  Zones: {Type: CommaDelimitedList, AllowedPattern: "[a-z]+$"}
Resources:
  B:
    Type: AWS::S3::Bucket
    Properties:
      VersioningConfiguration: {Status: !Ref Status}
      Tags: [{Key: a, Value: !Sub "${Env}${Count}${Secret}"}, {Key: b, Value: !Select [0, !Ref Zones]}]
`
	good := map[string]string{"Env": "dev", "Secret": "hunter2hunter2", "Zones": "a, b"}
	with := func(change map[string]string) map[string]string {
		m := maps.Clone(good)
		maps.Copy(m, change)
		return m
	}
	for _, tc := range []struct {
		name   string
		values map[string]string
		want   []string
	}{
		{"all is well", good, []string{}},
		{"missing", map[string]string{"Env": "dev"}, []string{"E2900:4", "E2900:6"}},
		{"unknown", with(map[string]string{"Envv": "x"}), []string{"E2900:1"}},
		{"not allowed", with(map[string]string{"Env": "test", "Count": "9", "Secret": "hunter2", "Zones": "a,B1-"}), []string{"E2900:2", "E2900:3", "E2900:4", "E2900:6"}},
		{"not a number", with(map[string]string{"Count": "many"}), []string{"E2900:3"}},
		{"wrong where it is used", with(map[string]string{"Status": "Paused"}), []string{"W1030:5"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, check(t, src, lint.Options{Parameters: tc.values})); d != "" {
				t.Error(d)
			}
			list, err := lint.Lint(t.Context(), parse(t, src), lint.Options{Parameters: tc.values})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list {
				if strings.Contains(f.String(), "hunter") {
					t.Errorf("a secret is shown: %s", f)
				}
			}
		})
	}
}

func TestIgnores(t *testing.T) {
	t.Parallel()
	const src = `Metadata:
  cfn-lint:
    config:
      ignore_checks: [E3030]
Resources:
  A:
    Type: AWS::S3::Bucket
    Metadata:
      cfn-lint: {config: {ignore_checks: [E3002]}}
    Properties:
      Wrong: x
      VersioningConfiguration: {Status: x}
  B:
    Type: AWS::S3::Bucket
    Properties:
      Wrong: x
      BucketName: [x]
  C:
    Type: AWS::SQS::Queue
  D:
    Type: AWS::Neptune::DBCluster
    Properties: {Port: "8182"}
  E:
    Type: AWS::AppStream::Stack
    Properties: {StorageConnectors: [{ConnectorType: HOMEFOLDERS, ResourceIdentifier: x}]}
`
	for _, tc := range []struct {
		name string
		o    lint.Options
		want []string
	}{
		{"what the template says", lint.Options{}, []string{"E3002:16", "E3012:17"}},
		{"by number", lint.Options{Ignore: []string{"E3012"}}, []string{"E3002:16"}},
		{"by beginning", lint.Options{Ignore: []string{"E3"}}, []string{}},
		{"read-only values are asked for", lint.Options{Ignore: []string{"E3002", "E3012"}, Include: []string{"E3040"}}, []string{"E3040:22", "E3040:25"}},
		{"notes are asked for", lint.Options{Ignore: []string{"E"}, Include: []string{"I3011"}}, []string{"I3011:18", "I3011:20"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, check(t, src, tc.o)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A finding is at the Jsonnet line that wrote the field, with the template's path.
func TestJsonnetLines(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"t.jsonnet":        {Data: []byte("local bucket = import 'bucket.libsonnet';\n{\n  Resources: {\n    A: bucket('Enabled'),\n    B: bucket('Wrong') {\n      Properties+: { Nothing: 1 },\n    },\n  },\n}\n")},
		"bucket.libsonnet": {Data: []byte("function(status) {\n  Type: 'AWS::S3::Bucket',\n  Properties: {\n    VersioningConfiguration: { Status: status },\n  },\n}\n")},
	}
	tmpl, err := cfn.Load(t.Context(), jsonnet.Input{File: "t.jsonnet", Read: func(name string) ([]byte, error) { return fs.ReadFile(files, name) }})
	if err != nil {
		t.Fatal(err)
	}
	list, err := lint.Lint(t.Context(), tmpl, lint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		place         diag.Place
		rule, subject string
	}
	var got []row
	for _, f := range list {
		got = append(got, row{f.Place, f.Rule, f.Subject})
	}
	want := []row{
		{diag.Place{File: "bucket.libsonnet", Line: 4, Column: 32}, "E3030", "Resources/B/Properties/VersioningConfiguration/Status"},
		{diag.Place{File: "t.jsonnet", Line: 6, Column: 22}, "E3002", "Resources/B/Properties/Nothing"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Error(d)
	}
}

func TestNestedStack(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"a/t.yaml": {Data: []byte("Resources:\n  S:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: ../n/n.yaml\n      Parameters:\n        Extra: x\n")},
		"n/n.yaml": {Data: []byte("Parameters:\n  Needed: {Type: String}\n  Free: {Type: String, Default: x}\nResources: {}\n")},
	}
	tmpl, err := cfn.Load(t.Context(), jsonnet.Input{File: "a/t.yaml", Read: func(name string) ([]byte, error) { return fs.ReadFile(files, name) }})
	if err != nil {
		t.Fatal(err)
	}
	list, err := lint.Lint(t.Context(), tmpl, lint.Options{Ignore: []string{"W"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		got = append(got, fmt.Sprintf("%s:%d %s", f.Rule, f.Line, f.Message))
	}
	want := []string{`E3043:6 the nested template needs the parameter "Needed"`, `E3043:7 the nested template has no parameter "Extra"`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzLint(f *testing.F) {
	for _, s := range []string{
		"Resources: {A: {Type: AWS::S3::Bucket, Properties: {Tags: [!Ref A, !If [c, {Key: a}, !Ref AWS::NoValue]]}}}",
		"Conditions: {c: !Not [!Condition c]}\nResources: {A: {Type: AWS::Lambda::Function, Condition: c, Properties: !If [c, {}, x]}}",
		"Transform: [AWS::LanguageExtensions]\nResources: {Fn::ForEach::x: [a, !Ref p, {'${a}': {Type: x}}]}\nOutputs: {O: {Value: !Sub ['${a.b}', {a: 1}]}}",
		"Parameters: {p: {Type: Number, Default: 1, AllowedValues: [a]}}\nMappings: {M: {a: {b: [!Ref p]}}}\nResources: !FindInMap [M, a, b]",
		"Resources: {A: {Type: AWS::IAM::Policy, Properties: {PolicyDocument: {Statement: [{Action: 's3:*', Effect: Allow}]}}}, B: null}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		tmpl, err := cfn.Parse("t", src)
		if err != nil {
			return
		}
		if _, err := lint.Lint(t.Context(), tmpl, lint.Options{Include: []string{"I"}}); err != nil && !errors.Is(err, t.Context().Err()) {
			t.Fatal(err)
		}
	})
}

package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cfn"
	"refline/internal/jsonnet"
)

func rulesAndMessages(t *testing.T, tmpl *cfn.Template, o Options) []string {
	t.Helper()
	found, err := Lint(t.Context(), tmpl, o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.Rule+" "+f.Message)
	}
	return got
}

func TestWhatRulesSay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"E3682 names the keys": {`Resources:
  Db:
    Type: AWS::RDS::DBInstance
    Properties: {Engine: Aurora-MySQL, DBInstanceClass: db.r5.large, AllocatedStorage: "10", DeletionProtection: true}
`, []string{`E3682 an instance of the engine aurora-mysql must not set "AllocatedStorage", "DeletionProtection": its cluster sets them`}},
		"W3691 in any case of the engine": {`Resources:
  Db:
    Type: AWS::RDS::DBInstance
    DeletionPolicy: Snapshot
    UpdateReplacePolicy: Snapshot
    Properties: {Engine: MySQL, EngineVersion: "5.7.44", DBInstanceClass: db.r5.large}
`, []string{"W3691 version 5.7.44 of the engine mysql is deprecated: new instances cannot use it"}},
		"E3701 own output as input": {`Resources:
  Pipe:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      RoleArn: arn:aws:iam::111111111111:role/x
      ArtifactStore: {Type: S3, Location: b}
      Stages:
        - Name: Source
          Actions:
            - {Name: S, ActionTypeId: {Category: Source, Owner: AWS, Provider: S3, Version: "1"}, Configuration: {S3Bucket: b, S3ObjectKey: k}, OutputArtifacts: [{Name: A}]}
        - Name: Build
          Actions:
            - {Name: B, ActionTypeId: {Category: Build, Owner: AWS, Provider: CodeBuild, Version: "1"}, Configuration: {ProjectName: p}, InputArtifacts: [{Name: A}, {Name: B}], OutputArtifacts: [{Name: B}]}
`, []string{`E3701 "B" is not an output of an earlier action`}},
		"an empty DependsOn with the language extensions": {`Transform: AWS::LanguageExtensions
Resources:
  Topic:
    Type: AWS::SNS::Topic
    DependsOn:
`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl, err := cfn.Parse("t.yml", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, rulesAndMessages(t, tmpl, Options{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNestedTemplates: children in Jsonnet are rendered, outputs that they lack
// are found, and a path that refline stack stages is not warned of.
func TestNestedTemplates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"child.jsonnet": `{Parameters: {Needed: {Type: 'String'}}, Resources: {Q: {Type: 'AWS::SQS::Queue', Properties: {QueueName: {Ref: 'Needed'}}}}, Outputs: {Arn: {Value: std.extVar('x')}}}`,
		"child.yml":     "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {Arn: {Value: x}}\n",
		"root.yml": `Resources:
  A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: child.jsonnet, Parameters: {Extra: 1}}}
  B: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: child.yml}}
  C: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: missing.yml}}
  Good: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt A.Outputs.Arn}}
  Bad: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt B.Outputs.Ann}}
  Sub: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Sub "${B.Outputs.Nothing}"}}
  Unknown: {Type: AWS::SNS::Topic, Properties: {DisplayName: !GetAtt C.Outputs.Any}}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tmpl, err := cfn.Load(t.Context(), jsonnet.Input{File: filepath.Join(dir, "root.yml"), External: []jsonnet.Binding{{Name: "x", Value: "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`E3043 the nested template needs the parameter "Needed"`, `E3043 the nested template has no parameter "Extra"`,
		`W3002 "missing.yml" is a local path, which CloudFormation cannot read`, `E1010 "Ann" is not an output of the nested stack B`,
		`E1019 ${B.Outputs.Nothing}: "Nothing" is not an output of the nested stack B`}
	if diff := cmp.Diff(want, rulesAndMessages(t, tmpl, Options{})); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestGivenParameters: E2900 for what the stack is given; nothing for what is
// not known, whatever the default is.
func TestGivenParameters(t *testing.T) {
	t.Parallel()
	tmpl, err := cfn.Parse("t.yml", []byte(`Parameters:
  Kind: {Type: String, AllowedValues: [a, b]}
  Name: {Type: String, AllowedPattern: "[a-z]+"}
  Days: {Type: Number, Default: 3}
  Size: {Type: Number, Default: 99999999}
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name, DelaySeconds: !Ref Size, MessageRetentionPeriod: !Ref Days, ContentBasedDeduplication: !Ref Kind}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(rulesAndMessages(t, tmpl, Options{Parameters: map[string]string{"Kind": "c", "Name": "A", "Days": "many", "Other": "x"}, Unknown: []string{"Size"}}), "\n")
	for _, want := range []string{`E2900 the configuration sets "Other", which is not a parameter`, `E2900 the value "c" of the parameter Kind `,
		`E2900 the value "A" of the parameter Name `, `E2900 the value "many" of the parameter Days is not a number`} {
		if !strings.Contains(got, want) {
			t.Errorf("no finding %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "99999999") {
		t.Errorf("the default of a parameter that is given a value was looked at:\n%s", got)
	}
}

package lint_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cfn/lint"
)

func TestSemantics(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		src     string
		options lint.Options
		want    []string
	}{
		{name: "a loop over what cannot be known may make any name that fits", src: `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList}
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - "Topic${Name}":
        Type: AWS::SNS::Topic
Outputs:
  Known: {Value: !Ref TopicOne}
  Attribute: {Value: !GetAtt TopicTwo.TopicArn}
  Text: {Value: !Sub "${TopicThree} ${QueueOne}"}
  Other: {Value: !Ref QueueOne}
`, want: []string{"E6101:14", "E6101:15"}},
		{name: "a loop over a default makes these names and no others", src: `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "One, Two"}
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - "Topic${Name}":
        Type: AWS::SNS::Topic
Outputs:
  One: {Value: !Ref TopicOne}
  Three: {Value: !Ref TopicThree}
`, want: []string{"E6101:13"}},
		{name: "what the stack is given counts in a loop", src: `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "One, Two"}
Resources:
  Fn::ForEach::Topics:
    - Name
    - !Ref Names
    - "Topic${Name}":
        Type: AWS::SNS::Topic
Outputs:
  One: {Value: !Ref TopicOne}
  Three: {Value: !Ref TopicThree}
`, options: lint.Options{Parameters: map[string]string{"Names": "Three"}}, want: []string{"E6101:12"}},
		{name: "a loop makes nothing twice", src: `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList}
Resources:
  Fn::ForEach::Topics:
    - Name
    - [a, a]
    - "Topic${Name}":
        Type: AWS::SNS::Topic
  Fn::ForEach::Queues:
    - Name
    - [a, b]
    - Queue:
        Type: AWS::SQS::Queue
  Queueb: {Type: AWS::SQS::Queue}
  Fn::ForEach::Others:
    - Name
    - !Ref Names
    - "Queue${Name}":
        Type: AWS::SQS::Queue
  Fn::ForEach::More:
    - Name
    - !Ref Names
    - "Queue${Name}":
        Type: AWS::SQS::Queue
`, want: []string{"E0001:6", "E0001:11"}},
		{name: "functions in Fn::GetAtt are followed", src: `
Parameters:
  Good: {Type: String, Default: Arn}
  Bad: {Type: String, Default: Nope}
Resources:
  Bucket: {Type: AWS::S3::Bucket}
Outputs:
  Good: {Value: {"Fn::GetAtt": [Bucket, !Ref Good]}}
  Bad:
    Value:
      Fn::GetAtt:
        - Bucket
        - Ref: Bad
`, want: []string{"E6101:13"}},
		{name: "the functions of an extension have a rule of their own", src: `
Parameters:
  Names: {Type: CommaDelimitedList}
Resources:
  Topic: {Type: AWS::SNS::Topic}
Outputs:
  Length:
    Value: {"Fn::Length": !Ref Names}
`, want: []string{"E1030:8"}},
		{name: "keys that are no text", src: `
Mappings:
  Accounts:
    us-east-1:
      123456789012: a
      "210987654321": b
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !FindInMap [Accounts, us-east-1, "210987654321"]
`, want: []string{"E7001:5"}},
		{name: "nothing in a mapping is too little", src: `
Mappings:
  Empty:
    Key:
      Value: null
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !FindInMap [Empty, Key, Value]
`, want: []string{"E7001:4", "E7001:5"}},
		{name: "a constant condition is told once", src: `
Conditions:
  Always: !Equals [a, a]
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !If [Always, a, b]
`, want: []string{"W8003:3"}},
		{name: "yes is a boolean wherever it stands", src: `
Parameters:
  Loud: {Type: String, AllowedValues: [Yes, No], Default: Yes}
Conditions:
  Loud: !Equals [!Ref Loud, Yes]
  Same: !Equals [!Ref Loud, "true"]
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Condition: Same
    Properties:
      DisplayName: !If
        - Loud
        - a
        - never
`, want: []string{"W1028:15"}},
		{name: "of two route tables the one that may be absent is told", src: `
Parameters:
  P: {Type: String}
Conditions:
  Maybe: !Equals [!Ref P, a]
Resources:
  A:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Properties:
      RouteTableId: rtb-12345678
      SubnetId: subnet-12345678
  B:
    Type: AWS::EC2::SubnetRouteTableAssociation
    Condition: Maybe
    Properties:
      RouteTableId: rtb-87654321
      SubnetId: subnet-12345678
`, want: []string{"E3022:17"}},
		{name: "a circle through a resource without a type", src: `
Resources:
  A:
    Type: AWS::SNS::Topic
    DependsOn: B
  B:
    DependsOn: A
`, want: []string{"E3004:3", "E3005:5", "E3001:6", "E3004:6"}},
		{name: "stages that may be absent have no order", src: `
Parameters:
  P: {Type: String}
Conditions:
  Maybe: !Equals [!Ref P, a]
Resources:
  Pipeline:
    Type: AWS::CodePipeline::Pipeline
    Properties:
      RoleArn: arn:aws:iam::123456789012:role/pipeline
      ArtifactStore: {Type: S3, Location: bucket}
      Stages:
        - !If
          - Maybe
          - Name: Other
            Actions:
              - Name: Source
                ActionTypeId: {Category: Source, Owner: AWS, Provider: S3, Version: "1"}
                Configuration: {S3Bucket: b, S3ObjectKey: k}
                OutputArtifacts: [{Name: Code}]
          - !Ref AWS::NoValue
        - Name: Build
          Actions:
            - Name: Build
              ActionTypeId: {Category: Build, Owner: AWS, Provider: CodeBuild, Version: "1"}
              Configuration: {ProjectName: p}
              InputArtifacts: [{Name: Code}]
        - Name: Last
          Actions:
            - Name: Approve
              ActionTypeId: {Category: Approval, Owner: AWS, Provider: Manual, Version: "1"}
`, want: []string{}},
		{name: "properties of a type that is not there are a map too", src: `
Resources:
  A:
    Type: AWS::S3::Pail
    Properties: x
`, want: []string{"E3006:4", "E3012:5"}},
		{name: "SnapStart is not everywhere", src: `
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: java21
      Handler: a.B
      Code: {S3Bucket: code-bucket, S3Key: k}
      Role: arn:aws-cn:iam::123456789012:role/r
      SnapStart:
        ApplyOn: PublishedVersions
  V:
    Type: AWS::Lambda::Version
    Properties: {FunctionName: !Ref F}
`, options: lint.Options{Regions: []string{"cn-north-1"}}, want: []string{"E2530:11"}},
		{name: "where SnapStart could be", src: `
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: java21
      Handler: a.B
      Code: {S3Bucket: code-bucket, S3Key: k}
      Role: arn:aws:iam::123456789012:role/r
`, options: lint.Options{Include: []string{"I2530"}}, want: []string{"I2530:5"}},
		{name: "actions that work on none of the resources", src: `
Parameters:
  Any: {Type: String}
Resources:
  Policy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: [s3:PutObject, s3:ListBucket]
            Resource: ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]
          - Effect: Allow
            Action: sqs:SendMessage
            Resource: "arn:aws:s3:::bucket/*"
          - Effect: Allow
            Action: sqs:SendMessage
            Resource: !Ref Any
          - Effect: Allow
            Action: "sqs:Send*"
            Resource: "arn:aws:s3:::bucket/*"
`, options: lint.Options{Include: []string{"I3510"}}, want: []string{"I3510:16"}},
		{name: "a name of parameters alone is told as such", src: `
Resources:
  Bucket: {Type: AWS::S3::Bucket}
Outputs:
  A:
    Value: x
    Export:
      Name: !Sub "${Bucket}-name"
`, want: []string{"E1019:8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tc.want, check(t, tc.src, tc.options)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A note tells that a limit is near, and no more than that.
func TestNearLimits(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", 240)
	for _, tc := range []struct{ name, src, want string }{
		{"description", "Description: " + strings.Repeat("d", 1000) + "\nResources:\n  T: {Type: AWS::SNS::Topic}\n", "I1003:1"},
		{"name of a parameter", "Parameters:\n  " + name + ": {Type: String}\nResources:\n  T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !Ref " + name + "}}\n", "I2011:2"},
		{"name of a resource", "Resources:\n  " + name + ": {Type: AWS::SNS::Topic}\n", "I3012:2"},
		{"name of an output", "Resources:\n  T: {Type: AWS::SNS::Topic}\nOutputs:\n  " + name + ": {Value: x}\n", "I6011:4"},
		{"name in a mapping", "Mappings:\n  " + name + ": {k: {a: b}}\nResources:\n  T: {Type: AWS::SNS::Topic, Properties: {DisplayName: !FindInMap [" + name + ", k, a]}}\n", "I7002:2"},
		{"resources", "Resources:\n" + many(480, "  T%d: {Type: AWS::SNS::Topic}\n"), "I3010:1"},
		{"outputs", "Resources:\n  T: {Type: AWS::SNS::Topic}\nOutputs:\n" + many(190, "  O%d: {Value: x}\n"), "I6010:3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff([]string{tc.want}, check(t, tc.src, lint.Options{Include: []string{"I"}})); d != "" {
				t.Error(d)
			}
		})
	}
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// A policy is measured as the JSON that it becomes.
func TestLengthOfAPolicy(t *testing.T) {
	t.Parallel()
	template := func(resources int) string {
		return `
Resources:
  Policy:
    Type: AWS::CodeArtifact::Domain
    Properties:
      DomainName: packages
      PermissionsPolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Deny
            Principal: "*"
            Action: codeartifact:CreateRepository
            Resource:
` + many(resources, "              - arn:aws:codeartifact:us-east-1:123456789012:domain/packages-%05d\n")
	}
	if d := cmp.Diff([]string{}, check(t, template(70), lint.Options{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"E3033:7"}, check(t, template(80), lint.Options{})); d != "" {
		t.Error(d)
	}
}

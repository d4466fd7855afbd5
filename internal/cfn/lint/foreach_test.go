package lint

import (
	"strings"
	"testing"

	"refline/internal/cfn"
)

// TestLoopsOverUnknownCollections: no finding comes from a value that a loop
// would have if one knew its collection.
func TestLoopsOverUnknownCollections(t *testing.T) {
	t.Parallel()
	const head = "Transform: AWS::LanguageExtensions\nParameters:\n  Names: {Type: CommaDelimitedList}\nMappings:\n  Sizes:\n    small: {Days: 3}\nResources:\n"
	for name, body := range map[string]string{
		"a name with a pattern (E3031)": `  Fn::ForEach::Keys:
    - N
    - {Ref: Names}
    - Key&{N}:
        Type: AWS::KMS::Alias
        Properties: {AliasName: {"Fn::Sub": "${N}"}, TargetKeyId: {"Fn::Sub": "${N}"}}
`,
		"an id of a subnet (E1151, E1161)": `  Fn::ForEach::Servers:
    - N
    - {Ref: Names}
    - Server&{N}:
        Type: AWS::EC2::Instance
        Properties: {SubnetId: {Ref: N}, ImageId: {Ref: N}, SecurityGroupIds: [{Ref: N}, "${N}"]}
`,
		"a number and an enum (E3012, E3030)": `  Fn::ForEach::Queues:
    - N
    - {Ref: Names}
    - Queue&{N}:
        Type: AWS::SQS::Queue
        Properties: {DelaySeconds: {Ref: N}}
      Bucket&{N}:
        Type: AWS::S3::Bucket
        Properties: {VersioningConfiguration: {Status: "${N}"}}
`,
		"a key (E1164)": `  Fn::ForEach::Buckets:
    - N
    - {Ref: Names}
    - Topic&{N}:
        Type: AWS::SNS::Topic
        Properties: {KmsMasterKeyId: {Ref: N}, TopicName: !Sub "${N}-x"}
`,
		"a zone (W3010)": `  Fn::ForEach::Volumes:
    - N
    - {Ref: Names}
    - Volume&{N}:
        Type: AWS::EC2::Volume
        Properties: {AvailabilityZone: {Ref: N}, Size: 1}
`,
		"a key of a mapping": `  Fn::ForEach::Queues:
    - N
    - {Ref: Names}
    - Queue&{N}:
        Type: AWS::SQS::Queue
        Properties: {DelaySeconds: {"Fn::FindInMap": [Sizes, {Ref: N}, Days]}}
`,
		"a loop in a loop": `  Fn::ForEach::Outer:
    - N
    - {Ref: Names}
    - Fn::ForEach::Inner:
        - M
        - [{Ref: N}, b]
        - Queue&{N}&{M}:
            Type: AWS::SQS::Queue
            Properties: {DelaySeconds: {Ref: M}}
`,
		"properties that a loop makes": `  Fn::ForEach::Queues:
    - N
    - {Ref: Names}
    - Queue&{N}:
        Type: AWS::SQS::Queue
        Properties: {"&{N}": 1}
`,
		"a dependency on what a loop makes": `  Fn::ForEach::Pairs:
    - P
    - {Ref: Names}
    - "${P}T": {Type: AWS::SNS::Topic}
      "${P}Q": {Type: AWS::SQS::Queue, DependsOn: [!Sub "${P}T"]}
`,
		"a dependency, where all is known": `  Fn::ForEach::Pairs:
    - P
    - [One, Two]
    - "${P}T": {Type: AWS::SNS::Topic}
      "${P}Q": {Type: AWS::SQS::Queue, DependsOn: !Sub "${P}T"}
`,
		"attributes of what a loop makes (E6101)": `  Fn::ForEach::Buckets:
    - N
    - {Ref: Names}
    - Bucket&{N}: {Type: AWS::S3::Bucket}
Outputs:
  Fn::ForEach::Outputs:
    - N
    - {Ref: Names}
    - "A&{N}": {Value: !GetAtt [!Sub "Bucket${N}", Arn]}
      "B&{N}": {Value: !GetAtt [!Join ["", [Bucket, !Ref N]], Arn]}
      "C&{N}": {Value: {Ref: !Sub "Bucket${N}"}}
      "D&{N}": {Value: {Ref: !Join ["", [Bucket, !Ref N]]}}
      "E&{N}": {Value: !GetAtt [!Sub "Bucket${N}${AWS::Region}", Arn]}
      "F&{N}": {Value: !Sub ["${X}", {X: !GetAtt [!Sub "Bucket${N}", Arn]}]}
`,
		"attributes that a loop names (E6101)": `  Bucket: {Type: AWS::S3::Bucket}
Outputs:
  Fn::ForEach::Outputs:
    - N
    - {Ref: Names}
    - "A&{N}": {Value: !GetAtt [Bucket, !Ref N]}
      "B&{N}": {Value: !GetAtt [Bucket, !Sub "${N}"]}
      "C&{N}": {Value: !GetAtt "Bucket.${N}"}
      "D&{N}": {Value: {"Fn::GetAtt": [Bucket, "${N}"]}}
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl, err := cfn.Parse("t.yml", []byte(head+body))
			if err != nil {
				t.Fatal(err)
			}
			found, err := Lint(t.Context(), tmpl, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Rule != "W7001" && f.Rule != "W2001" { // the mapping and the parameter are not for every case
					t.Errorf("%s: %s", f.Rule, f)
				}
			}
		})
	}
}

// TestLoopsStillFindWhatIsWritten: what is wrong whatever the values are.
func TestLoopsStillFindWhatIsWritten(t *testing.T) {
	t.Parallel()
	tmpl, err := cfn.Parse("t.yml", []byte(`Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList}
Resources:
  Fn::ForEach::Queues:
    - N
    - {Ref: Names}
    - Queue&{N}:
        Type: AWS::SQS::Queue
        DependsOn: [Missing]
        Properties: {DelaySeconds: never, Nmae: {Ref: N}}
`))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Lint(t.Context(), tmpl, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range found {
		rules = append(rules, f.Rule)
	}
	if got, want := strings.Join(rules, " "), "E3005 E3012 E3002"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
}

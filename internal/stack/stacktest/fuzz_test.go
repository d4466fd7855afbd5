package stacktest

import (
	"errors"
	"net/http/httptest"
	"net/url"
	"testing"
)

// No template makes the cloud fall over; it answers in its own words. The calls
// are made without HTTP, whose timing would lead the fuzzer astray.
func FuzzTemplate(f *testing.F) {
	f.Add(`{"Parameters": {"P": {"Type": "CommaDelimitedList", "Default": "a,b"}}, "Mappings": {"M": {"a": {"b": "c"}}},
		"Conditions": {"C": {"Fn::Equals": [{"Ref": "P"}, "a"]}, "D": {"Fn::Or": [{"Condition": "C"}, {"Fn::Not": [{"Condition": "C"}]}]}},
		"Resources": {"A": {"Type": "AWS::SNS::Topic", "Condition": "D", "Properties": {"TopicName": {"Fn::Sub": ["${x}-${AWS::Region}", {"x": {"Fn::Select": ["0", {"Ref": "P"}]}}]}}},
			"B": {"Type": "AWS::S3::Bucket", "DependsOn": "A", "Properties": {"Tags": [{"Fn::If": ["C", {"Key": "k", "Value": {"Fn::FindInMap": ["M", "a", "b"]}}, {"Ref": "AWS::NoValue"}]}]}}},
		"Outputs": {"O": {"Value": {"Fn::Join": ["", ["a", {"Fn::GetAtt": ["B", "Arn"]}]]}, "Export": {"Name": "e"}}}}`)
	f.Add("Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: {DisplayName: !Sub '${AWS::Region}', TopicName: !GetAtt A.B}\n")
	f.Add("a: &a [*a, *a]")
	f.Add(`{"Conditions": {"A": {"Fn::And": [{"Condition": "A"}, {"Condition": "A"}]}}, "Resources": {"R": {"Type": "X", "Condition": "A"}}}`)
	f.Add(`{"Resources": {"R": {"Type": "X", "Properties": {"a": {"Fn::Select": ["9", {"Fn::Split": ["", ""]}]}, "b": {"Fn::Cidr": ["10.0.0.0/8", "9", "99"]}}}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := empty()
		s.http = &httptest.Server{URL: "http://127.0.0.1"}
		ask := func(action operation, values ...string) error {
			v := url.Values{}
			for i := 0; i < len(values); i += 2 {
				v.Set(values[i], values[i+1])
			}
			_, err := action(call{identity{account: Account, region: Region}, v})
			return err
		}
		if err := ask(s.createChangeSet, "StackName", "app", "ChangeSetName", "a", "ChangeSetType", "CREATE", "TemplateBody", body); err != nil {
			if f := (*fault)(nil); !errors.As(err, &f) {
				t.Fatalf("not an answer: %v", err)
			}
			return
		}
		for _, err := range []error{
			ask(s.describeChangeSet, "StackName", "app", "ChangeSetName", "a", "IncludePropertyValues", "true"),
			ask(s.executeChangeSet, "StackName", "app", "ChangeSetName", "a"),
			ask(s.describeStacks, "StackName", "app"),
			ask(s.deleteStack, "StackName", "app"),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

package stacktest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Inputs and results after the service's documentation of Fn::ForEach.
func TestLoops(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, want, err string }{
		{"a list", `"Resources": {"Fn::ForEach::Topics": ["Name", ["A", "B"], {"Topic${Name}": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Name"}}}}]}`,
			`{"TopicA": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "A"}}, "TopicB": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "B"}}}`, ""},
		{"a parameter", `"Resources": {"Fn::ForEach::Topics": ["Name", {"Ref": "Names"}, {"T${Name}": {"Type": "AWS::SNS::Topic"}}]}`,
			`{"Tx": {"Type": "AWS::SNS::Topic"}, "Ty": {"Type": "AWS::SNS::Topic"}}`, ""},
		{"a mapping", `"Mappings": {"M": {"dev": {"Names": ["p", "q"]}}}, "Resources": {"Fn::ForEach::T": ["N", {"Fn::FindInMap": ["M", "dev", "Names"]}, {"T${N}": {"Type": "AWS::SNS::Topic"}}]}`,
			`{"Tp": {"Type": "AWS::SNS::Topic"}, "Tq": {"Type": "AWS::SNS::Topic"}}`, ""},
		{"without signs", `"Resources": {"Fn::ForEach::T": ["Ip", ["10.0.0.1"], {"T&{Ip}": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "${Ip}"}}}]}`,
			`{"T10001": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": "10.0.0.1"}}}`, ""},
		{"one in the other", `"Resources": {"Fn::ForEach::X": ["X", ["A", "B"], {"Fn::ForEach::Y": ["Y", ["1", "2"], {"T${X}${Y}": {"Type": "AWS::SNS::Topic"}}]}]}`,
			`{"TA1": {"Type": "AWS::SNS::Topic"}, "TA2": {"Type": "AWS::SNS::Topic"}, "TB1": {"Type": "AWS::SNS::Topic"}, "TB2": {"Type": "AWS::SNS::Topic"}}`, ""},
		{"no loop", `"Resources": {"Fn::ForEach::X": ["X", ["A"]]}`, "", "Fn::ForEach::X layout is incorrect"},
		{"twice the same", `"Resources": {"Fn::ForEach::X": ["X", ["A", "B"], {"T": {"Type": "AWS::SNS::Topic"}}]}`, "", "a key T exists already"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body := `{"Transform": "AWS::LanguageExtensions", "Parameters": {"Names": {"Type": "CommaDelimitedList", "Default": "x,y"}}, ` + tc.body + `}`
			got, err := parseTemplate(body)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var have struct{ Resources any }
			var want any
			if json.Unmarshal([]byte(got.processed), &have) != nil || json.Unmarshal([]byte(tc.want), &want) != nil {
				t.Fatalf("no JSON: %s", got.processed)
			}
			if diff := cmp.Diff(want, have.Resources); diff != "" {
				t.Error(diff)
			}
			if n := len(want.(map[string]any)); len(got.resources) != n {
				t.Errorf("got %d resources, want %d", len(got.resources), n)
			}
		})
	}
	_, err := parseTemplate(`{"Resources": {"Fn::ForEach::X": ["X", ["A"], {"T${X}": {"Type": "AWS::SNS::Topic"}}]}}`)
	if err == nil || !strings.Contains(err.Error(), "non alphanumeric") {
		t.Errorf("a loop without the transform: got %v", err)
	}
}

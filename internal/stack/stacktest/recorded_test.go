package stacktest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/google/go-cmp/cmp"
)

// recording reads what the real service answered in one test of a file.
func recording(t *testing.T, file, test string) map[string]any {
	t.Helper()
	folder := os.Getenv("REFLINE_CONFORMANCE")
	if folder == "" {
		t.Skip("REFLINE_CONFORMANCE is not set: it names the folder with recorded answers of AWS (cloudformation/recorded)")
	}
	raw, err := os.ReadFile(filepath.Join(folder, "cloudformation", "recorded", file+".snapshot.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct {
		Content map[string]any `json:"recorded-content"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for name, one := range all {
		if name[strings.LastIndex(name, "::")+2:] == test {
			return one.Content
		}
	}
	t.Fatalf("%s has no recording of %s", file, test)
	return nil
}

// answer is an SDK's struct as the recordings have it.
func answer(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return tidy(out)
}

// tidy drops what was not sent, reads JSON within strings, and sorts what has
// no order.
func tidy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			if item == nil || item == "" && k != "PhysicalResourceId" || k == "ResultMetadata" || k == "ResponseMetadata" {
				continue
			}
			s, isText := item.(string)
			if isText && (k == "BeforeContext" || k == "AfterContext" || k == "ResourceProperties") {
				var inner any
				if json.Unmarshal([]byte(s), &inner) == nil {
					item = inner
				}
			}
			out[k] = tidy(item)
		}
		// The service tells of some additions that they replace; it has
		// stopped and begun again over the years of the recordings.
		if out["Action"] == "Add" {
			delete(out, "Replacement")
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, tidy(item))
		}
		slices.SortStableFunc(out, func(a, b any) int { return strings.Compare(orderOf(a), orderOf(b)) })
		return out
	default:
		return v
	}
}

// orderOf sorts the causes of a change, which come in any order.
func orderOf(v any) string {
	m, _ := v.(map[string]any)
	if key, ok := m["ParameterKey"]; ok {
		return fmt.Sprint(key)
	}
	if _, ok := m["ChangeSource"]; !ok {
		return ""
	}
	raw, _ := json.Marshal(m)
	return fmt.Sprint(m["ChangeSource"], m["CausingEntity"], string(raw))
}

// same compares with a recording, where <…> stands for what differs between
// two runs of the service.
func same(t *testing.T, what string, recorded, got any) {
	t.Helper()
	recorded = blank(tidy(recorded), "")
	if diff := cmp.Diff(recorded, wildcards(recorded, blank(got, ""))); diff != "" {
		t.Errorf("%s differs from the service (-recorded +got):\n%s", what, diff)
	}
}

// wildcards puts the recording's placeholders where ours has any value.
func wildcards(recorded, got any) any {
	switch r := recorded.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return got
		}
		out := map[string]any{}
		for k, v := range g {
			out[k] = wildcards(r[k], v)
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(r) {
			return got
		}
		out := []any{}
		for i := range g {
			out = append(out, wildcards(r[i], g[i]))
		}
		return out
	case string:
		if g, ok := got.(string); ok && g != "" && (strings.Contains(r, "<") || r == "datetime" || r == "timestamp") {
			return r
		}
	}
	return got
}

// blank hides names that the service invents.
func blank(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = blank(item, k)
		}
		return out
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, blank(item, key))
		}
		return out
	case string:
		if v != "" && (key == "PhysicalResourceId" || key == "EventId" || key == "ChangeSetName") {
			return "(invented)"
		}
	}
	return v
}

// Each pair of templates does what the recorded test of that name did; the
// answers must be the service's, field by field.
func TestChangeSetsAsRecorded(t *testing.T) {
	t.Parallel()
	topic := func(name, display string) string {
		return fmt.Sprintf(`{"Type": "AWS::SNS::Topic", "Properties": {"TopicName": %q, "DisplayName": %s}}`, name, display)
	}
	resources := func(parts ...string) string { return `{"Resources": {` + strings.Join(parts, ",") + `}}` }
	one := func(display string) string { return resources(`"Topic1": ` + topic("topic-name-1", display)) }
	two := func(name, display, second string) string {
		return resources(`"Topic1": `+topic(name, display), `"Topic2": `+topic("topic-name-2", second))
	}
	chain := func(display string) string {
		return resources(`"Topic1": `+topic("topic-name-1", display),
			`"Topic2": `+topic("topic-name-2", `{"Fn::GetAtt": ["Topic1", "DisplayName"]}`),
			`"Topic3": `+topic("topic-name-3", `{"Fn::GetAtt": ["Topic2", "DisplayName"]}`))
	}
	named := `{"Parameters": {"TopicName": {"Type": "String", "Default": "%s"}},
		"Resources": {"Foo": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "TopicName"}}}}}`
	parameter := `{"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Foo", "TopicName"]}}}`
	withParameter := `{"Parameters": {"TopicName": {"Type": "String"}}, "Resources": {"Parameter": ` + parameter + `,
		"Foo": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": {"Ref": "TopicName"}}}}}`
	mapped := `{"Mappings": {"SNSMapping": {"Key1": {"Val": "%s"}}}, "Resources": {"Topic1": {"Type": "AWS::SNS::Topic",
		"Properties": {"TopicName": "topic-name-1", "DisplayName": {"Fn::FindInMap": ["SNSMapping", "Key1", "Val"]}}}}}`
	conditional := func(condition string) string {
		return `{"Conditions": {"Yes": {"Fn::Equals": ["1", "1"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}}, "Resources": {
		"SNSTopic": {"Type": "AWS::SNS::Topic", "Condition": "` + condition + `", "Properties": {"TopicName": "topic-name-1"}},
		"TopicPlaceholder": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "topic-name-2"}}}}`
	}
	depending := func(without string) string {
		out := []string{`"Topic1": ` + topic("topic-name-1", `"display-value-1"`)}
		for _, n := range []string{"2", "n"} {
			if n != without {
				out = append(out, fmt.Sprintf(`"Topic%s": {"Type": "AWS::SNS::Topic", "DependsOn": "Topic1",
					"Properties": {"TopicName": "topic-name-%s", "DisplayName": "display-value-%s"}}`, n, n, n))
			}
		}
		return resources(out...)
	}
	getAtt, ref := `{"Fn::GetAtt": ["Topic1", "DisplayName"]}`, `{"Ref": "Topic1"}`
	cases := []struct {
		file, test    string
		first, second string
		values        [2]string // of the parameter TopicName
	}{
		{file: "test_change_set_fn_get_attr", test: "test_immutable_property_update_causes_resource_replacement",
			first: two("topic-name-1", `"value"`, getAtt), second: two("updated-topic-name-1", `"new_value"`, getAtt)},
		{file: "test_change_set_ref", test: "test_immutable_property_update_causes_resource_replacement",
			first: two("topic-name-1", `"value"`, ref), second: two("updated-topic-name-1", `"new_value"`, ref)},
		{file: "test_change_set_fn_get_attr", test: "test_direct_attribute_value_change_in_get_attr_chain",
			first: chain(`"display-value-1"`), second: chain(`"display-value-2"`)},
		{file: "test_change_set_parameters", test: "test_update_parameter_default_value",
			first: fmt.Sprintf(named, "topic-name-1"), second: fmt.Sprintf(named, "topic-name-2")},
		{file: "test_change_set_parameters", test: "test_update_parameter_default_value_with_dynamic_overrides",
			first: fmt.Sprintf(named, "default"), second: fmt.Sprintf(named, "default"), values: [2]string{"topic-name-1", "topic-name-2"}},
		{file: "test_change_sets", test: "test_parameter_changes", first: withParameter, second: withParameter, values: [2]string{"topic-1", "topic-2"}},
		{file: "test_change_set_fn_sub", test: "test_fn_sub_update_parameter_literal",
			first:  one(`{"Fn::Sub": ["Parameter interpolation: ${a}", {"a": "var_value_1"}]}`),
			second: one(`{"Fn::Sub": ["Parameter interpolation: ${a}, ${b}", {"a": "var_value_1", "b": "var_value_2"}]}`)},
		{file: "test_change_set_fn_join", test: "test_update_string_literal_delimiter_empty",
			first: one(`{"Fn::Join": ["", ["v1", "test"]]}`), second: one(`{"Fn::Join": ["-", ["v1", "test"]]}`)},
		{file: "test_change_set_mappings", test: "test_mapping_leaf_update",
			first: fmt.Sprintf(mapped, "display-value-1"), second: fmt.Sprintf(mapped, "display-value-2")},
		{file: "test_change_set_depends_on", test: "test_multiple_dependencies_deletion", first: depending(""), second: depending("2")},
		{file: "test_change_set_conditions", test: "test_condition_update_adds_resource", first: conditional("No"), second: conditional("Yes")},
	}
	for _, c := range cases {
		t.Run(c.file+"/"+c.test, func(t *testing.T) {
			t.Parallel()
			replay(t, recording(t, c.file, c.test), [2]string{c.first, c.second}, c.values)
		})
	}
}

func replay(t *testing.T, recorded map[string]any, templates, values [2]string) {
	k := start(t)
	kinds := [2]string{"CREATE", "UPDATE"}
	var id string
	for i := range 2 {
		n := fmt.Sprint(i + 1)
		in := &cloudformation.CreateChangeSetInput{StackName: aws.String("app"), ChangeSetName: aws.String("cs-" + n),
			ChangeSetType: cfntypes.ChangeSetType(kinds[i]), TemplateBody: &templates[i]}
		if values[i] != "" {
			in.Parameters = []cfntypes.Parameter{{ParameterKey: aws.String("TopicName"), ParameterValue: &values[i]}}
		}
		made, err := k.cfn.CreateChangeSet(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "create-change-set-"+n, recorded["create-change-set-"+n], answer(t, made))
		id = *made.StackId
		for name, with := range map[string]bool{"-prop-values": true, "": false} {
			out, err := k.cfn.DescribeChangeSet(t.Context(), &cloudformation.DescribeChangeSetInput{ChangeSetName: made.Id, IncludePropertyValues: &with})
			if err != nil {
				t.Fatal(err)
			}
			key := "describe-change-set-" + n + name
			same(t, key, recorded[key], answer(t, out))
		}
		k.execute(*made.Id)
		same(t, "post-create-"+n, recorded["post-create-"+n+"-describe"], answer(t, k.stack("app")))
	}
	if byResource, ok := recorded["per-resource-events"].(map[string]any); ok && byResource["Stack"] == nil {
		sameEvents(t, k, byResource)
	}
	if _, err := k.cfn.DeleteStack(t.Context(), &cloudformation.DeleteStackInput{StackName: &id}); err != nil {
		t.Fatal(err)
	}
	same(t, "delete-describe", recorded["delete-describe"], answer(t, k.stack(id)))
}

func sameEvents(t *testing.T, k *sdk, recorded map[string]any) {
	t.Helper()
	out, err := k.cfn.DescribeStackEvents(t.Context(), &cloudformation.DescribeStackEventsInput{StackName: aws.String("app")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]any{}
	for _, e := range out.StackEvents {
		got[*e.LogicalResourceId] = append(got[*e.LogicalResourceId], answer(t, e))
	}
	for name, events := range recorded {
		mine := name
		if strings.HasPrefix(name, "<stack-name") {
			mine = "app"
		}
		same(t, "events of "+name, events, any(got[mine]))
	}
}

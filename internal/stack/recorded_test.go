package stack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"refline/internal/stack/planfile"

	"refline/internal/cfn"
)

// recordedChange is a change as the service answers it.
type recordedChange struct {
	Action, LogicalResourceId, ResourceType, Replacement, PolicyAction string
	BeforeContext, AfterContext                                        json.RawMessage
	Details                                                            []struct {
		Target struct {
			Attribute, Name, Path, BeforeValue, AfterValue, AttributeChangeType, RequiresRecreation string
		}
		Evaluation, ChangeSource, CausingEntity string
	}
}

func (r recordedChange) ours() ResourceChange {
	c := ResourceChange{Action: r.Action, LogicalID: r.LogicalResourceId, Type: r.ResourceType, Replacement: r.Replacement,
		PolicyAction: r.PolicyAction, Before: string(r.BeforeContext), After: string(r.AfterContext)}
	for _, d := range r.Details {
		c.Details = append(c.Details, ChangeDetail{Attribute: d.Target.Attribute, Name: d.Target.Name, Path: d.Target.Path,
			Before: d.Target.BeforeValue, After: d.Target.AfterValue, AttributeChange: d.Target.AttributeChangeType,
			RequiresRecreation: d.Target.RequiresRecreation, Evaluation: d.Evaluation, ChangeSource: d.ChangeSource, CausingEntity: d.CausingEntity})
	}
	return c
}

// TestRecordedChanges reads what the service itself said of changes: each has
// an effect that agrees with it, and every value that it tells is shown.
func TestRecordedChanges(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("REFLINE_CONFORMANCE")
	if dir == "" {
		t.Skip("REFLINE_CONFORMANCE is not set: it names the folder with the recorded answers")
	}
	names, err := filepath.Glob(filepath.Join(dir, "cloudformation", "recorded", "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no recorded answers: %v", err)
	}
	found := map[planfile.Effect]int{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var all any
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
		eachRecorded(t, all, func(r recordedChange) {
			c := checkRecorded(t, filepath.Base(name), r)
			found[c.Effect]++
		})
	}
	for _, e := range []planfile.Effect{planfile.EffectAdd, planfile.EffectChange, planfile.EffectReplace, planfile.EffectRemove} {
		if found[e] == 0 {
			t.Errorf("no recorded change is %s: %v", e, found)
		}
	}
}

func eachRecorded(t *testing.T, v any, visit func(recordedChange)) {
	switch v := v.(type) {
	case map[string]any:
		if change, ok := v["ResourceChange"]; ok {
			text, err := json.Marshal(change)
			if err != nil {
				t.Fatal(err)
			}
			var r recordedChange
			if err := json.Unmarshal(text, &r); err == nil { // some details are placeholders
				visit(r)
			}
			return
		}
		for _, x := range v {
			eachRecorded(t, x, visit)
		}
	case []any:
		for _, x := range v {
			eachRecorded(t, x, visit)
		}
	}
}

func checkRecorded(t *testing.T, name string, r recordedChange) planfile.Change {
	tree, err := cfn.Parse("t.json", []byte(`{"Resources": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &Template{tree: tree, where: tree.Place}
	c := changeOf(r.ours(), tmpl, nil)
	want := map[string]planfile.Effect{"Add": planfile.EffectAdd, "Remove": planfile.EffectRemove, "Import": planfile.EffectImport}[r.Action]
	if r.Action == "Modify" {
		want = map[string]planfile.Effect{"True": planfile.EffectReplace, "False": planfile.EffectChange, "Conditional": planfile.EffectMaybe}[r.Replacement]
	}
	if c.Effect != want {
		t.Errorf("%s: %s of %s with replacement %s is %s, want %s", name, r.Action, r.LogicalResourceId, r.Replacement, c.Effect, want)
	}
	if (r.PolicyAction == "Delete" || r.PolicyAction == "ReplaceAndDelete") != (c.Data == planfile.DataLost) && r.PolicyAction != "" {
		t.Errorf("%s: %s with %s has data %q", name, r.LogicalResourceId, r.PolicyAction, c.Data)
	}
	for _, d := range r.Details {
		shown := false
		for _, p := range c.Properties {
			before, after := p.Before, p.After
			shown = shown || (d.Target.BeforeValue == "" || before != nil && *before == d.Target.BeforeValue) &&
				(d.Target.AfterValue == "" || after != nil && *after == d.Target.AfterValue)
		}
		if !shown {
			t.Errorf("%s: %s: %s → %s is not shown: %+v", name, r.LogicalResourceId, d.Target.BeforeValue, d.Target.AfterValue, c.Properties)
		}
	}
	seen := map[string]bool{}
	for _, p := range c.Properties {
		if seen[p.Path] {
			t.Errorf("%s: %s shows %s twice", name, r.LogicalResourceId, p.Path)
		}
		seen[p.Path] = true
	}
	return c
}

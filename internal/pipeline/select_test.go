package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSelect(t *testing.T) {
	t.Parallel()
	none := []string{}
	p := &Pipeline{
		Stages: []string{"build", "test", "deploy"},
		Jobs: []Job{
			{Name: "build", Stage: "build", When: WhenOnSuccess},
			{Name: "docs", Stage: "build", When: WhenOnSuccess},
			{Name: "unit", Stage: "test", When: WhenOnSuccess, DAG: true, Needs: []Need{{Job: "build"}, {Job: "lib", Project: "a/b"}}},
			{Name: "ask", Stage: "test", When: WhenManual},
			{Name: "part: [a]", Base: "part", Stage: "test", When: WhenOnSuccess, DAG: true},
			{Name: "part: [b]", Base: "part", Stage: "test", When: WhenOnSuccess, DAG: true},
			{Name: "deploy", Stage: "deploy", When: WhenOnSuccess},
			{Name: "alone", Stage: "deploy", When: WhenOnSuccess, Dependencies: &none},
			{Name: "of docs", Stage: "deploy", When: WhenOnSuccess, Dependencies: &[]string{"docs", "ask", "deploy", "gone"}},
			{Name: "of parts", Stage: "deploy", When: WhenOnSuccess, Dependencies: &[]string{"part"}},
		},
	}
	for _, c := range []struct {
		name  string
		jobs  []string
		needs bool
		want  []string
	}{
		{"a need comes along", []string{"unit"}, true, []string{"build", "unit"}},
		{"only", []string{"unit"}, false, []string{"unit"}},
		{"stages before, manual jobs not", []string{"deploy"}, true, []string{"build", "docs", "unit", "part: [a]", "part: [b]", "deploy"}},
		{"dependencies of earlier stages, manual jobs not", []string{"of docs"}, true, []string{"docs", "of docs"}},
		{"a dependency by its base name", []string{"of parts"}, true, []string{"part: [a]", "part: [b]", "of parts"}},
		{"the jobs of a stage after one of its needs", []string{"unit", "deploy"}, true, []string{"build", "docs", "unit", "part: [a]", "part: [b]", "deploy"}},
		{"unknown names", []string{"gone"}, true, nil},
		{"no dependencies", []string{"alone"}, true, []string{"alone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := Select(p, c.jobs, c.needs)
			var names []string
			for _, j := range got.Jobs {
				names = append(names, j.Name)
			}
			if d := cmp.Diff(c.want, names); d != "" {
				t.Error(d)
			}
			if _, err := NewGraph(got); err != nil {
				t.Error(err)
			}
		})
	}
	if n := len(p.Jobs[2].Needs); n != 2 {
		t.Errorf("the pipeline itself changed: %d needs", n)
	}
	if got := Select(p, []string{"unit"}, false).Jobs[0].Needs; len(got) != 1 || got[0].Project == "" {
		t.Errorf("only the need of another project stays, got %v", got)
	}
}

package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func TestPipelineIsStoredAndRead(t *testing.T) {
	t.Parallel()
	p := &Pipeline{Name: "n", Stages: []string{"a"}, Jobs: []Job{{
		Name: "j", Stage: "a", StartIn: Duration(90 * time.Second), Timeout: Duration(1500 * time.Millisecond), Dependencies: &[]string{},
		Environment: &Environment{Name: "e", Kubernetes: map[string]any{"namespace": "x"}},
		Run:         []RunEntry{{Name: "r", Inputs: map[string]any{"n": 1.5, "list": []any{"a", true, nil}}}},
	}}}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"format":1,"name":"n"`, `"start_in":90,`, `"timeout":1.5,`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is not in %s", want, data)
		}
	}
	back := &Pipeline{}
	if err := json.Unmarshal(data, back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func TestPipelineOfOtherFormats(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]errs.Kind{
		`{"format":2,"jobs":[]}`:                 errs.Conflict,
		`{"format":"one"}`:                       errs.Invalid,
		`{"jobs":[{"name":"a","timeout":"1h"}]}`: errs.Invalid,
		`{"jobs":[{"name":"a","timeout":1e30}]}`: errs.Invalid,
	} {
		if err := json.Unmarshal([]byte(text), &Pipeline{}); !errs.Is(err, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	var p Pipeline
	if err := json.Unmarshal([]byte(`{"stages":["a"]}`), &p); err != nil || len(p.Stages) != 1 {
		t.Errorf("without a format: %+v, %v", p, err)
	}
}

package definition

import (
	"context"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/source"
)

// A pipeline compiles without its repository from what was read of it once, with
// files that only another rule includes.
func TestCompileFrozen(t *testing.T) {
	t.Parallel()
	m := memory{
		".gitlab-ci.yml": "include:\n  - local: always.yml\n  - local: later.yml\n    rules: [{if: $LATER}]\n  - local: none.yml\n    rules: [{if: $NONE}]\njob:\n  script: echo\n  rules: [{exists: [data.csv]}]\n",
		"always.yml":     "a:\n  script: echo\n", "later.yml": "b:\n  script: echo\n", "data.csv": "1",
	}
	recorder := source.NewRecorder(m)
	if _, err := Compile(t.Context(), Request{Source: recorder, Trigger: pipeline.TriggerAPI}); err != nil {
		t.Fatal(err)
	}
	text, err := recorder.Freeze(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := recorder.Freeze(t.Context(), true); err != nil || string(again) != string(text) {
		t.Errorf("frozen twice it differs: %v", err)
	}
	frozen, err := source.ParseFrozen(text)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Compile(t.Context(), Request{Source: frozen, Trigger: pipeline.TriggerAPI, Variables: Variables{Pipeline: []pipeline.Variable{{Name: "LATER", Value: "1"}}}})
	if err != nil || d.Findings.Err() != nil {
		t.Fatal(err, d)
	}
	var names []string
	for _, j := range d.Pipeline.Jobs {
		names = append(names, j.Name)
	}
	if got := strings.Join(names, " "); got != "a b job" && got != "job a b" {
		t.Errorf("jobs %q", got)
	}
	if d.Facts.SHA != strings.Repeat("a", 40) || d.Facts.Branch != "main" {
		t.Errorf("facts %+v", d.Facts)
	}
	loader := frozen.Loader(gitlabci.Facts{})
	for _, c := range []struct {
		src  gitlabci.Source
		kind errs.Kind
		text string
	}{
		{gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "data.csv"}, errs.Unavailable, "is in the commit, but was not kept"},
		{gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "none.yml"}, errs.NotFound, "no file none.yml in the image of commit aaaaaaa"},
		{gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "../etc/passwd"}, errs.Invalid, "leaves the repository"},
		{gitlabci.Source{Kind: gitlabci.SourceLocal, Project: "other/project", Path: "a.yml"}, errs.Unavailable, "was not kept when the image was built"},
	} {
		if _, _, err := loader.Read(t.Context(), c.src); !errs.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%+v: %v, want %s: %s", c.src, err, c.kind, c.text)
		}
	}
	for _, bad := range []string{"", "[]", "{}", `{"facts":1}`} {
		if _, err := source.ParseFrozen([]byte(bad)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// An image says itself of which branch it is: that protects nothing, so a protected
// variable reaches neither its rules nor its jobs.
func TestUnprovenRefIsNotProtected(t *testing.T) {
	t.Parallel()
	m := memory{".gitlab-ci.yml": "job:\n  script: echo\nguarded:\n  script: echo\n  rules: [{if: $GUARD}]\n"}
	variables := Variables{
		Project:   []secret.Variable{{Name: "GUARD", Value: secret.NewString("x"), Environment: "*", Protected: true}},
		Protected: secret.ProtectedRefs{Branches: []string{"main", "*"}, Only: true},
	}
	for _, unproven := range []bool{false, true} {
		d, err := Compile(context.Background(), Request{Source: m, Trigger: pipeline.TriggerAPI, Variables: variables, Unproven: unproven})
		if err != nil {
			t.Fatal(err)
		}
		if d.Facts.Protected == unproven || len(d.Pipeline.Jobs) != map[bool]int{false: 2, true: 1}[unproven] {
			t.Errorf("unproven %v: protected %v, %d jobs", unproven, d.Facts.Protected, len(d.Pipeline.Jobs))
		}
		facts := d.RunFacts()
		facts.Image = "registry.example.com/flows@sha256:1"
		if variables.Protected.Protects(facts.Ref()) {
			t.Error("a run of an image counts as protected")
		}
	}
}

package definition

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

func TestIsScript(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]struct {
		head string
		want bool
	}{
		"flows/hello.py":  {"print()", true},
		"run.sh":          {"echo", true},
		"RUN.PY":          {"", true},
		"tool":            {"#!/usr/bin/env node\n", true},
		"a.rb":            {"#!ruby", true},
		"tool2":           {"no", false},
		".gitlab-ci.yml":  {"#! not for a yaml file", false},
		"ci.jsonnet":      {"{}", false},
		"empty":           {"", false},
		"binary":          {"\x7fELF", false},
		"py":              {"x", false},
		"dir.py/file.txt": {"", false},
	} {
		if got := isScript(file, []byte(c.head)); got != c.want {
			t.Errorf("isScript(%q) = %v", file, got)
		}
	}
}

func TestScriptCommand(t *testing.T) {
	t.Parallel()
	shell := `"$(command -v bash || command -v sh)" `
	for _, c := range []struct{ file, head, want string }{
		{"flows/hello.py", "import x", "python3 flows/hello.py"},
		{"hello.py", "#!/usr/bin/env python3\n", "python3 hello.py"},
		{"hello.py", "#!/usr/bin/env python\n", "python hello.py"},
		{"hello.py", "#!/usr/bin/python3.12 -u\n", "python3.12 -u hello.py"},
		{"hello.py", "#!/usr/bin/env -S python3 -u\n", "/usr/bin/env '-S python3 -u' hello.py"},
		{"hello", "#!/opt/python3\r\n", "python3 hello"},
		{"run.sh", "set -e", shell + "run.sh"},
		{"run.sh", "#!/bin/sh -e\nx", "/bin/sh -e run.sh"},
		{"run.sh", "#! /bin/bash", "/bin/bash run.sh"},
		{"tool", "#!/usr/bin/env node\n", "/usr/bin/env node tool"},
		{"tool", "#!/usr/bin/env -S a b", "/usr/bin/env '-S a b' tool"},
		{"odd name's/$x.sh", "", shell + `'odd name'\''s/$x.sh'`},
		{"-rf.sh", "", shell + "./-rf.sh"},
	} {
		p, err := scriptPipeline(c.file, []byte(c.head), nil, pythonScript{})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Jobs[0].Script; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: got %q, want %q", c.file, got, c.want)
		}
	}
}

func TestScriptPipeline(t *testing.T) {
	t.Parallel()
	p, err := scriptPipeline("my_flows/hello_flow.py", []byte("import x\n"), map[string]string{"who": "you & me", "dry-run": "", "DAY": "$HOME"}, pythonScript{})
	if err != nil {
		t.Fatal(err)
	}
	want := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{{
		Name: "hello_flow", Base: "hello_flow", Stage: "test", When: pipeline.WhenOnSuccess,
		Script: []string{`python3 my_flows/hello_flow.py '--DAY=$HOME' --dry-run= '--who=you & me'`},
		Variables: []pipeline.Variable{
			{Name: "PYTHONPATH", Value: "$CI_PROJECT_DIR/my_flows:$CI_PROJECT_DIR"},
			{Name: "PYTHONUNBUFFERED", Value: "1"},
			{Name: "REFLINE_INPUT_DAY", Value: "$HOME", Raw: true},
			{Name: "REFLINE_INPUT_dry_run", Raw: true},
			{Name: "REFLINE_INPUT_DRY_RUN", Raw: true},
			{Name: "REFLINE_INPUT_who", Value: "you & me", Raw: true},
			{Name: "REFLINE_INPUT_WHO", Value: "you & me", Raw: true},
		},
	}}}
	want.Jobs[0].Python = "my_flows/hello_flow.py"
	want.Jobs[0].Origin.File, want.Jobs[0].Origin.Line = "my_flows/hello_flow.py", 1
	if d := cmp.Diff(want, p); d != "" {
		t.Error(d)
	}

	for _, c := range []struct {
		file, head string
		inputs     map[string]string
		say        string
	}{
		{"data.csv", "a,b", nil, "not a script"},
		{"../x.sh", "", nil, "not inside"},
		{"/x.sh", "", nil, "not inside"},
		{"x.sh", "", map[string]string{"a b": ""}, `"a b"`},
		{"x.sh", "", map[string]string{"": ""}, "name"},
		{"x.sh", "", map[string]string{"1a": ""}, `"1a"`},
		{"x.sh", "", map[string]string{"a": "\x00"}, "zero"},
		{"x.sh", "", map[string]string{"a-b": "", "a_b": ""}, "same variable"},
		{"x.sh", "", map[string]string{"ab": "", "AB": ""}, "same variable"},
	} {
		_, err := scriptPipeline(c.file, []byte(c.head), c.inputs, pythonScript{})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s %q: %v", c.file, c.inputs, err)
		}
	}
}

// Whatever an input is, the script gets it as it was given.
func TestInputsReachTheScript(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh in PATH: install a POSIX shell")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "show.sh"), []byte(`printf '%s' "$1"`), 0o644); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.StringMatching(`[^\x00]{0,12}|.*['"$\\!\n ].*`).Draw(r, "value")
		value = strings.ReplaceAll(value, "\x00", "")
		p, err := scriptPipeline("show.sh", nil, map[string]string{"k": value}, pythonScript{})
		if err != nil {
			r.Fatal(err)
		}
		cmd := exec.Command(sh, "-c", p.Jobs[0].Script[0])
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil || string(out) != "--k="+value {
			r.Fatalf("got %q, %v, want %q", out, err, "--k="+value)
		}
	})
}

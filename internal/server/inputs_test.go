package server

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/api"
)

// inputsServer has the flow load of a repository with the tag v1, where it takes less.
func inputsServer(t *testing.T) *testServer {
	t.Helper()
	s := startServer(t, func(o *Options) { o.AllowFile, o.Environ = true, os.Environ() })
	s.work()
	repo := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(repo, "load.yml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", ".")
		git("commit", "-qm", "Change")
	}
	git("init", "-qb", "main")
	write("spec: {inputs: {day: {}}}\n---\nload: {script: [echo]}\n")
	git("tag", "v1")
	write(`
spec:
  inputs:
    day: {description: Which day, regex: '^\d+$'}
    limit: {type: number, default: 1.50, options: [1.5, 2]}
    tables: {type: array, default: [a, {b: 1}]}
    full: {type: boolean, default: no}
    where: {rules: [{if: '$[[ inputs.day ]] == "1"', options: [x, y], default: x}, {options: [y, z]}]}
---
load: {script: [echo], scirpt: 1}
`)
	ctx := t.Context()
	client, err := api.NewClient("http://server", s.owner, s.Transport())
	if err != nil {
		t.Fatal(err)
	}
	name, url := "data", "file://"+repo
	if _, err := client.AddProject(ctx, api.ProjectInput{Name: &name, URL: &url}); err != nil {
		t.Fatal(err)
	}
	in := api.FlowInput{Project: name, Name: "load", Path: "load.yml", Ref: "v1", RefKind: "tag", Inputs: map[string]any{"day": "7"}}
	if _, err := client.RegisterFlow(ctx, in); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFlowInputs(t *testing.T) {
	t.Parallel()
	s := inputsServer(t)
	get := func(query string) api.FlowInputs {
		t.Helper()
		r := s.do(request{path: "/api/v1/projects/data/flows/load/inputs" + query, token: s.owner})
		var out api.FlowInputs
		if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", query, r.StatusCode, r.body)
		}
		return out
	}
	day := "7"
	own := get("")
	want := []api.FlowInputField{{Name: "day", Type: "text", Value: &day}}
	if diff := cmp.Diff(want, own.Inputs); diff != "" || own.RefKind != "tag" || own.Ref != "v1" || own.Path != "load.yml" {
		t.Errorf("at the flow's ref %s %s: %s", own.RefKind, own.Ref, diff)
	}
	limit, tables, no := "1.5", `["a",{"b":1}]`, "false"
	branch := get("?ref=main")
	want = []api.FlowInputField{
		{Name: "day", Type: "text", Description: "Which day", Regex: `^\d+$`, Value: &day},
		{Name: "limit", Type: "number", Options: []string{"1.5", "2"}, Default: &limit},
		{Name: "tables", Type: "list", Default: &tables},
		{Name: "full", Type: "boolean", Default: &no},
		{Name: "where", Type: "text", Ruled: true, Options: []string{"x", "y", "z"}},
	}
	if diff := cmp.Diff(want, branch.Inputs); diff != "" || branch.RefKind != "branch" {
		t.Errorf("at a branch (%s): %s", branch.RefKind, diff)
	}
	if len(branch.Findings) != 1 || branch.Findings[0].Rule != "unknown-keyword" {
		t.Errorf("findings %+v", branch.Findings)
	}
	if c := get("?ref=" + branch.Commit[:12]); c.RefKind != "commit" || c.Commit != branch.Commit || len(c.Inputs) != 5 {
		t.Errorf("at a short commit: %+v", c)
	}
}

func TestFlowInputsRefuses(t *testing.T) {
	t.Parallel()
	s := inputsServer(t)
	for query, status := range map[string]int{
		"?ref=nothing": http.StatusNotFound, "?ref=../x": http.StatusBadRequest, "?ref_kind=tag": http.StatusBadRequest, "?ref_kind=tag&ref=main": http.StatusNotFound, "?ref_kind=x&ref=main": http.StatusUnprocessableEntity,
	} {
		if r := s.do(request{path: "/api/v1/projects/data/flows/load/inputs" + query, token: s.owner}); r.StatusCode != status {
			t.Errorf("%s: %d %s", query, r.StatusCode, r.body)
		}
	}
	other := s.token(TokenInput{Scopes: []string{"read"}, Project: 99})
	if r := s.do(request{path: "/api/v1/projects/data/flows/load/inputs", token: other}); r.StatusCode != http.StatusNotFound {
		t.Errorf("another project's token: %d %s", r.StatusCode, r.body)
	}
}

// Those who ask for the same at once wait for one answer; a mistake is not kept.
func TestInputViewsAreShared(t *testing.T) {
	t.Parallel()
	var v inputViews
	s := startServer(t, nil)
	view, own := v.take("a", s.now())
	second, again := v.take("a", s.now())
	if !own || again || view != second {
		t.Fatalf("own %v, then %v", own, again)
	}
	v.done(view, s.now(), api.FlowInputs{}, context.Canceled)
	if _, own := v.take("a", s.now()); !own {
		t.Error("an error is kept")
	}
	fresh, _ := v.take("b", s.now())
	v.done(fresh, s.now(), api.FlowInputs{}, nil)
	if _, own := v.take("b", s.now().Add(inputsKept)); own {
		t.Error("it is made again too early")
	}
	if _, own := v.take("b", s.now().Add(2*inputsKept)); !own {
		t.Error("it is kept for too long")
	}
}

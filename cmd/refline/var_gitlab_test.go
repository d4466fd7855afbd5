//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/forge/forgetest"
)

const gitlabToken4Test = "glpat-a-token-of-a-maintainer"

// withGitLab gives a person a project's variables on a GitLab.
func withGitLab(t *testing.T, vars ...forgetest.Variable) (*person, *forgetest.GitLab) {
	t.Helper()
	fake := forgetest.StartGitLab(t, "data/flows", gitlabToken4Test, vars...)
	p := newPerson(t)
	p.env = []string{"REFLINE_GITLAB_URL=" + fake.URL, "REFLINE_GITLAB_TOKEN=" + gitlabToken4Test, "GITLAB_TOKEN=", "CI_JOB_TOKEN="}
	return p, fake
}

func value(s string) *string { return &s }

// must runs a command that has to end well.
func (p *person) must(args ...string) string {
	p.t.Helper()
	out, code := p.refline(args...)
	if code != 0 {
		p.t.Fatalf("refline %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	if strings.Contains(out, "hunter") || strings.Contains(out, "glpat") {
		p.t.Errorf("refline %s shows a secret:\n%s", strings.Join(args, " "), out)
	}
	return out
}

func (p *person) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func TestVarPull(t *testing.T) {
	t.Parallel()
	p, fake := withGitLab(t,
		forgetest.Variable{Key: "TOKEN", Value: value("hunter2-hunter2"), Type: "env_var", Masked: true, Protected: true, Scope: "prod*"},
		forgetest.Variable{Key: "KUBECONFIG", Value: value("two\nlines"), Type: "file", Raw: true, Scope: "*", Description: "of the cluster"},
		forgetest.Variable{Key: "HIDDEN", Value: value("hunter3-hunter3"), Type: "env_var", Masked: true, Hidden: true, Scope: "*"},
	)
	pull := []string{"var", "pull", "--gitlab", "data/flows"}
	want := `+ TOKEN       prod*  new
+ KUBECONFIG  *      new
! HIDDEN      *      GitLab does not return hidden values; set it: refline var set HIDDEN
2 changed, 0 the same, 1 not possible`
	if d := cmp.Diff(want+"; nothing was done (--dry-run)\n", p.must(append(pull, "--dry-run")...)); d != "" {
		t.Error(d)
	}
	if out := p.must("var", "list"); strings.Contains(out, "TOKEN") {
		t.Errorf("--dry-run wrote:\n%s", out)
	}
	if d := cmp.Diff(want+"\n", p.must(pull...)); d != "" {
		t.Error(d)
	}
	out := p.must("var", "list")
	for _, line := range []string{"TOKEN       prod*        15 B  masked, protected, expanded", "KUBECONFIG  *            9 B   visible, file                of the cluster"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	if out := p.must(append(pull, "TOKEN")...); out != "0 changed, 1 the same, 0 not possible\n" {
		t.Errorf("again: %q", out)
	}
	if out, code := p.refline(append(pull, "TOKENS")...); code != 1 || !strings.Contains(out, `no variable TOKENS in data/flows; did you mean "TOKEN"?`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if fake.Writes() != 0 {
		t.Error("pull wrote to GitLab")
	}
}

func TestVarPush(t *testing.T) {
	t.Parallel()
	p, fake := withGitLab(t,
		forgetest.Variable{Key: "SAME", Value: value("hunter1-hunter1"), Type: "env_var", Masked: true, Raw: true, Scope: "*"},
		forgetest.Variable{Key: "CHANGED", Value: value("hunter2-hunter2"), Type: "env_var", Masked: true, Scope: "*"},
		forgetest.Variable{Key: "THERE", Value: value("only there"), Type: "env_var", Scope: "*"},
	)
	command(t, p.dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "deploy", "-f", "key")
	p.write("same", "hunter1-hunter1")
	p.write("changed", "hunter3-hunter3")
	p.write("lines", "hunter4\nin two lines")
	for _, set := range [][]string{
		{"SAME=@same"}, {"CHANGED=@changed"}, {"NEW=@same", "--env", "review/*", "--protected"}, {"LINES=@lines"}, {"KEY=@key"}, {"VISIBLE=@lines", "--visible", "--as-file"},
	} {
		p.must(append([]string{"var", "set"}, set...)...)
	}
	want := `~ CHANGED  *         changed
+ NEW      review/*  new
! LINES    *         GitLab cannot mask it: it has line breaks
! KEY      *         GitLab cannot mask it: it has line breaks; it is a key: refline key split --one-line
+ VISIBLE  *         new
3 changed, 1 the same, 2 not possible`
	push := []string{"var", "push", "--gitlab", "data/flows"}
	out, code := p.refline(append(push, "--dry-run")...)
	if d := cmp.Diff(want+"; nothing was done (--dry-run)\n", out); d != "" || code != 1 {
		t.Errorf("exit code %d\n%s", code, d)
	}
	if fake.Writes() != 0 {
		t.Error("--dry-run wrote to GitLab")
	}
	out, code = p.refline(push...)
	if d := cmp.Diff(want+"\n", out); d != "" || code != 1 {
		t.Errorf("exit code %d\n%s", code, d)
	}
	there := []forgetest.Variable{
		{Key: "SAME", Value: value("hunter1-hunter1"), Type: "env_var", Masked: true, Raw: true, Scope: "*"},
		{Key: "CHANGED", Value: value("hunter3-hunter3"), Type: "env_var", Masked: true, Raw: true, Scope: "*"},
		{Key: "THERE", Value: value("only there"), Type: "env_var", Scope: "*"},
		{Key: "NEW", Value: value("hunter1-hunter1"), Type: "env_var", Masked: true, Protected: true, Raw: true, Scope: "review/*"},
		{Key: "VISIBLE", Value: value("hunter4\nin two lines"), Type: "file", Raw: true, Scope: "*"},
	}
	if d := cmp.Diff(there, fake.Variables()); d != "" {
		t.Error(d)
	}
}

func TestKeySplitToGitLab(t *testing.T) {
	t.Parallel()
	p, fake := withGitLab(t)
	command(t, p.dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a-comment-of-thirty-characters", "-f", "key")
	out, code := p.refline("key", "split", "--gitlab", "data/flows", "key")
	if code != 1 || !strings.Contains(out, "DEPLOY_KEY_6: GitLab cannot mask it: it has 6 characters") || fake.Writes() != 0 {
		t.Errorf("exit code %d, %d writes\n%s", code, fake.Writes(), out)
	}
	p.must("key", "split", "--one-line", "--gitlab", "data/flows", "key")
	vars := fake.Variables()
	if len(vars) != 1 || vars[0].Key != "DEPLOY_KEY" || !vars[0].Masked || !vars[0].Protected {
		t.Errorf("got %+v", vars)
	}
	if out, code := p.refline("key", "split", "--one-line", "--gitlab", "data/flows", "key"); code != 1 || !strings.Contains(out, "DEPLOY_KEY is in data/flows already") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func TestGitLabTokens(t *testing.T) {
	t.Parallel()
	fake := forgetest.StartGitLab(t, "data/flows", gitlabToken4Test)
	for _, tc := range []struct {
		name string
		env  []string
		git  string // credential helper
		want string
		code int
	}{
		{name: "none", want: "no token for", code: 1},
		{name: "of the user", env: []string{"GITLAB_TOKEN=" + gitlabToken4Test}, want: "0 changed"},
		{name: "of a credential helper", git: "!f() { echo username=x; echo password=" + gitlabToken4Test + "; }; f", want: "0 changed"},
		{name: "of the job", env: []string{"CI_JOB_TOKEN=job"}, want: "a CI_JOB_TOKEN may not see", code: 1},
		{name: "of a developer", env: []string{"GITLAB_TOKEN=developer"}, want: "to maintainers only", code: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := newPerson(t)
			p.env = append([]string{"REFLINE_GITLAB_TOKEN=", "GITLAB_TOKEN=", "CI_JOB_TOKEN=", "REFLINE_GITLAB_URL="}, tc.env...)
			if tc.git != "" {
				command(t, p.home, "git", "config", "--file", filepath.Join(p.home, ".gitconfig"), "credential.helper", tc.git)
			}
			out, code := p.refline("var", "pull", "--gitlab", fake.URL+"/data/flows")
			if code != tc.code || !strings.Contains(out, tc.want) || strings.Contains(out, "glpat") {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tc.code, tc.want, out)
			}
		})
	}
}

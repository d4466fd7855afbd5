package forge_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/forge/forgetest"
	"refline/internal/secret"
)

const token = "glpat-a-token-of-a-maintainer"

func text(s string) *string { return &s }

func open(t *testing.T, url string, change func(*forge.GitLabOptions)) *forge.GitLab {
	t.Helper()
	o := forge.GitLabOptions{URL: url, Project: "data/flows", Token: secret.NewString(token)}
	if change != nil {
		change(&o)
	}
	g, err := forge.NewGitLab(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var sameVariable = cmp.Options{
	cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b) }), cmpopts.EquateEmpty(),
}

func TestVariables(t *testing.T) {
	t.Parallel()
	var vars []forgetest.Variable
	for i := range 230 { // three pages
		vars = append(vars, forgetest.Variable{Key: fmt.Sprintf("V%d", i), Value: text(fmt.Sprint("value ", i)), Type: "env_var", Scope: "*"})
	}
	vars[7] = forgetest.Variable{Key: "V7", Value: text("multi\nline"), Type: "file", Protected: true, Raw: true, Scope: "review/*", Description: "what for"}
	vars[8] = forgetest.Variable{Key: "V8", Value: text("hunter2-hunter2"), Type: "env_var", Masked: true, Hidden: true, Scope: "*"}
	fake := forgetest.StartGitLab(t, "data/flows", token, vars...)
	got, err := open(t, fake.URL, nil).Variables(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(vars) {
		t.Fatalf("got %d variables, want %d", len(got), len(vars))
	}
	want := []forge.ProjectVariable{
		{Variable: secret.Variable{Name: "V7", Value: secret.NewString("multi\nline"), Environment: "review/*", Protected: true, Raw: true, File: true, Description: "what for"}},
		{Variable: secret.Variable{Name: "V8", Environment: "*", Masked: true}, Hidden: true},
		{Variable: secret.Variable{Name: "V9", Value: secret.NewString("value 9"), Environment: "*"}},
	}
	if d := cmp.Diff(want, got[7:10], sameVariable); d != "" {
		t.Error(d)
	}
}

func TestCreateAndUpdate(t *testing.T) {
	t.Parallel()
	fake := forgetest.StartGitLab(t, "data/flows", token)
	g := open(t, fake.URL, nil)
	ctx := context.Background()
	v := forge.ProjectVariable{Variable: secret.Variable{
		Name: "TOKEN", Value: secret.NewString("hunter2-hunter2"), Environment: "production", Masked: true, Protected: true, Raw: true, Description: "d",
	}}
	other := v
	other.Environment = "*"
	hidden := forge.ProjectVariable{Variable: secret.Variable{Name: "H", Value: secret.NewString("hunter3-hunter3"), Environment: "*", Masked: true}, Hidden: true}
	for _, v := range []forge.ProjectVariable{v, other, hidden} {
		if err := g.Create(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Create(ctx, v); !errs.Is(err, errs.Conflict) {
		t.Errorf("created twice: %v", err)
	}
	v.Value, v.Protected, v.File = secret.NewString("hunter4-hunter4"), false, true
	if err := g.Update(ctx, v); err != nil {
		t.Fatal(err)
	}
	want := []forgetest.Variable{
		{Key: "TOKEN", Value: text("hunter4-hunter4"), Type: "file", Masked: true, Raw: true, Scope: "production", Description: "d"},
		{Key: "TOKEN", Value: text("hunter2-hunter2"), Type: "env_var", Masked: true, Protected: true, Raw: true, Scope: "*", Description: "d"},
		{Key: "H", Value: text("hunter3-hunter3"), Type: "env_var", Masked: true, Hidden: true, Scope: "*"},
	}
	if d := cmp.Diff(want, fake.Variables()); d != "" {
		t.Error(d)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	fake := forgetest.StartGitLab(t, "data/flows", token)
	ctx := context.Background()
	read := func(g *forge.GitLab) error { _, err := g.Variables(ctx); return err }
	unmaskable := secret.Variable{Name: "KEY", Value: secret.NewString("two\nlines of a key"), Environment: "*", Masked: true}
	for _, tc := range []struct {
		name   string
		change func(*forge.GitLabOptions)
		do     func(*forge.GitLab) error
		kind   errs.Kind
		want   string
	}{
		{"another project", func(o *forge.GitLabOptions) { o.Project = "data/none" }, read, errs.NotFound, "no project data/none"},
		{"a token that is wrong", func(o *forge.GitLabOptions) { o.Token = secret.NewString("glpat-wrong") }, read, errs.Denied, "does not take the token"},
		{"a token of a developer", func(o *forge.GitLabOptions) { o.Token = secret.NewString("developer") }, read, errs.Denied, "to maintainers only"},
		{"a job's token", func(o *forge.GitLabOptions) { o.Kind = forge.JobToken }, read, errs.NotFound, "a CI_JOB_TOKEN may not"},
		{"a value that cannot be masked", nil, func(g *forge.GitLab) error {
			return g.Create(ctx, forge.ProjectVariable{Variable: unmaskable})
		}, errs.Invalid, "write variable KEY"},
		{"a variable that is not there", nil, func(g *forge.GitLab) error {
			return g.Update(ctx, forge.ProjectVariable{Variable: secret.Variable{Name: "NONE", Environment: "*"}})
		}, errs.NotFound, "write variable NONE"},
		{"nobody answers", func(o *forge.GitLabOptions) { o.URL = "http://127.0.0.1:1" }, read, errs.Unavailable, "does not answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.do(open(t, fake.URL, tc.change))
			if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v: %v; want %v with %q", errs.KindOf(err), err, tc.kind, tc.want)
			}
			for _, s := range []string{token, "glpat", "lines of a key"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("the error holds a secret: %v", err)
				}
			}
		})
	}
}

// A server that quotes the value, or gives pages without end, does no harm.
func TestOddServers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	quotes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"message":{"value":["hunter2-hunter2 is bad"]}}`)
	}))
	t.Cleanup(quotes.Close)
	v := forge.ProjectVariable{Variable: secret.Variable{Name: "TOKEN", Value: secret.NewString("hunter2-hunter2"), Environment: "*"}}
	if err := open(t, quotes.URL, nil).Create(ctx, v); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Next-Page", "2")
		fmt.Fprint(w, `[]`)
	}))
	t.Cleanup(endless.Close)
	if _, err := open(t, endless.URL, nil).Variables(ctx); !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// Too many requests are asked again, and told of when that does not help.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var asked atomic.Int32
	busy := func(until int32) *forge.GitLab {
		asked.Store(0)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) <= until {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, `[{"key":"TOKEN","value":"hunter2-hunter2","environment_scope":"*"}]`)
		}))
		t.Cleanup(server.Close)
		return open(t, server.URL, nil)
	}
	if list, err := busy(1).Variables(ctx); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v", list, err)
	}
	_, err := busy(100).Variables(ctx)
	if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "429 Too Many Requests; try again in 7 s") {
		t.Errorf("got %v", err)
	}
}

func TestNewGitLabRefuses(t *testing.T) {
	t.Parallel()
	for url, kind := range map[string]errs.Kind{
		"http://gitlab.example.com": errs.Denied, "": errs.Invalid, "gitlab.example.com": errs.Invalid,
		"https://user:secret@gitlab.example.com": errs.Invalid, "ftp://gitlab.example.com": errs.Denied,
	} {
		_, err := forge.NewGitLab(forge.GitLabOptions{URL: url, Project: "a/b", Token: secret.NewString(token)})
		if !errs.Is(err, kind) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%q: got %v: %v, want %v", url, errs.KindOf(err), err, kind)
		}
	}
}

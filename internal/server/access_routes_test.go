package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/secret/secrettest"
)

// recording keeps every answer for a canary.
type recording struct {
	canary *secrettest.Canary
	next   http.Handler
}

func (r recording) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	rec := httptest.NewRecorder()
	r.next.ServeHTTP(rec, q)
	r.canary.Saw(q.Method+" "+q.URL.Path, rec.Body.Bytes())
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

func TestAccessByTheAPI(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	s.addTestProject(8, "data/other")
	const value = "kanarie-9c41d7aa-e0/+b"
	canary := secrettest.NewCanary(value)
	web := httptest.NewServer(recording{canary, s.Handler()})
	t.Cleanup(web.Close)
	client := func(token string) *api.Client {
		c, err := api.NewClient(web.URL, token, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ctx, owner := t.Context(), client(s.owner)
	good := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	v, err := owner.SetVariable(ctx, "data/flows", "TOKEN", "production/*", api.VariableInput{Value: ptr(value), Protected: ptr(true)})
	good(err)
	if v.Project != "data/flows" || v.Environment != "production/*" || !v.Protected || !v.Masked || v.Bytes != int64(len(value)) {
		t.Errorf("%+v", v)
	}
	_, err = owner.SetVariable(ctx, "", "SHARED", "", api.VariableInput{Value: ptr(value)})
	good(err)
	k, err := owner.AddKey(ctx, "data/flows", api.DeployKeyInput{Name: "wiki", Write: true, Repos: []string{"git@git.example.com:data/flows.wiki.git"}, KnownHosts: hostLine})
	good(err)
	if !strings.HasPrefix(k.Public, "ssh-ed25519 ") || !strings.Contains(k.Page, "/data/flows/-/settings/repository") || !strings.Contains(k.Advice, "allow it to write") {
		t.Errorf("%+v", k)
	}
	made, err := owner.AddToken(ctx, api.TokenInput{Name: "ci", Scopes: []string{"secret", "run"}, Project: "data/flows", Hours: 24})
	good(err)

	bound := client(made.Text)
	who, err := bound.Caller(ctx)
	good(err)
	if diff := cmp.Diff(api.Caller{Name: "token ci", Kind: "token", Project: "data/flows", Scopes: []string{"read", "run", "secret"}}, who); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	list, err := bound.Variables(ctx, "data/flows")
	good(err)
	if len(list) != 1 || list[0].Name != "TOKEN" {
		t.Errorf("%+v", list)
	}
	projects, err := bound.Projects(ctx)
	good(err)
	if len(projects) != 1 || projects[0].Name != "data/flows" {
		t.Errorf("a token of one project sees %+v", projects)
	}
	for name, f := range map[string]func(context.Context) error{
		"variables of another": func(ctx context.Context) error { _, err := bound.Variables(ctx, "data/other"); return err },
		"flows of another":     func(ctx context.Context) error { _, err := bound.Flows(ctx, "data/other", "", false); return err },
		"runs of another": func(ctx context.Context) error {
			_, err := bound.Runs(ctx, api.RunQuery{Project: "data/other"})
			return err
		},
		"a run of another": func(ctx context.Context) error {
			_, err := bound.StartRun(ctx, api.RunInput{Project: "data/other"})
			return err
		},
	} {
		if err := f(ctx); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "that this token can see") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func(context.Context) error{
		"variables of the server": func(ctx context.Context) error { _, err := bound.Variables(ctx, ""); return err },
		"a token":                 func(ctx context.Context) error { _, err := bound.AddToken(ctx, api.TokenInput{Name: "x"}); return err },
		"the audit":               func(ctx context.Context) error { _, err := bound.Audit(ctx, "", "", 10); return err },
		"other keys":              func(ctx context.Context) error { return bound.RotateSecretKeys(ctx, true) },
	} {
		if err := f(ctx); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good(owner.RotateSecretKeys(ctx, true))
	good(bound.RemoveVariable(ctx, "data/flows", "TOKEN", "production/*"))
	good(bound.RemoveKey(ctx, "data/flows", "wiki"))
	link, err := owner.SignInLink(ctx)
	good(err)
	if page := s.do(request{path: link.Path}); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "works once") {
		t.Errorf("the link %s: %d", link.Path[:8], page.StatusCode)
	}
	tokens, err := owner.Tokens(ctx)
	good(err)
	if len(tokens) != 2 || tokens[1].Project != "data/flows" {
		t.Errorf("%+v", tokens)
	}
	good(owner.RevokeToken(ctx, made.ID))
	if _, err := bound.Caller(ctx); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked token: %v", err)
	}
	checkAudit(t, owner)
	canary.Saw("log", []byte(s.log.String()))
	canary.Check(t, s.data)
}

// checkAudit pages through the audit, which has each change once.
func checkAudit(t *testing.T, owner *api.Client) {
	t.Helper()
	var got []string
	for cursor := ""; ; {
		page, err := owner.Audit(t.Context(), "", cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			got = append(got, e.Actor+" "+e.Action+" "+e.Project)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	want := []string{
		"owner token.revoke data/flows", "owner token.create ", // the sign-in link
		"token ci key.remove data/flows", "token ci variable.remove data/flows", "owner vault.retire ", "owner vault.rotate ",
		"owner token.create data/flows", "owner key.create data/flows", "owner variable.create ", "owner variable.create data/flows",
		"start of the server token.create ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit (-want +got)\n%s", diff)
	}
}

// A key that a project is reached with is not removed.
func TestKeyInUse(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	s.newKey(7, "read", false)
	got := s.do(request{method: "PATCH", path: "/api/v1/projects/data%2Fflows", token: s.owner, body: `{"key": "read"}`, header: map[string]string{"Content-Type": "application/json"}})
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	got = s.do(request{method: "DELETE", path: "/api/v1/projects/data%2Fflows/keys/read", token: s.owner})
	if got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "project set data/flows --key") {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
}

// What belongs to a project alone goes with it.
func TestSecretsGoWithTheirProject(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	s.setVariable(7, kept("TOKEN", "project-token", "*", false))
	s.setVariable(0, kept("SHARED", "server-token", "*", false))
	s.newKey(7, "read", false)
	bound := s.token(TokenInput{Scopes: []string{"read"}, Project: 7})
	if got := s.do(request{method: "DELETE", path: "/api/v1/projects/data%2Fflows", token: s.owner}); got.StatusCode >= 300 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if got := s.do(request{path: "/api/v1/projects", token: bound}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the project's token: %d", got.StatusCode)
	}
	variables, err := s.store.Variables(t.Context(), 7, 0)
	if err != nil || len(variables) != 1 || variables[0].Name != "SHARED" {
		t.Errorf("%d variables, %v", len(variables), err)
	}
	if keys, err := s.store.Keys(t.Context(), 7); err != nil || len(keys) != 0 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

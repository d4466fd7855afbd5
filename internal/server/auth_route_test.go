package server

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// Every operation of the API is a route with an action, and actions of routes that
// change something are more than to read.
func TestEveryRouteHasAnAction(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	if len(s.router.needs) < 20 {
		t.Fatalf("%d routes: the walk sees too little", len(s.router.needs))
	}
	for pattern, n := range s.router.needs {
		if !n.action.known() {
			t.Errorf("%s: unknown action %q", pattern, n.action)
		}
		method, path, _ := strings.Cut(pattern, " ")
		if method != http.MethodGet && (n.action == actRead || n.or == actRead) {
			t.Errorf("%s changes something, and its action is read", pattern)
		}
		if path == "" {
			path = pattern
		}
		if path == "/runner/v1/token" { // the pod's token in the body says who asks
			continue
		}
		if strings.HasPrefix(path, "/runner/") != (n.action == actRunner || n.action == actAttempt) {
			t.Errorf("%s: its action is %s; /runner is for runners and attempts, all else is not", pattern, n.action)
		}
		if n.action == actAttempt && !strings.Contains(path, "{fence}") {
			t.Errorf("%s: the path of a call about an attempt has {fence}", pattern)
		}
		if n.action == actPublic && strings.HasPrefix(path, "/api/") && path != "/api/v1/openapi.json" {
			t.Errorf("%s: an operation of the API is public", pattern)
		}
	}
}

// A route that is registered past the router has no action. So only the router's
// file uses what can register one.
func TestRoutesAreRegisteredByTheRouterOnly(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	forbidden := []string{"http.NewServeMux", "http.Handle", "http.HandleFunc", "http.DefaultServeMux", "huma.Register", "huma.Get", "huma.Post", "huma.Put",
		"huma.Patch", "huma.Delete", "huma.Head", "huma.AutoRegister", "humago.New", "humago.NewWithPrefix", "sse.Register"}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			if name := x.Name + "." + selector.Sel.Name; slices.Contains(forbidden, name) {
				found++
				// The routes of the runner protocol are below two that have the actions.
				if file != "auth_route.go" && (file != "runner.go" || name != "http.NewServeMux") {
					t.Errorf("%s uses %s: register routes with op, router.handle or router.plain", file, name)
				}
			}
			return true
		})
	}
	if found == 0 {
		t.Error("the walk found not even the router's own uses")
	}
}

func TestRouteWithoutActionDoesNotStart(t *testing.T) {
	t.Parallel()
	panics := func(f func()) (text string) {
		defer func() { text = fmt.Sprint(recover()) }()
		f()
		return ""
	}
	r := newRouter(nil, nil)
	if got := panics(func() { r.handle("GET /x", action(""), nil) }); !strings.Contains(got, "unknown action") {
		t.Errorf("a route without an action: %s", got)
	}
	if got := panics(func() { r.handle("GET /x", action("everything"), nil) }); !strings.Contains(got, "unknown action") {
		t.Errorf("an unknown action: %s", got)
	}
	a := r.newAPI(huma.DefaultConfig("x", "1"))
	if got := panics(func() { huma.Get(a, "/y", func(_ context.Context, _ *struct{}) (*struct{}, error) { return nil, nil }) }); !strings.Contains(got, "has no action") {
		t.Errorf("an operation past op: %s", got)
	}
}

// mayTable says which scope or kind of actor has which action.
func mayTable() map[string][]action {
	return map[string][]action{
		"nobody":  {},
		"owner":   {actRead, actRun, actDeploy, actWrite, actSecret, actAdmin},
		"admin":   {actRead, actRun, actDeploy, actWrite, actSecret, actAdmin},
		"read":    {actRead},
		"run":     {actRead, actRun},
		"deploy":  {actRead, actRun, actDeploy},
		"write":   {actRead, actRun, actWrite},
		"secret":  {actRead, actSecret},
		"runner":  {actRunner, actAttempt},
		"attempt": {actAttempt},
		"session": {actRead, actRun},
	}
}

// Who may do what, through HTTP: all kinds of actors against all actions.
func TestActions(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	attempt, err := s.secrets.NewAttemptToken(t.Context(), 7, 42, s.now().Add(3600e9))
	if err != nil {
		t.Fatal(err)
	}
	as := map[string]request{
		"nobody":  {},
		"owner":   {token: s.owner},
		"runner":  {token: s.token(TokenInput{Runner: true})},
		"attempt": {token: attempt.RevealString()},
	}
	for _, scope := range scopes() {
		as[string(scope)] = request{token: s.token(TokenInput{Scopes: []string{string(scope)}})}
	}
	as["session"] = request{cookie: s.signInWith(s.token(TokenInput{Scopes: []string{"run"}}))}
	for _, a := range append(scopes(), actRunner, actAttempt, actPublic, actHook) {
		path := "/test/" + string(a)
		if a == actAttempt {
			path += "/{fence}"
		}
		s.router.handle("GET "+path, a, func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, actorOf(r.Context())) })
	}
	checked := 0
	for who, may := range mayTable() {
		q, known := as[who]
		if !known {
			t.Fatalf("no actor %s", who)
		}
		for _, a := range append(scopes(), actRunner, actAttempt, actPublic, actHook) {
			q.path = "/test/" + string(a)
			if a == actAttempt {
				q.path += "/42"
			}
			want := http.StatusForbidden
			switch {
			case a.open() || slices.Contains(may, a):
				want = http.StatusOK
			case who == "nobody":
				want = http.StatusUnauthorized
			}
			checked++
			if got := s.do(q); got.StatusCode != want {
				t.Errorf("%s, action %s: %d %s, want %d", who, a, got.StatusCode, got.body, want)
			}
		}
	}
	if want := 11 * 10; checked != want {
		t.Errorf("%d checks, want %d", checked, want)
	}
	q := as["attempt"]
	q.path = "/test/attempt/43"
	if got := s.do(q); got.StatusCode != http.StatusForbidden || !strings.Contains(got.body, "for attempt 42 only") {
		t.Errorf("an attempt's token at another attempt: %d %s", got.StatusCode, got.body)
	}
}

func TestTokenOfAProject(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	s.addTestProject(8, "data/other")
	tok := s.token(TokenInput{Scopes: []string{"read"}, Project: 7})
	for path, want := range map[string]int{
		"/api/v1/projects/data%2Fflows": http.StatusOK,
		"/api/v1/projects/data%2Fother": http.StatusNotFound,
		"/api/v1/projects/none":         http.StatusNotFound,
		"/api/v1/runs/17":               http.StatusNotFound,
		"/api/v1/runs/x":                http.StatusNotFound,
		"/api/v1/runtimes":              http.StatusForbidden, // concerns the whole server
	} {
		if got := s.do(request{path: path, token: tok}); got.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, got.StatusCode, got.body, want)
		}
	}
	// What is not there and what is not seen have the same answer.
	one := s.do(request{path: "/api/v1/projects/data%2Fother", token: tok}).problem(t)
	two := s.do(request{path: "/api/v1/projects/data%2Fnone", token: tok}).problem(t)
	if strings.ReplaceAll(one.Detail, "other", "none") != two.Detail {
		t.Errorf("the answers differ: %q and %q", one.Detail, two.Detail)
	}
}

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
)

// testServer is a server with a clock of its own, whose answers can be captured.
type testServer struct {
	*Server
	t     *testing.T
	data  string
	log   *lockedBuffer
	owner string

	mu    sync.Mutex
	clock time.Time
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *testServer) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *testServer) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

// startServer opens a server; change may be nil.
func startServer(t *testing.T, change func(*Options)) *testServer {
	t.Helper()
	s := &testServer{t: t, data: filepath.Join(t.TempDir(), "data"), log: &lockedBuffer{}, clock: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	o := Options{Data: s.data, Version: "1.2.3", Now: s.now, Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&o)
	}
	var err error
	if s.Server, err = Open(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	token, err := s.secrets.OwnerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.owner = token.RevealString()
	return s
}

// work lets the server take turns until the test ends.
func (s *testServer) work() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
}

// owned is the owner as an actor.
func owned() Actor { return Actor{Kind: ActorOwner, Scopes: []action{actAdmin}} }

// token makes a token for a program.
func (s *testServer) token(in TokenInput) string {
	s.t.Helper()
	if in.Name == "" {
		in.Name = "test"
	}
	if !in.Runner && in.Life == 0 {
		in.Life = time.Hour
	}
	text, _, err := s.secrets.NewToken(s.t.Context(), owned(), in)
	if err != nil {
		s.t.Fatal(err)
	}
	return text.RevealString()
}

// request describes a call.
type request struct {
	method, path string
	token        string
	cookie       string // NAME=VALUE
	header       map[string]string
	body         string
	host         string
	remote       string // address of the client
}

type response struct {
	*http.Response
	body string
}

func (r response) problem(t *testing.T) api.Problem {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a problem: %s %q, %v", r.Header.Get("Content-Type"), r.body, err)
	}
	return p
}

// cookie is the session's cookie of an answer as NAME=VALUE, "" for none.
func (r response) cookie() string {
	for _, c := range r.Cookies() {
		return c.Name + "=" + c.Value
	}
	return ""
}

func (s *testServer) do(q request) response {
	s.t.Helper()
	return call(s.t, s.Handler(), q)
}

func call(t *testing.T, h http.Handler, q request) response {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodGet
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r := httptest.NewRequest(q.method, q.path, body)
	r.Host = "ci.example.com"
	if q.host != "" {
		r.Host = q.host
	}
	if q.remote != "" {
		r.RemoteAddr = q.remote + ":4711"
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.cookie != "" {
		r.Header.Set("Cookie", q.cookie)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return response{w.Result(), w.Body.String()}
}

// addProject makes a project without looking at its repository.
func (s *testServer) addTestProject(id int64, name string) {
	s.t.Helper()
	err := s.store.Update(s.t.Context(), func(tx *store.Tx) error {
		return tx.AddProject(s.t.Context(), store.Project{ID: id, Name: name, URL: "https://git.example.com/" + name + ".git", Created: s.now()})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// setVariable keeps a variable.
func (s *testServer) setVariable(project int64, v secret.Variable) {
	s.t.Helper()
	_, err := s.secrets.SetVariable(s.t.Context(), owned(), project, VariableInput{
		Name: v.Name, Environment: v.Environment, Value: &v.Value, Protected: &v.Protected, Masked: &v.Masked, File: &v.File, Raw: &v.Raw})
	if err != nil {
		s.t.Fatal(err)
	}
}

func secretOf(text string) secret.Value { return secret.NewString(text) }

// addTestRun makes a run of one job that waits for a person.
func (s *testServer) addTestRun(project int64, ref string) store.Run {
	s.t.Helper()
	p := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{{Name: "job", Base: "job", Stage: "test", When: pipeline.WhenManual}}}
	r, err := s.scheduler.Create(s.t.Context(), scheduler.NewRun{Project: project, Pipeline: p, Facts: []byte("{}"), Source: pipeline.TriggerPush, Ref: ref, SHA: "abcdef0123456789"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

package server

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A POST with an Idempotency-Key happens once, for its actor and for a day.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	project := func(token, key, name string) response {
		t.Helper()
		return s.do(request{method: http.MethodPost, path: "/api/v1/projects", token: token, body: `{"url":"https://git.example.com/` + name + `.git"}`,
			header: map[string]string{"Idempotency-Key": key, "Content-Type": "application/json"}})
	}
	first := project(s.owner, "k1", "a/b")
	if first.StatusCode != http.StatusOK || first.Header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("first: %d %s", first.StatusCode, first.body)
	}
	again := project(s.owner, "k1", "a/b")
	if again.StatusCode != http.StatusOK || again.body != first.body || again.Header.Get("Idempotency-Replayed") != "true" || again.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
		t.Errorf("again: %d %s", again.StatusCode, again.body)
	}
	if got := project(s.owner, "k1", "a/c"); got.StatusCode != http.StatusConflict || !strings.Contains(got.problem(t).Detail, "was used for another request") {
		t.Errorf("another request: %d %s", got.StatusCode, got.body)
	}
	if got := project(s.owner, "k2", "a/b"); got.StatusCode != http.StatusConflict || !strings.Contains(got.problem(t).Detail, "there is a project") {
		t.Errorf("another key: %d %s", got.StatusCode, got.body)
	}
	// An error is an answer too.
	if got := project(s.owner, "k2", "a/b"); got.StatusCode != http.StatusConflict || got.Header.Get("Idempotency-Replayed") != "true" || got.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("an error again: %d %s", got.StatusCode, got.body)
	}
	other := s.token(TokenInput{Scopes: []string{"admin"}})
	if got := project(other, "k1", "a/d"); got.StatusCode != http.StatusOK || got.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("another actor's key: %d %s", got.StatusCode, got.body)
	}
	s.pass(25 * time.Hour)
	if got := project(s.owner, "k1", "a/e"); got.StatusCode != http.StatusOK {
		t.Errorf("after a day: %d %s", got.StatusCode, got.body)
	}
	if got := project(s.owner, "with space", "a/f"); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a key with a space: %d %s", got.StatusCode, got.body)
	}
	got := s.do(request{method: http.MethodPost, path: "/api/v1/tokens", token: s.owner, body: `{"name":"x","scopes":["read"],"hours":1}`,
		header: map[string]string{"Idempotency-Key": "k9", "Content-Type": "application/json"}})
	if got.StatusCode != http.StatusBadRequest || !strings.Contains(got.problem(t).Detail, "holds a secret") {
		t.Errorf("a token: %d %s", got.StatusCode, got.body)
	}
}

// Cursors belong to one list with its filters.
func TestCursor(t *testing.T) {
	t.Parallel()
	c := newCursor(42, "runs", "a")
	for _, tc := range []struct {
		text    string
		filters []string
		want    int64
	}{{c, []string{"runs", "a"}, 42}, {"", []string{"runs"}, 0}, {c, []string{"runs", "b"}, -1}, {c, []string{"audit", "a"}, -1}, {c + "A", []string{"runs", "a"}, -1}, {"42", nil, -1}, {newCursor(-1, "x"), []string{"x"}, -1}} {
		got, err := readCursor(tc.text, tc.filters...)
		if (tc.want < 0) != (err != nil) || err == nil && got != tc.want {
			t.Errorf("%q of %v: %d, %v", tc.text, tc.filters, got, err)
		}
	}
	s := startServer(t, nil)
	if got := s.do(request{path: "/api/v1/runs?project=&cursor=" + newCursor(3, "audit", ""), token: s.owner}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a cursor of another list: %d %s", got.StatusCode, got.body)
	}
	for path, want := range map[string]int{"/api/v1/runs?limit=201": http.StatusUnprocessableEntity, "/api/v1/runs?limit=0": http.StatusUnprocessableEntity, "/api/v1/audit?limit=200": http.StatusOK} {
		if got := s.do(request{path: path, token: s.owner}); got.StatusCode != want {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
	}
}

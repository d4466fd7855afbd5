package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestReady: the server is ready while its database answers and there is room; a disk
// that is nearly full is told apart from one with a little more than the mark.
func TestReady(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	free := uint64(2000)
	s.room.mark, s.room.free = 1000, func(string) (uint64, error) { return free, nil }
	ask := func() (int, string) {
		s.room.look()
		r := s.do(request{path: "/readyz"})
		return r.StatusCode, r.body
	}
	for _, c := range []struct {
		free uint64
		want int
		text string
	}{
		{2000, http.StatusOK, "ok"},
		{1000, http.StatusOK, "ok"},
		{999, http.StatusServiceUnavailable, "the disk is nearly full"},
		{1050, http.StatusServiceUnavailable, "the disk is nearly full"}, // not before a tenth more
		{1100, http.StatusOK, "ok"},
	} {
		free = c.free
		if got, text := ask(); got != c.want || strings.TrimSpace(text) != c.text {
			t.Errorf("%d bytes free: got %d %q, want %d %q", c.free, got, text, c.want, c.text)
		}
	}
	free = 10
	s.room.look()
	s.room.free = func(string) (uint64, error) { return 0, errors.New("no such folder") }
	if got, _ := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("the free space cannot be read: got %d, want what was known before", got)
	}
	if err := s.room.short(); err == nil || !strings.Contains(err.Error(), "--min-free") {
		t.Errorf("got %v, want what to do", err)
	}
}

// TestMetrics: who may read may scrape; labels hold patterns, not addresses.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(1, "p")
	if r := s.do(request{path: "/metrics"}); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: got %d, want %d", r.StatusCode, http.StatusUnauthorized)
	}
	token := s.token(TokenInput{Name: "prometheus", Scopes: []string{"read"}})
	one := s.token(TokenInput{Name: "one", Scopes: []string{"read"}, Project: 1})
	if r := s.do(request{path: "/metrics", token: one}); r.StatusCode != http.StatusForbidden {
		t.Errorf("with a token of one project: got %d, want %d", r.StatusCode, http.StatusForbidden)
	}
	s.do(request{path: "/api/v1/runs/17", token: token})
	r := s.do(request{path: "/metrics", token: token})
	for _, want := range []string{
		`refline_http_request_seconds_count{route="GET /api/v1/runs/{run}",status="404"} 1`, `refline_runs{state="running"} 0`, "refline_disk_free_bytes ",
		"refline_turn_seconds_bucket", "refline_claim_seconds_count 0", "refline_database_bytes ", "refline_disk_enough 1",
	} {
		if r.StatusCode != http.StatusOK || !strings.Contains(r.body, want) {
			t.Errorf("status %d: no %s in\n%s", r.StatusCode, want, r.body)
		}
	}
}

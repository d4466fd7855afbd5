package localserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/history"
	"refline/internal/pipeline"
)

const hostile = `"><img src=x onerror=alert(1)>`

// start shows two runs: one that passed, one whose job failed.
func start(t *testing.T) (*Server, history.Store) {
	t.Helper()
	store := history.Open(t.TempDir(), os.RemoveAll)
	for _, status := range []pipeline.Status{pipeline.StatusSuccess, pipeline.StatusFailed} {
		n, err := store.Create()
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		r := history.Run{
			Number: n, Project: "/home/ada/warehouse", File: ".gitlab-ci.yml", Ref: "main", Commit: "0123456789abcdef", Event: pipeline.TriggerPush, Started: at, Finished: at.Add(time.Minute),
			Status: status, Result: pipeline.Result(status),
			Jobs: []history.Job{{Name: hostile, Stage: "test", Status: status, Attempt: 1, Started: at, Seconds: 3, ExitCode: 3, Log: "logs/1.log",
				Steps: nil}, {Name: "away", Stage: "test", Status: pipeline.StatusSuccess, Log: "../../../../etc/passwd"}},
		}
		if err := os.WriteFile(filepath.Join(store.Folder(n), "logs", "1.log"), []byte("copying\n\x1b[31mit <b>broke</b>\x1b[0m\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := store.Write(&r); err != nil {
			t.Fatal(err)
		}
	}
	return New(Options{Store: store, Version: "test", Now: func() time.Time { return time.Date(2026, 3, 4, 6, 0, 0, 0, time.UTC) }}), store
}

// browser asks a server with the cookies that it got.
type browser struct {
	t       *testing.T
	s       *Server
	cookies []*http.Cookie
}

func (b *browser) do(method, path string, change func(*http.Request)) (int, string) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, nil)
	r.Host = "127.0.0.1:4711"
	r.Header.Set("Accept", "text/html")
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	b.s.ServeHTTP(w, r)
	b.cookies = append(b.cookies, w.Result().Cookies()...)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		b.t.Errorf("%s %s has no policy", method, path)
	}
	return w.Code, string(body)
}

func signedIn(t *testing.T) *browser {
	t.Helper()
	s, _ := start(t)
	b := &browser{t: t, s: s}
	if code, _ := b.do("GET", s.Link("/runs"), nil); code != http.StatusSeeOther || len(b.cookies) != 1 {
		t.Fatalf("the link answers %d, cookies %v", code, b.cookies)
	}
	return b
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := signedIn(t)
	for path, want := range map[string]string{
		"/": "warehouse", "/runs": "warehouse", "/runs?q=status:failed": "#2", "/runs/2": "ended with exit 3", "/runs/1": "Passed in",
		"/runs/2/jobs/" + "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E":         "it &lt;b&gt;broke&lt;/b&gt;",
		"/runs/2/jobs/" + "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E?q=BROKE": "1 line with",
		"/runs/2/jobs/" + "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E?marks=1": "1 line reports an error",
		"/api/v1/runs/2/jobs/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E/log":   "\x1b[31mit <b>broke</b>",
		"/flows": "No flows", "/projects": "No projects", "/runners": "Runners", "/environments": "Environments", "/settings": "API tokens",
	} {
		code, body := b.do("GET", path, nil)
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, want %q", path, code, want)
		}
		if strings.Contains(body, "<img") && !strings.HasPrefix(path, "/api/") {
			t.Errorf("%s: the name of a job is an element", path)
		}
	}
	for path, status := range map[string]int{"/runs/7": 404, "/runs/x": 400, "/nothing": 404, "/runs/2/jobs/none": 404, "/p/x/-/flows/y": 404} {
		if code, _ := b.do("GET", path, nil); code != status {
			t.Errorf("%s: %d, want %d", path, code, status)
		}
	}
	if code, body := b.do("GET", "/api/v1/runs/2/jobs/away/log", nil); code != http.StatusOK || body != "" {
		t.Errorf("a log outside of the run's folder: %d %q", code, body)
	}
	for _, path := range []string{"/runs/2/retry", "/runs/2/again", "/runs/2/cancel", "/api/v1/runs"} {
		if code, body := b.do("POST", path, nil); code != http.StatusForbidden || !strings.Contains(body, "only shows local runs") {
			t.Errorf("POST %s: %d", path, code)
		}
	}
}

// Only browsers of this computer that came by the link are let in, and the link works once.
func TestAccess(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	stranger := &browser{t: t, s: s}
	for _, path := range []string{"/", "/runs/1", "/api/v1/runs", "/open?token=&next=/", "/open?token=x"} {
		if code, body := stranger.do("GET", path, nil); code != http.StatusUnauthorized || strings.Contains(body, "warehouse") {
			t.Errorf("%s without a cookie: %d", path, code)
		}
	}
	link := s.Link("https://evil.example.com/")
	first := &browser{t: t, s: s}
	if code, _ := first.do("GET", link, nil); code != http.StatusSeeOther {
		t.Fatalf("the link answers %d", code)
	}
	if code, _ := stranger.do("GET", link, nil); code != http.StatusUnauthorized {
		t.Errorf("the link a second time: %d", code)
	}
	if code, _ := first.do("GET", "/runs", func(r *http.Request) { r.Host = "evil.example.com:4711" }); code != http.StatusMisdirectedRequest {
		t.Errorf("by the name of somebody else: %d", code)
	}
	if code, _ := first.do("POST", "/preferences", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); code != http.StatusForbidden {
		t.Errorf("a form of another site: %d", code)
	}
	if code, _ := first.do("POST", "/sign-out", nil); code != http.StatusOK {
		t.Errorf("sign out: %d", code)
	}
	if code, _ := first.do("GET", "/runs", nil); code != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", code)
	}
}

// The stream of events says when another process changes a run.
func TestEvents(t *testing.T) {
	t.Parallel()
	b := signedIn(t)
	server := httptest.NewServer(b.s)
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	link, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+b.s.Link("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := http.DefaultTransport.RoundTrip(link)
	if err != nil || len(signIn.Cookies()) != 1 {
		t.Fatalf("%s: %v, %v", address, signIn, err)
	}
	_ = signIn.Body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/events?run=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(signIn.Cookies()[0])
	stream, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || stream.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v, %v", stream, err)
	}
	defer stream.Body.Close()
	r, err := b.s.store.Read(2)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	written := make(chan struct{})
	go func() { // until the change is seen: the stream may begin after the first
		defer close(written)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_ = b.s.store.Write(r)
			}
		}
	}()
	defer func() { close(stop); <-written }()
	found := ""
	buffer := make([]byte, 4096)
	for !strings.Contains(found, "\n\n") {
		n, err := stream.Body.Read(buffer)
		if err != nil {
			t.Fatalf("%q, %v", found, err)
		}
		found += string(buffer[:n])
	}
	var change struct{ Run int64 }
	_, data, _ := strings.Cut(found, "data: ")
	if err := json.Unmarshal([]byte(data), &change); err != nil || change.Run != 2 || !strings.HasPrefix(found, "event: run\n") {
		t.Errorf("the event is %q", found)
	}
}

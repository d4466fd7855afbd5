package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

// apiServer is as much of the API as the launcher uses.
type apiServer struct {
	mu      sync.Mutex
	pods    []string // JSON of items
	jobs    map[string]string
	watches chan chan string // each standing watch of pods gets lines here
	tooOld  int              // watches to end with 410
	lists   int
	refuse  int // POSTs to answer with 429
}

func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	watch := r.URL.Query().Get("watch") != ""
	switch {
	case strings.HasSuffix(r.URL.Path, "/events"):
		if watch {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{"metadata":{"resourceVersion":"1"},"items":[]}`)
	case strings.HasSuffix(r.URL.Path, "/pods") && watch:
		a.watch(w, r)
	case strings.HasSuffix(r.URL.Path, "/pods"):
		a.mu.Lock()
		defer a.mu.Unlock()
		a.lists++
		fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7"},"items":[%s]}`, strings.Join(a.pods, ","))
	case strings.Contains(r.URL.Path, "/jobs"):
		a.job(w, r)
	case r.URL.Path == "/openid/v1/jwks" && r.Header.Get("Accept") == "application/jwk-set+json":
		fmt.Fprint(w, `{"keys":[]}`)
	default:
		http.Error(w, `{"kind":"Status","message":"no such path"}`, http.StatusNotFound)
	}
}

func (a *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	old := a.tooOld > 0
	if old {
		a.tooOld--
	}
	a.mu.Unlock()
	if old {
		fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}`)
		return
	}
	lines := make(chan string)
	a.watches <- lines
	for {
		select {
		case <-r.Context().Done():
			return
		case line, ok := <-lines:
			if !ok {
				return
			}
			fmt.Fprintln(w, line)
			w.(http.Flusher).Flush()
		}
	}
}

func (a *apiServer) job(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := filepath.Base(r.URL.Path)
	switch r.Method {
	case http.MethodPost:
		if a.refuse > 0 {
			a.refuse--
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		var job struct{ Metadata struct{ Name string } }
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if _, there := a.jobs[job.Metadata.Name]; there {
			w.WriteHeader(http.StatusConflict)
			return
		}
		a.jobs[job.Metadata.Name] = "{}"
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{}`)
	case http.MethodDelete:
		if _, there := a.jobs[name]; !there {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		delete(a.jobs, name)
		fmt.Fprint(w, `{}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func podJSON(fence int, version, more string) string {
	return fmt.Sprintf(`{"metadata":{"name":"refline-%d-x","uid":"uid-%d","resourceVersion":%q,"labels":{"refline.dev/attempt":"%d"}%s},"status":{"phase":"Running"}}`, fence, fence, version, fence, more)
}

func connectTo(t *testing.T, a *apiServer) *Launcher {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	config := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"x","context":{"cluster":"c","namespace":"jobs"}}],"current-context":"x"}`, s.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Connect(config, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return New(c, Options{Runner: "r", URL: "http://x", AgentImage: "a"}, func(text string) { t.Log(text) })
}

// next is the next event, for which a test waits.
func next(t *testing.T, events <-chan executor.LaunchEvent) executor.LaunchEvent {
	t.Helper()
	select {
	case ev := <-events:
		return ev
	case <-time.After(time.Minute):
		t.Fatal("no event within a minute")
		return executor.LaunchEvent{}
	}
}

func TestLauncherWatches(t *testing.T) {
	t.Parallel()
	a := &apiServer{jobs: map[string]string{}, watches: make(chan chan string), tooOld: 1}
	l := connectTo(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan executor.LaunchEvent, 100)
	var group sync.WaitGroup
	group.Go(func() { _ = l.Watch(ctx, func(ev executor.LaunchEvent) { events <- ev }) })
	defer group.Wait()
	defer cancel()
	lines := <-a.watches // the one that was too old made a second list
	a.mu.Lock()
	lists := a.lists
	a.mu.Unlock()
	if lists < 2 {
		t.Errorf("after 410 there were %d lists, want another", lists)
	}
	for range 2 { // the answer to the first may be lost
		if err := l.Launch(ctx, executor.Launch{Fence: 5, Run: 1, Image: "i", Timeout: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	lines <- `{"type":"ADDED","object":` + podJSON(5, "8", "") + `}`
	if ev := next(t, events); ev.Fence != 5 || ev.ID != "uid-5" || ev.End != nil {
		t.Errorf("got %+v", ev)
	}
	lines <- `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}`
	lines <- `{"type":"MODIFIED","object":` + podJSON(5, "10", `,"deletionTimestamp":"2026-01-02T03:04:05Z"`) + `}`
	if ev := next(t, events); ev.End == nil || ev.End.Cause != executor.LaunchSystem {
		t.Errorf("deleted by others: got %+v", ev)
	}
	// What was deleted while the watch was away is missing in the next list.
	lines <- `{"type":"ADDED","object":` + podJSON(6, "11", "") + `}`
	if ev := next(t, events); ev.Fence != 6 {
		t.Errorf("got %+v", ev)
	}
	lines <- `{"type":"ERROR","object":{"code":410}}`
	lines = <-a.watches
	if ev := next(t, events); ev.Fence != 6 || ev.End == nil {
		t.Errorf("deleted meanwhile: got %+v", ev)
	}
	// What this runner ends itself is no news.
	if err := l.Launch(ctx, executor.Launch{Fence: 7, Run: 1, Image: "i", Timeout: time.Hour}); err != nil {
		t.Fatal(err)
	}
	lines <- `{"type":"ADDED","object":` + podJSON(7, "12", "") + `}`
	if ev := next(t, events); ev.Fence != 7 {
		t.Errorf("got %+v", ev)
	}
	for range 2 {
		if err := l.End(ctx, 7); err != nil {
			t.Error(err)
		}
	}
	lines <- `{"type":"DELETED","object":` + podJSON(7, "13", "") + `}`
	lines <- `{"type":"ADDED","object":` + podJSON(8, "14", "") + `}`
	if ev := next(t, events); ev.Fence != 8 {
		t.Errorf("an end of our own was reported: %+v", ev)
	}
}

func TestLauncherErrors(t *testing.T) {
	t.Parallel()
	a := &apiServer{jobs: map[string]string{}, refuse: 1}
	l := connectTo(t, a)
	if err := l.Launch(t.Context(), executor.Launch{Fence: 1, Image: "i"}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("429: got %v, want unavailable", err)
	}
	if err := l.Launch(t.Context(), executor.Launch{Fence: 1}); !errs.Is(err, errs.Invalid) {
		t.Errorf("no image: got %v, want invalid", err)
	}
	if keys, err := l.Keys(t.Context()); err != nil || string(keys) != `{"keys":[]}` {
		t.Errorf("keys: %s, %v", keys, err)
	}
	if _, err := Connect(filepath.Join(t.TempDir(), "none"), ""); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "--kubeconfig") {
		t.Errorf("no kubeconfig: got %v", err)
	}
}

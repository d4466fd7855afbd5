package server

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// eventReader reads the events of a stream.
type eventReader struct {
	t     *testing.T
	lines chan string
}

func (s *testServer) stream(url, token, last string) (*eventReader, int) {
	s.t.Helper()
	web := httptest.NewServer(s.Handler())
	s.t.Cleanup(web.Close)
	q, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, web.URL+url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		q.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	r := &eventReader{s.t, make(chan string, 100)}
	go func() {
		defer close(r.lines)
		for in := bufio.NewScanner(resp.Body); in.Scan(); {
			r.lines <- in.Text()
		}
	}()
	return r, resp.StatusCode
}

// next returns the lines of the next event; nil at the end.
func (r *eventReader) next() []string {
	r.t.Helper()
	var event []string
	for {
		select {
		case line, ok := <-r.lines:
			switch {
			case !ok:
				return nil
			case line == "":
				return event
			}
			event = append(event, line)
		case <-time.After(10 * time.Second):
			r.t.Fatal("no event")
		}
	}
}

// makeRun makes a run of one job that waits for a person.
func (s *testServer) makeRun(project int64) store.Run {
	s.t.Helper()
	p := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{{Name: "job", Base: "job", Stage: "test", When: pipeline.WhenManual}}}
	r, err := s.scheduler.Create(s.t.Context(), scheduler.NewRun{Project: project, Pipeline: p, Facts: []byte("{}"), Source: pipeline.TriggerAPI, Ref: "main", SHA: "abc"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// A stream of a run has its version as id, goes on after the last one that the reader
// has, and ends when the run has.
func TestRunEvents(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(7, "data/flows")
	s.addTestProject(8, "data/other")
	r := s.makeRun(7)
	path := "/api/v1/runs/1/events"
	events, status := s.stream(path, s.owner, "")
	one := events.next()
	if status != http.StatusOK || len(one) != 3 || !strings.HasPrefix(one[0], "id: ") || one[1] != "event: run" || !strings.Contains(one[2], `"status":"manual"`) {
		t.Fatalf("run %d: %d %q", r.ID, status, one)
	}
	all, _ := s.stream("/api/v1/events", s.owner, "")
	bound := s.token(TokenInput{Scopes: []string{"read"}, Project: 8})
	others, _ := s.stream("/api/v1/events", bound, "")
	if err := s.act(t.Context(), r.ID, "job", pipeline.EventPlay); err != nil {
		t.Fatal(err)
	}
	if played := events.next(); len(played) != 3 || !strings.Contains(played[2], `"status":"pending"`) {
		t.Errorf("played: %q", played)
	}
	if err := s.act(t.Context(), r.ID, "", pipeline.EventCancel); err != nil {
		t.Fatal(err)
	}
	two := events.next()
	if len(two) != 3 || two[0] <= one[0] && len(two[0]) == len(one[0]) || !strings.Contains(two[2], `"status":"canceled"`) {
		t.Errorf("second event %q after %q", two, one)
	}
	if end := events.next(); end != nil {
		t.Errorf("the stream of a run that has ended goes on: %q", end)
	}
	if got := all.next(); len(got) != 2 || !strings.Contains(got[1], `"run":1`) || !strings.Contains(got[1], `"project":"data/flows"`) {
		t.Errorf("event of all runs %q", got)
	}
	// The reader of another project hears of its own only.
	s.makeRun(8)
	if got := others.next(); len(got) != 2 || !strings.Contains(got[1], `"project":"data/other"`) {
		t.Errorf("event of the other project %q", got)
	}
	if _, status := s.stream(path, s.owner, strings.TrimPrefix(two[0], "id: ")); status != http.StatusNoContent {
		t.Errorf("nothing is new, and the status is %d", status)
	}
	if got := s.do(request{path: path + "?since=x", token: s.owner}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("since=x: %d %s", got.StatusCode, got.body)
	}
	if got := s.do(request{path: path, token: bound}); got.StatusCode != http.StatusNotFound {
		t.Errorf("another project's run: %d %s", got.StatusCode, got.body)
	}
}

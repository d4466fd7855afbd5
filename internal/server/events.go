package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/scheduler"
)

const (
	keepAlive = 15 * time.Second       // a proxy must not take a silent stream for a dead one
	eventPace = 100 * time.Millisecond // changes that come faster become one event
)

// serveRunEvents streams a run each time that it changes: server-sent events with the
// run's version as id. Last-Event-ID, or since, is the last version that the reader
// has. The stream ends when the run has.
func (s *Server) serveRunEvents(w http.ResponseWriter, q *http.Request) error {
	ctx := q.Context()
	id, err := strconv.ParseInt(q.PathValue("run"), 10, 64)
	if err != nil {
		return errs.E(errs.Invalid, "%q is not the id of a run", q.PathValue("run"))
	}
	since, err := sinceOf(q)
	if err != nil {
		return err
	}
	watch := s.scheduler.Watch(id)
	defer watch.Close()
	r, err := s.store.Run(ctx, id)
	if err != nil {
		return err
	}
	if r.Status.Done() && r.Version <= since {
		w.WriteHeader(http.StatusNoContent) // a browser's EventSource asks no more
		return nil
	}
	out := newEventStream(w)
	for {
		if r, err = s.store.Run(ctx, id); err != nil {
			return err
		}
		if r.Version > since {
			run, err := s.showRun(ctx, id)
			if err != nil {
				return err
			}
			since = run.Version
			if err := out.send("run", strconv.FormatInt(since, 10), run); err != nil {
				return nil // the reader is gone
			}
			if run.Status.Done() {
				return nil
			}
		}
		if !out.next(ctx, watch) {
			return nil
		}
		watch.Take()
	}
}

// sinceOf is the last version that the reader of a stream has.
func sinceOf(q *http.Request) (int64, error) {
	text := q.Header.Get("Last-Event-ID")
	if text == "" {
		text = q.URL.Query().Get("since")
	}
	if text == "" {
		return 0, nil
	}
	since, err := strconv.ParseInt(text, 10, 64)
	if err != nil || since < 0 {
		return 0, errs.E(errs.Invalid, "%q is not a version of a run: Last-Event-ID and since are the id of the last event", text)
	}
	return since, nil
}

// serveEvents streams which runs change, of the projects that the caller sees, or with
// the parameter run whether that one does. An
// event "missed" says that changes were left out: the reader asks for all it shows.
func (s *Server) serveEvents(w http.ResponseWriter, q *http.Request) error {
	ctx := q.Context()
	only, err := s.listedProject(ctx, q.URL.Query().Get("project"))
	if err != nil {
		return err
	}
	var run int64
	if text := q.URL.Query().Get("run"); text != "" {
		if run, err = strconv.ParseInt(text, 10, 64); err != nil || run <= 0 {
			return errs.E(errs.Invalid, "%q is not the id of a run", text)
		}
	}
	watch := s.scheduler.Watch(run)
	defer watch.Close()
	names := s.newNames()
	out := newEventStream(w)
	for out.next(ctx, watch) {
		list, missed := watch.Take()
		if missed {
			if out.send("missed", "", struct{}{}) != nil {
				return nil
			}
		}
		for _, c := range list {
			if c.Project != 0 && only != 0 && c.Project != only {
				continue
			}
			r, err := s.store.Run(ctx, c.Run)
			if errs.Is(err, errs.NotFound) || err == nil && only != 0 && r.Project != only {
				continue
			}
			if err != nil {
				return err
			}
			run, err := names.run(ctx, r)
			if err != nil {
				return err
			}
			if out.send("run", "", api.RunChange{Run: run.ID, Version: run.Version, Project: run.Project, Flow: run.Flow, Status: run.Status, Result: run.Result}) != nil {
				return nil
			}
		}
	}
	return nil
}

// eventStream writes server-sent events.
type eventStream struct {
	w    http.ResponseWriter
	out  *http.ResponseController
	sent time.Time
}

func newEventStream(w http.ResponseWriter) *eventStream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	s := &eventStream{w: w, out: http.NewResponseController(w)}
	_ = s.out.Flush() // the headers, before there is an event
	return s
}

func (s *eventStream) send(event, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	s.sent = time.Now()
	if _, err := fmt.Fprintf(s.w, "%sevent: %s\ndata: %s\n\n", id, event, text); err != nil {
		return err
	}
	return s.out.Flush()
}

// next waits for a change, and reports whether the stream goes on.
func (s *eventStream) next(ctx context.Context, watch *scheduler.Watch) bool {
	pace := time.NewTimer(max(eventPace-time.Since(s.sent), 0))
	defer pace.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-pace.C:
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case _, ok := <-watch.Ready:
			return ok
		case <-alive.C:
			if _, err := fmt.Fprint(s.w, ": still here\n\n"); err != nil || s.out.Flush() != nil {
				return false
			}
		}
	}
}

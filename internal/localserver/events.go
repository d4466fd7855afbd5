package localserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"refline/internal/api"
)

// lookEvery is how often runs are looked at for a page that is open: they belong to
// other processes.
const lookEvery = 500 * time.Millisecond

// serveEvents says which runs change, or whether one does.
func (s *Server) serveEvents(w http.ResponseWriter, q *http.Request) {
	only, _ := strconv.ParseInt(q.URL.Query().Get("run"), 10, 64)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	_ = out.Flush() // the headers, before there is an event
	known := s.versions(only)
	look, sent := time.NewTicker(lookEvery), time.Now()
	defer look.Stop()
	for {
		select {
		case <-q.Context().Done():
			return
		case <-look.C:
		}
		text := ""
		now := s.versions(only)
		for n, version := range now {
			if known[n] != version {
				text += s.change(n)
			}
		}
		known = now
		if text == "" && time.Since(sent) > 10*time.Second {
			text = ": still here\n\n"
		}
		if text == "" {
			continue
		}
		sent = time.Now()
		if _, err := fmt.Fprint(w, text); err != nil || out.Flush() != nil {
			return
		}
	}
}

// versions are those of all runs, or of one.
func (s *Server) versions(only int64) map[int64]int64 {
	numbers := []int64{only}
	if only == 0 {
		numbers, _ = s.store.Numbers() // it is looked at again
	}
	out := make(map[int64]int64, len(numbers))
	for _, n := range numbers {
		out[n] = versionOf(s.store.Folder(n))
		if !s.store.Alive(n) {
			out[n]++ // a run that was killed changes no file
		}
	}
	return out
}

// change is the event for a run.
func (s *Server) change(n int64) string {
	r, err := s.store.Read(n)
	if err != nil {
		return ""
	}
	w := s.around(r).wire(false)
	data, err := json.Marshal(api.RunChange{Run: w.ID, Version: w.Version, Project: w.Project, Status: w.Status, Result: w.Result})
	if err != nil {
		return ""
	}
	return "event: run\ndata: " + string(data) + "\n\n"
}

package scheduler

import "sync"

// Change says that a run or one of its jobs changed. Versions of a run grow; the
// reader of a gap asks the store for what is above the last one it knows.
type Change struct {
	Run, Project int64 // Project is 0 if another server made the change
	Version      int64
}

// Watch is a reader of changes. Changes of one run that come faster than they are
// read become one, so a slow reader holds nothing up and loses nothing that
// matters.
type Watch struct {
	// Ready gets a value when there is something for Take. It is closed when the
	// scheduler ends.
	Ready chan struct{}

	hub     *hub
	run     int64 // 0 for all
	mu      sync.Mutex
	changes map[int64]Change
	missed  bool
	closed  bool
}

// Watch begins to watch a run, or all runs for run 0. The caller closes it.
func (s *Scheduler) Watch(run int64) *Watch {
	w := &Watch{Ready: make(chan struct{}, 1), hub: s.hub, run: run, changes: map[int64]Change{}}
	s.hub.add(w)
	return w
}

// maxChanges bounds what is kept for a reader.
const maxChanges = 1000

// Take returns the last change of each run since the last Take. missed says that
// there were more runs than are kept, or that hints of another server may have
// been lost: the reader asks the store for all that it shows.
func (w *Watch) Take() (list []Change, missed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.changes {
		list = append(list, c)
	}
	missed = w.missed
	w.missed = false
	clear(w.changes)
	return list, missed
}

// Close ends the watch.
func (w *Watch) Close() { w.hub.remove(w) }

func (w *Watch) put(c Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch old, known := w.changes[c.Run]; {
	case w.closed:
		return
	case known && old.Version >= c.Version:
		return
	case !known && len(w.changes) >= maxChanges:
		w.missed = true
	default:
		w.changes[c.Run] = c
	}
	wake(w.Ready)
}

func (w *Watch) miss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.missed = true
		wake(w.Ready)
	}
}

// hub passes changes on to those who watch, and to what tells other servers.
type hub struct {
	mu     sync.Mutex
	all    map[*Watch]bool
	byRun  map[int64]map[*Watch]bool
	remote func(Change) // for changes of this server
	closed bool
}

func newHub() *hub { return &hub{all: map[*Watch]bool{}, byRun: map[int64]map[*Watch]bool{}} }

func (h *hub) add(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		w.closed = true
		close(w.Ready)
	case w.run == 0:
		h.all[w] = true
	default:
		if h.byRun[w.run] == nil {
			h.byRun[w.run] = map[*Watch]bool{}
		}
		h.byRun[w.run][w] = true
	}
}

func (h *hub) remove(w *Watch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, w)
	delete(h.byRun[w.run], w)
	if len(h.byRun[w.run]) == 0 {
		delete(h.byRun, w.run)
	}
}

// publish passes on a change of this server, hear one of another.
func (h *hub) publish(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.remote != nil {
		h.remote(c)
	}
	h.pass(c)
}

func (h *hub) hear(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pass(c)
}

func (h *hub) pass(c Change) {
	for w := range h.all {
		w.put(c)
	}
	for w := range h.byRun[c.Run] {
		w.put(c)
	}
}

// miss says to all that changes of other servers may have been lost.
func (h *hub) miss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.all {
		w.miss()
	}
	for _, set := range h.byRun {
		for w := range set {
			w.miss()
		}
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	end := func(w *Watch) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closed = true
		close(w.Ready)
	}
	for w := range h.all {
		end(w)
	}
	for _, set := range h.byRun {
		for w := range set {
			end(w)
		}
	}
	clear(h.all)
	clear(h.byRun)
}

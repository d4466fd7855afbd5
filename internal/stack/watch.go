package stack

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// Progress is an event with what it means for the operation.
type Progress struct {
	Event
	// ID is the resource with the nested stacks that lead to it; the stack
	// itself is "".
	ID string `json:"resource"`
	// Took is how long the resource was at work, once it is done.
	Took time.Duration `json:"took,omitempty"`
	// Done of Total resources are finished; Total is 0 if unknown.
	Done  int `json:"done"`
	Total int `json:"total,omitempty"`
}

// ResourceRun is what an operation did to one resource.
type ResourceRun struct {
	ID         string        `json:"id"`
	Type       string        `json:"type"`
	PhysicalID string        `json:"physicalId,omitempty"`
	Status     Status        `json:"status"`
	Reason     string        `json:"reason,omitempty"`
	Started    time.Time     `json:"started"`
	Took       time.Duration `json:"took"`
}

// watch follows an operation on a stack and on the nested stacks in it.
type watch struct {
	session   *Session
	stackID   string
	stackName string
	token     string // of the operation, "" when unknown
	changeSet string // its execution status reports the end where no event does
	total     int
	emit      func(Progress)

	last    map[string]string   // newest event seen, by stack id
	trail   map[string][]string // logical ids that lead to a nested stack, by stack id
	started time.Time           // of the operation, by AWS's clock
	runs    []*ResourceRun
	failed  []Progress
	ended   Status    // of the stack, by its own event
	endedAt time.Time // by AWS's clock
}

// newWatch notes where the stack's history ends before the operation begins.
func (s *Session) newWatch(ctx context.Context, stackID, stackName string, emit func(Progress)) (*watch, error) {
	w := &watch{session: s, stackID: stackID, stackName: stackName, emit: emit,
		last: map[string]string{}, trail: map[string][]string{stackID: nil}}
	if w.emit == nil {
		w.emit = func(Progress) {}
	}
	events, err := patiently(ctx, s, func() ([]Event, error) { return s.Cloud.Events(ctx, EventQuery{Stack: stackID, Limit: 1}) })
	if err != nil {
		return nil, fmt.Errorf("events of %s: %w", stackName, err)
	}
	if len(events) > 0 {
		w.last[stackID] = events[0].ID
	}
	return w, nil
}

// run polls until the operation has ended and returns the stack at its end.
func (w *watch) run(ctx context.Context) (Stack, error) {
	p := w.session.poller()
	for {
		err := w.poll(ctx)
		if !p.tolerate(ctx, err) {
			return Stack{}, err
		}
		if err == nil {
			st, done, err := w.done(ctx)
			if !p.tolerate(ctx, err) {
				return st, err
			}
			if done {
				err := w.poll(ctx) // events that came in between
				if errs.Is(err, errs.Unavailable) {
					err = nil // the end is known all the same
				}
				return st, err
			}
		}
		if err := p.next(ctx); err != nil {
			return Stack{}, err
		}
	}
}

// done asks whether the operation has ended: the stack says so in an event and
// in its status, or the change set was executed and the stack is at rest.
func (w *watch) done(ctx context.Context) (Stack, bool, error) {
	st, err := w.session.Cloud.Stack(ctx, w.stackID)
	if errs.Is(err, errs.NotFound) {
		return Stack{ID: w.stackID, Name: w.stackName, Status: deleteComplete}, true, nil
	}
	if err != nil || st.Status.InProgress() {
		return st, false, err
	}
	if w.ended != "" {
		return st, true, nil
	}
	if w.changeSet == "" {
		return st, st.Status == deleteComplete || st.Status == deleteFailed, nil
	}
	set, err := w.session.Cloud.ChangeSet(ctx, w.changeSet)
	if errs.Is(err, errs.NotFound) {
		return st, true, nil
	}
	return st, err == nil && (set.Execution == "EXECUTE_COMPLETE" || set.Execution == "EXECUTE_FAILED"), err
}

// poll takes in the new events of the stack and of every nested stack at work.
func (w *watch) poll(ctx context.Context) error {
	for {
		var batch []Event
		for _, id := range w.stacks() {
			events, err := w.session.Cloud.Events(ctx, EventQuery{Stack: id, After: w.last[id]})
			if errs.Is(err, errs.NotFound) {
				continue // a nested stack that is deleted, or the stack itself
			}
			if err != nil {
				return err
			}
			if len(events) > 0 {
				w.last[id] = events[0].ID
			}
			slices.Reverse(events)
			batch = append(batch, events...)
		}
		slices.SortStableFunc(batch, func(a, b Event) int { return a.Time.Compare(b.Time) })
		known := len(w.trail)
		for _, e := range batch {
			w.take(e)
		}
		if len(w.trail) == known {
			return nil
		}
	}
}

// stacks are the ids of the stacks that are followed, parents first.
func (w *watch) stacks() []string {
	return slices.SortedFunc(maps.Keys(w.trail), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(w.trail[a]), len(w.trail[b])), strings.Compare(a, b))
	})
}

func (w *watch) take(e Event) {
	if e.StackID == w.stackID && w.started.IsZero() {
		w.started = e.Time
	}
	if e.Time.Before(w.started) {
		return // an older operation of a nested stack
	}
	p := Progress{Event: e, Total: w.total}
	own := e.Type == nestedStack && e.PhysicalID == e.StackID
	trail := w.trail[e.StackID]
	if own {
		p.ID = strings.Join(trail, "/")
		if e.StackID != w.stackID {
			return // its parent reports the same
		}
		w.end(e)
	} else {
		p.ID = strings.Join(append(slices.Clone(trail), e.LogicalID), "/")
		if e.Type == nestedStack && e.PhysicalID != "" {
			if _, known := w.trail[e.PhysicalID]; !known {
				w.trail[e.PhysicalID] = append(slices.Clone(trail), e.LogicalID)
			}
		}
		p.Took = w.note(p)
	}
	if e.Status.Bad() && !strings.Contains(string(e.Status), "ROLLBACK") {
		w.failed = append(w.failed, p)
	}
	for _, r := range w.runs {
		if !r.Status.InProgress() {
			p.Done++
		}
	}
	w.emit(p)
}

func (w *watch) end(e Event) {
	w.ended = ""
	if !e.Status.InProgress() && (w.token == "" || e.Token == "" || e.Token == w.token) {
		w.ended, w.endedAt = e.Status, e.Time
	}
}

// note keeps a resource's times. Its start is the first event of the same kind
// of work: a rollback of it counts anew.
func (w *watch) note(p Progress) time.Duration {
	i := slices.IndexFunc(w.runs, func(r *ResourceRun) bool { return r.ID == p.ID })
	if i < 0 {
		w.runs = append(w.runs, &ResourceRun{ID: p.ID, Type: p.Type, Started: p.Time, Status: p.Status})
		i = len(w.runs) - 1
	}
	r := w.runs[i]
	if !r.Status.InProgress() {
		r.Started = p.Time // another piece of work, or one that never began: skipped
	}
	r.Status = p.Status
	if p.PhysicalID != "" {
		r.PhysicalID = p.PhysicalID
	}
	if p.Reason != "" {
		r.Reason = p.Reason
	}
	if p.Status.InProgress() {
		return 0
	}
	r.Took = p.Time.Sub(r.Started)
	return r.Took
}

// deployment sums the operation up.
func (w *watch) deployment(end Stack) *Deployment {
	d := &Deployment{StackName: w.stackName, StackID: w.stackID, Status: end.Status, Reason: end.Reason,
		Good: end.Status.Good(), Outputs: end.Outputs, Resources: make([]ResourceRun, 0, len(w.runs))}
	for _, r := range w.runs {
		d.Resources = append(d.Resources, *r)
		if r.Status == deleteSkipped {
			d.Retained = append(d.Retained, Retained{ID: r.ID, Type: r.Type, PhysicalID: r.PhysicalID})
		}
	}
	if !w.endedAt.IsZero() {
		d.Took = w.endedAt.Sub(w.started)
	}
	if !d.Good {
		d.Causes = w.causes()
	}
	return d
}

// causes are the failures that no other failure explains, the first one first:
// what was cancelled because of another, and a stack that failed because of a
// resource in it, are none, unless there is nothing else.
func (w *watch) causes() []Cause {
	var causes, rest []Cause
	for _, p := range w.failed {
		c := Cause{ID: p.ID, Type: p.Type, Status: p.Status, Reason: p.Reason, Hint: hintFor(p.Reason)}
		if c.ID == "" {
			c.ID = w.stackName
		}
		if strings.Contains(strings.ToLower(p.Reason), "cancelled") || p.Type == nestedStack {
			rest = append(rest, c)
			continue
		}
		causes = append(causes, c)
	}
	if len(causes) == 0 {
		causes = rest
	}
	// The same resource fails once more when it cannot be rolled back.
	seen := map[string]bool{}
	return slices.DeleteFunc(causes, func(c Cause) bool {
		key := cmp.Or(c.ID, w.stackName) + string(c.Status)
		again := seen[key]
		seen[key] = true
		return again
	})
}

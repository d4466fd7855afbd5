package pipeline

import (
	"slices"

	"refline/internal/errs"
)

// Advance applies events to a state and then decides, until nothing changes any
// more, what every job becomes. It returns the new state and the transitions in
// the order in which they came about: a job is named once, with what it was and
// what it is now. Several events count as happening at once: decisions are
// taken after the last.
//
// Errors: NotFound for a job that is not in the pipeline, Conflict for an event
// that its job's status does not allow, Invalid for a state or a pipeline that
// cannot be. Then s stands and nothing happened.
//
// The rules are those of GitLab's pipeline processing (18.9).
func Advance(p *Pipeline, s State, events ...Event) (State, []Change, error) {
	g, err := NewGraph(p)
	if err != nil {
		return s, nil, err
	}
	return g.Advance(s, events...)
}

// Advance is [Advance] for a pipeline that is prepared already.
func (g *Graph) Advance(s State, events ...Event) (State, []Change, error) {
	t := transition{g: g, jobs: slices.Clone(s.Jobs), busyGroups: s.BusyGroups}
	for k, ev := range events {
		if k == 0 && ev.Kind == EventCreate {
			if len(s.Jobs) > 0 {
				return s, nil, errs.E(errs.Conflict, "the pipeline was created already")
			}
			t.create()
			continue
		}
		if len(t.jobs) != len(g.p.Jobs) {
			return s, nil, errs.E(errs.Invalid, "a state of %d jobs for a pipeline of %d", len(t.jobs), len(g.p.Jobs))
		}
		if err := t.apply(ev); err != nil {
			return s, nil, err
		}
	}
	if len(t.jobs) != len(g.p.Jobs) {
		return s, nil, errs.E(errs.Invalid, "the first event of a pipeline is create")
	}
	next := State{Jobs: t.jobs}
	next.Status, next.Stages = t.evaluate(s)
	next.BusyGroups = t.busyGroups
	return next, t.changes(s.Jobs), nil
}

// transition is one call of Advance at work.
type transition struct {
	g          *Graph
	jobs       []JobState // as they become
	busyGroups []string
	touched    []int // positions, in the order of their first change
	seen       []bool
}

func (t *transition) set(i int, to Status) {
	t.jobs[i].Status = to
	if to != StatusCreated {
		t.jobs[i].Asked = false
	}
	t.touch(i)
}

func (t *transition) touch(i int) {
	if t.seen == nil {
		t.seen = make([]bool, len(t.jobs))
	}
	if !t.seen[i] {
		t.seen[i] = true
		t.touched = append(t.touched, i)
	}
}

// changes compares what was touched with what it was before.
func (t *transition) changes(before []JobState) []Change {
	var list []Change
	for _, i := range t.touched {
		was := JobState{Status: StatusCreated, Attempt: 1}
		if len(before) > 0 {
			was = before[i]
		}
		is := t.jobs[i]
		if was.Status == is.Status && was.Attempt == is.Attempt {
			continue
		}
		list = append(list, Change{Job: t.g.p.Jobs[i].Name, From: was.Status, To: is.Status, Attempt: is.Attempt})
	}
	return list
}

func (t *transition) create() {
	t.jobs = make([]JobState, len(t.g.p.Jobs))
	for i := range t.jobs {
		t.jobs[i] = JobState{Status: StatusCreated, Attempt: 1, AllowFailure: t.g.p.Jobs[i].AllowFailure}
	}
}

// apply does what ev says to the job it names, and no more.
func (t *transition) apply(ev Event) error {
	switch {
	case ev.Kind == EventCancel && ev.Job == "":
		if !t.cancelAll() {
			return errs.E(errs.Conflict, "no job is left that could be canceled")
		}
		return nil
	case ev.Kind == EventRetry && ev.Job == "":
		return t.retryAll()
	case ev.Kind == EventRelease:
		return t.release(ev.Group)
	}
	i, err := t.g.position(ev.Job)
	if err != nil {
		return err
	}
	switch ev.Kind {
	case EventStart:
		return t.move(i, ev, StatusRunning, StatusPending)
	case EventSucceed:
		return t.succeed(i, ev)
	case EventDrop:
		return t.drop(i, ev)
	case EventPlay:
		return t.play(i, ev)
	case EventEnqueue:
		switch t.jobs[i].Status {
		case StatusScheduled:
			t.enqueue(i)
			t.resetSkipped(i)
			return nil
		case StatusManual: // without what a person who plays it asks for besides
			t.enqueue(i)
			return nil
		}
		return t.conflict(i, ev)
	case EventCancel:
		if !t.cancel(i) {
			return t.conflict(i, ev)
		}
		return nil
	case EventCanceled:
		return t.move(i, ev, StatusCanceled, StatusCanceling)
	case EventRetry:
		switch t.jobs[i].Status {
		case StatusSuccess, StatusFailed, StatusCanceled:
			t.retry(i)
			return nil
		default:
			return t.conflict(i, ev)
		}
	case EventCreate:
		return errs.E(errs.Conflict, "the pipeline was created already")
	default:
		return errs.E(errs.Invalid, "%q is not an event", ev.Kind)
	}
}

// move changes a status if it is one of from.
func (t *transition) move(i int, ev Event, to Status, from ...Status) error {
	if !slices.Contains(from, t.jobs[i].Status) {
		return t.conflict(i, ev)
	}
	t.set(i, to)
	return nil
}

func (t *transition) conflict(i int, ev Event) error {
	return errs.E(errs.Conflict, "job %q is %s, which %q does not allow", t.g.p.Jobs[i].Name, t.jobs[i].Status, ev.Kind)
}

func (t *transition) succeed(i int, ev Event) error {
	if t.jobs[i].Status == StatusCanceling {
		t.set(i, StatusCanceled)
		return nil
	}
	if err := t.move(i, ev, StatusSuccess, StatusPreparing, StatusPending, StatusRunning); err != nil {
		return err
	}
	t.jobs[i].Reason, t.jobs[i].ExitCode = "", 0
	return nil
}

// drop fails a job, or begins its next attempt.
func (t *transition) drop(i int, ev Event) error {
	if t.jobs[i].Status == StatusCanceling {
		t.set(i, StatusCanceled)
		return nil
	}
	err := t.move(i, ev, StatusFailed, StatusCreated, StatusWaitingForResource, StatusPreparing, StatusPending, StatusRunning, StatusManual, StatusScheduled)
	if err != nil {
		return err
	}
	job, state := &t.g.p.Jobs[i], &t.jobs[i]
	state.Reason, state.ExitCode = ev.Reason, ev.ExitCode
	if state.Reason == "" {
		state.Reason = ReasonUnknown
	}
	if ev.ExitCode != 0 && slices.Contains(job.AllowFailureCodes, ev.ExitCode) {
		state.AllowFailure = true
	}
	switch {
	case job.Retry.wants(*state):
		t.retry(i)
	case !state.AllowFailure && t.g.p.AutoCancel.OnJobFailure == "all":
		t.cancelAll()
	}
	return nil
}

// play starts a job that waits for a person, or lets one that ended run again.
func (t *transition) play(i int, ev Event) error {
	if !t.g.p.Jobs[i].When.Playable() {
		return errs.E(errs.Conflict, "job %q is neither manual nor delayed, so it cannot be played", t.g.p.Jobs[i].Name)
	}
	switch t.jobs[i].Status {
	case StatusManual, StatusScheduled:
		t.enqueue(i)
		t.resetSkipped(i)
		return nil
	case StatusSuccess, StatusFailed, StatusCanceled:
		t.retry(i)
		return nil
	default:
		return t.conflict(i, ev)
	}
}

// Playable reports whether a job waits for a person or a time, besides the jobs
// before it.
func (w When) Playable() bool { return w == WhenManual || w == WhenDelayed }

// retry begins a job's next attempt. Whether and when it starts is decided as
// for the first, but a person who asks for it needs not play it too.
func (t *transition) retry(i int) {
	t.renew(i)
	t.jobs[i].Asked = t.g.p.Jobs[i].When.Playable()
	t.resetSkipped(i)
}

func (t *transition) renew(i int) {
	t.set(i, StatusCreated)
	t.jobs[i].Attempt++
	t.jobs[i].AllowFailure = t.g.p.Jobs[i].AllowFailure
}

// retryAll renews all jobs that failed or were canceled. Manual ones wait to be
// played again.
func (t *transition) retryAll() error {
	found := false
	for i := range t.jobs {
		switch t.jobs[i].Status {
		case StatusFailed, StatusCanceled:
			t.renew(i)
		case StatusSkipped:
			t.set(i, StatusCreated)
		default:
			continue
		}
		found = true
	}
	if !found {
		return errs.E(errs.Conflict, "no job failed, was canceled or skipped")
	}
	return nil
}

// resetSkipped lets the jobs after i be decided anew, now that it runs (again).
func (t *transition) resetSkipped(i int) {
	t.g.downstream(i, func(j int) {
		if t.jobs[j].Status == StatusSkipped {
			t.set(j, StatusCreated)
		}
	})
}

func (t *transition) cancel(i int) bool {
	switch t.jobs[i].Status {
	case StatusRunning:
		t.set(i, StatusCanceling)
	case StatusCreated, StatusWaitingForResource, StatusPreparing, StatusPending, StatusScheduled, StatusManual:
		t.set(i, StatusCanceled)
	default:
		return false
	}
	return true
}

// cancelAll cancels what goes on or would; a manual job may still be played.
func (t *transition) cancelAll() bool {
	found := false
	for i := range t.jobs {
		if t.jobs[i].Status.cancelable() {
			found = t.cancel(i) || found
		}
	}
	return found
}

// cancelable reports whether a job would go on by itself.
func (s Status) cancelable() bool {
	return s == StatusCreated || s == StatusScheduled || s.Active() && s != StatusCanceling
}

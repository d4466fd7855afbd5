package pipeline

import (
	"slices"

	"refline/internal/errs"
)

// apply applies one event to the job it names, or to the pipeline.
func (t *transition) apply(ev Event) error {
	switch {
	case ev.Kind == EventCancel && ev.Job == "":
		if !t.cancelAll() {
			return errs.E(errs.Conflict, "no job can be canceled: all have ended or wait for a person")
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
	case EventRequeue:
		return t.move(i, ev, StatusPending, StatusRunning)
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
		case StatusManual: // jobs after it that were skipped stay skipped
			t.enqueue(i)
			return nil
		}
		return t.conflict(i, ev)
	case EventCancel:
		if !t.cancel(i) {
			return t.conflict(i, ev)
		}
		return nil
	case EventWait:
		return t.move(i, ev, StatusManual, StatusRunning)
	case EventResume:
		return t.resume(i, ev)
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
		return errAlreadyCreated()
	default:
		return errs.E(errs.Invalid, "%q is not an event", ev.Kind)
	}
}

// move changes a status that is one of from, and is a Conflict otherwise.
func (t *transition) move(i int, ev Event, to Status, from ...Status) error {
	if !slices.Contains(from, t.jobs[i].Status) {
		return t.conflict(i, ev)
	}
	t.set(i, to)
	return nil
}

func (t *transition) conflict(i int, ev Event) error {
	return errs.E(errs.Conflict, "job %q is %s, so event %q is not allowed", t.g.p.Jobs[i].Name, t.jobs[i].Status, ev.Kind)
}

func errAlreadyCreated() error {
	return errs.E(errs.Conflict, "the pipeline is already created")
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

// drop fails a job, or starts its next attempt.
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

// play starts a manual or delayed job, or runs one that has ended again.
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

// resume starts the same attempt of a trigger job again, because jobs of the
// pipeline that it started were retried or played.
func (t *transition) resume(i int, ev Event) error {
	if t.g.p.Jobs[i].Downstream == nil {
		return errs.E(errs.Conflict, "job %q starts no pipeline, so event %q is not allowed", t.g.p.Jobs[i].Name, ev.Kind)
	}
	switch t.jobs[i].Status {
	case StatusSuccess, StatusFailed, StatusCanceled, StatusManual:
		t.enqueue(i)
		t.resetSkipped(i)
		return nil
	default:
		return t.conflict(i, ev)
	}
}

// Playable reports whether a job waits for a person or a time, in addition to the
// jobs before it.
func (w When) Playable() bool { return w == WhenManual || w == WhenDelayed }

// retry starts a job's next attempt. The same rules decide whether and when it
// runs, except that a manual or delayed job does not wait to be played again.
func (t *transition) retry(i int) {
	t.renew(i)
	t.jobs[i].Asked = t.g.p.Jobs[i].When.Playable()
	t.resetSkipped(i)
}

// renew sets a job back to created, with the next attempt's number.
func (t *transition) renew(i int) {
	t.set(i, StatusCreated)
	t.jobs[i].Attempt++
	t.jobs[i].AllowFailure = t.g.p.Jobs[i].AllowFailure
}

// retryAll renews all jobs that failed, were canceled or skipped. Manual jobs
// wait to be played again.
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
		return errs.E(errs.Conflict, "nothing to retry: no job failed, was canceled or was skipped")
	}
	return nil
}

// resetSkipped sets the skipped jobs after i back to created, because i runs
// (again).
func (t *transition) resetSkipped(i int) {
	t.g.downstream(i, func(j int) {
		if t.jobs[j].Status == StatusSkipped {
			t.set(j, StatusCreated)
		}
	})
}

// cancel cancels a job and reports whether its status allowed it.
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

// cancelAll cancels all jobs that run or would run by themselves, and reports
// whether there was one. Manual jobs can still be played.
func (t *transition) cancelAll() bool {
	found := false
	for i := range t.jobs {
		if t.jobs[i].Status.cancelable() {
			found = t.cancel(i) || found
		}
	}
	return found
}

// cancelable reports whether a job runs, or would run by itself.
func (s Status) cancelable() bool {
	return s == StatusCreated || s == StatusScheduled || s.Active() && s != StatusCanceling
}

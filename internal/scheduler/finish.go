package scheduler

import (
	"context"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// finish is the end of an attempt.
type finish struct {
	session int64
	fence   int64
	result  Result
}

// Result is what became of an attempt.
type Result struct {
	Status   pipeline.Status // success, failed or canceled
	Reason   pipeline.Reason
	ExitCode int
	Digest   string // of all that the runner reports; the same again gets the same answer
	Note     string // why it failed, in words; may be empty
	// Requeue gives a job that had not begun to another runner. It does not count.
	Requeue bool

	// Report writes what else the runner reports, in the transaction of the result
	// and only if that is accepted. It may be nil.
	Report func(context.Context, *store.Tx) error
}

// Finish takes a result. It is on disk when Finish returns. The same result
// again gets the same answer. Errors: Conflict for an attempt that is not the
// job's any more, NotFound for one that never was.
func (s *Scheduler) Finish(ctx context.Context, session, fence int64, r Result) error {
	return s.do(ctx, &command{finish: &finish{session, fence, r}})
}

// FinishAndPoll is [Scheduler.Finish] with a [Scheduler.Poll] that does not wait,
// in one turn: the result that frees a runner brings its next job. The error is
// that of the result; the answer is empty if the session has ended.
func (s *Scheduler) FinishAndPoll(ctx context.Context, session, fence int64, r Result, free int, have []Have) (Answer, error) {
	c := &command{finish: &finish{session, fence, r}, poll: &poll{session: session, free: min(max(free, 0), maxFree), have: have}}
	err := s.do(ctx, c)
	return c.answer, err
}

// takeFinish turns a result into events of its run, if the attempt is still the
// job's.
func (t *turn) takeFinish(c *command) error {
	f := c.finish
	a, known := t.found[f.fence]
	if !known {
		c.err = errs.E(errs.NotFound, "no attempt %d", f.fence)
		return nil
	}
	r := t.runs[a.Run]
	if a.Session != f.session || r == nil || r.jobs[a.Pos].AttemptID != f.fence || !hasAttempt(r.jobs[a.Pos].Status) || t.attempts[f.fence] != nil {
		return t.lateResult(c)
	}
	switch f.result.Status {
	case pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusCanceled:
	default:
		c.err = errs.E(errs.Invalid, "attempt %d cannot end as %q: an attempt ends in success, failed or canceled", f.fence, f.result.Status)
		return nil
	}
	j := &r.jobs[a.Pos]
	if f.result.Requeue && j.Status == pipeline.StatusRunning {
		t.add(r.ID, pipeline.Event{Kind: pipeline.EventRequeue, Job: r.c.pipeline.Jobs[a.Pos].Name}, c)
		t.endAttempt(a, store.AttemptUnstarted, f.result.Digest)
		return nil
	}
	j.Note = f.result.Note
	for _, ev := range pipeline.EndEvents(r.c.pipeline.Jobs[a.Pos].Name, j.JobState, f.result.Status, f.result.Reason, f.result.ExitCode) {
		t.add(r.ID, ev, c)
	}
	t.endAttempt(a, store.AttemptEnded, f.result.Digest)
	return nil
}

// confirm says that a runner is about to start an attempt.
type confirm struct{ session, fence int64 }

// Confirm notes that a runner has an attempt and may start it: from then on the
// attempt counts. Errors: Conflict for an attempt that is not the session's any
// more.
func (s *Scheduler) Confirm(ctx context.Context, session, fence int64) error {
	return s.do(ctx, &command{confirm: &confirm{session, fence}})
}

func (t *turn) takeConfirm(c *command) {
	a, known := t.found[c.confirm.fence]
	r := t.runs[a.Run]
	if !known || a.Session != c.confirm.session || r == nil || r.jobs[a.Pos].AttemptID != a.ID || !hasAttempt(r.jobs[a.Pos].Status) || t.attempts[a.ID] != nil {
		c.err = errs.E(errs.Conflict, "attempt %d is not the runner's any more", c.confirm.fence)
		return
	}
	if t.Claimed != nil && a.State == store.AttemptOffered {
		t.Claimed(t.now.Sub(a.Started))
	}
	t.confirms = append(t.confirms, a.ID)
}

// hasAttempt reports whether a job in this status is with a runner.
func hasAttempt(s pipeline.Status) bool {
	return s == pipeline.StatusRunning || s == pipeline.StatusCanceling
}

// lateResult answers for an attempt that has ended: the same result again is
// fine, another one is refused.
func (t *turn) lateResult(c *command) error {
	f := c.finish
	a := t.attempts[f.fence]
	if a == nil {
		list, err := t.tx.Attempts(t.ctx, []int64{f.fence})
		if err != nil || len(list) == 0 {
			return err
		}
		a = &list[0]
	}
	if a.Session != f.session || a.State != store.AttemptEnded || a.Digest != f.result.Digest {
		c.err = errs.E(errs.Conflict, "attempt %d has ended or is not the job's any more; the result is refused", f.fence)
	}
	return nil
}

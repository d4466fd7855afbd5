package scheduler

import (
	"context"
	"slices"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// OpenSession begins a runner's lease.
func (s *Scheduler) OpenSession(ctx context.Context, runner int64, tags []string, protected bool) (int64, error) {
	ids, err := s.store.NewIDs(ctx, "session", 1)
	if err != nil {
		return 0, err
	}
	err = s.store.Update(ctx, func(t *store.Tx) error {
		return t.AddSession(ctx, store.Session{ID: ids[0], Runner: runner, Tags: tags, Protected: protected})
	})
	return ids[0], err
}

// endSession ends a runner's lease with all its attempts.
type endSession struct {
	session int64
	silent  bool  // only if the beat is still the one below
	beat    int64 // when it was last looked at
}

// EndSession ends a runner's lease: its attempts fail as runner_system_failure;
// those it never confirmed are queued again and do not count.
func (s *Scheduler) EndSession(ctx context.Context, session int64) error {
	return s.do(ctx, &command{end: &endSession{session: session}})
}

// takeEnd ends a lease with its attempts.
func (t *turn) takeEnd(c *command) error {
	x := t.sessions[c.end.session]
	if c.end.silent && x.Beat != c.end.beat {
		c.err = errs.E(errs.Conflict, "runner session %d is alive", x.ID)
		return nil
	}
	if slices.Contains(t.ended, x.ID) {
		return nil
	}
	open, err := t.tx.OpenAttempts(t.ctx, x.ID)
	if err != nil {
		return err
	}
	for _, a := range open {
		r := t.runs[a.Run]
		if r == nil {
			return errAgain // claimed since the runs were locked
		}
		state := store.AttemptLost
		if j := &r.jobs[a.Pos]; j.AttemptID == a.ID && t.attempts[a.ID] == nil {
			ev := pipeline.Event{Kind: pipeline.EventDrop, Job: r.c.pipeline.Jobs[a.Pos].Name, Reason: pipeline.ReasonRunnerSystemFailure}
			if a.State == store.AttemptOffered && !slices.Contains(t.confirms, a.ID) && j.Status == pipeline.StatusRunning {
				ev, state = pipeline.Event{Kind: pipeline.EventRequeue, Job: ev.Job}, store.AttemptUnstarted
			} else {
				j.Note = "the runner's session ended: it was silent for too long, or it was stopped"
			}
			t.add(r.ID, ev, c)
		}
		if t.attempts[a.ID] == nil {
			t.endAttempt(a, state, "")
		}
	}
	t.ended = append(t.ended, x.ID)
	return nil
}

func (t *turn) endAttempt(row store.Attempt, state store.AttemptState, digest string) {
	row.State, row.Digest, row.Finished = state, digest, t.now
	t.attempts[row.ID] = &row
}

// drain says whether a runner takes more jobs.
type drain struct {
	session int64
	on      bool
}

// Drain makes a runner take no more jobs, or take them again; what it has goes
// on. NotFound for a session that ended.
func (s *Scheduler) Drain(ctx context.Context, session int64, on bool) error {
	return s.do(ctx, &command{drain: &drain{session, on}})
}

func (t *turn) takeDrain(c *command) error {
	err := t.tx.DrainSession(t.ctx, c.drain.session, c.drain.on)
	if errs.Is(err, errs.NotFound) {
		c.err = err
		return nil
	}
	return err
}

// draining reports whether a session takes no more jobs, after this turn.
func (t *turn) draining(x store.Session) bool {
	for _, c := range slices.Backward(t.batch) {
		if c.drain != nil && c.drain.session == x.ID && c.err == nil {
			return c.drain.on
		}
	}
	return x.Draining
}

package scheduler

import (
	"context"
	"time"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// Have is an attempt that a runner holds.
type Have struct {
	Fence    int64
	Stopping bool // the runner knows that it is to end
}

// poll is a runner's standing request: it says what it has, the server what it
// should have.
type poll struct {
	session int64
	free    int
	have    []Have
	wait    bool // for work, if there is nothing to say now
}

// Answer is what a runner should do.
type Answer struct {
	Jobs   []Assignment // start these; those not confirmed are sent again
	Cancel []int64      // end these attempts
	Gone   []int64      // these attempts are not the runner's any more: end and forget them
	Drain  bool         // take no more
}

func (a Answer) empty() bool {
	return len(a.Jobs) == 0 && len(a.Cancel) == 0 && len(a.Gone) == 0 && !a.Drain
}

// Assignment is one attempt for a runner.
type Assignment struct {
	Fence    int64 // the attempt's id, CI_JOB_ID
	Run      int64
	Position int
	Attempt  int
	Job      *pipeline.Job
}

// Poll is claim, heartbeat and cancel in one. It returns at once if there is
// something to say, else when there is, or empty when hold is over. Errors:
// NotFound for a session that ended.
func (s *Scheduler) Poll(ctx context.Context, session int64, free int, have []Have, hold time.Duration) (Answer, error) {
	c := &command{poll: &poll{session: session, free: min(free, maxFree), have: have, wait: hold > 0}}
	limit := hold
	if limit <= 0 {
		limit = time.Minute // for one turn
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.do(within, c)
	if err == errHoldOver { //nolint:errorlint // the very value
		return Answer{}, ctx.Err()
	}
	return c.answer, err
}

// maxFree bounds how many jobs a poll is given.
const maxFree = 256

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

// confirm says that a runner is about to start an attempt.
type confirm struct{ session, fence int64 }

// Confirm notes that a runner has an attempt and may start it: from then on the
// attempt counts. Errors: Conflict for an attempt that is not the session's any
// more.
func (s *Scheduler) Confirm(ctx context.Context, session, fence int64) error {
	return s.do(ctx, &command{confirm: &confirm{session, fence}})
}

// endSession ends a runner's lease with all its attempts.
type endSession struct{ session int64 }

// EndSession ends a runner's lease: its attempts fail as runner_system_failure;
// those it never confirmed are queued again and do not count.
func (s *Scheduler) EndSession(ctx context.Context, session int64) error {
	return s.do(ctx, &command{end: &endSession{session}})
}

// OpenSession begins a runner's lease.
func (s *Scheduler) OpenSession(ctx context.Context, runner int64, tags []string, protected bool) (int64, error) {
	ids, err := s.store.NewIDs(ctx, "session", 1)
	if err != nil {
		return 0, err
	}
	err = s.store.Update(ctx, func(t *store.Tx) error {
		return t.PutSession(ctx, store.Session{ID: ids[0], Runner: runner, Tags: tags, Protected: protected})
	})
	return ids[0], err
}

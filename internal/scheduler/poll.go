package scheduler

import (
	"context"
	"slices"
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
	missed  bool // it saw a job that it could not lock
}

// Answer is what a runner should do.
type Answer struct {
	Jobs   []Assignment // start these; those not confirmed are sent again
	Cancel []int64      // end these attempts
	Gone   []int64      // these attempts are not the runner's any more: end and forget them
	Drain  bool         // take no more; not said to a poll that asks for nothing
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
	c := &command{poll: &poll{session: session, free: min(max(free, 0), maxFree), have: have, wait: hold > 0}}
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

// readSessions reads the sessions of commands, and when it is time for that the
// standing polls again: another server may have ended or drained theirs.
func (t *turn) readSessions(ids []int64) error {
	m := t.memory
	again := t.looksEverywhere()
	if again {
		if err := m.readLanes(t.ctx, t.tx); err != nil {
			return err
		}
		for id := range m.standing {
			ids = append(ids, id)
		}
	}
	list, err := t.tx.Sessions(t.ctx, ids)
	if err != nil {
		return err
	}
	for _, x := range list {
		t.sessions[x.ID] = x
	}
	for _, c := range t.batch {
		var id int64
		switch {
		case c.poll != nil:
			id = c.poll.session
		case c.end != nil:
			id = c.end.session
		default:
			continue
		}
		if _, open := t.sessions[id]; !open && c.finish == nil {
			c.err = store.ErrNoSession(id)
		}
	}
	if again {
		m.looked = t.now
		for id, x := range m.standing {
			if s, open := t.sessions[id]; open {
				x.c.answer.Drain = x.c.answer.Drain || s.Draining && x.c.poll.free > 0
				x.x = s
				x.missed = true // looks at what it has and at the queue
			} else {
				x.c.err = store.ErrNoSession(id)
			}
		}
	}
	return nil
}

// asking is a poll in a turn.
type asking struct {
	c     *command
	x     store.Session
	free  int
	fresh bool      // neither what it has nor the queue was looked at yet
	old   *standing // nil: it came with this turn
}

// asks lists the polls of a turn: those that wait, then those that came.
func (t *turn) asks() []*asking {
	var list []*asking
	replaced := map[int64]bool{}
	for i, c := range slices.Backward(t.batch) {
		if c.poll == nil || c.err != nil || c.ctx.Err() != nil && c.finish == nil {
			continue
		}
		x, open := t.sessions[c.poll.session]
		if !open || replaced[x.ID] {
			continue
		}
		replaced[x.ID] = true
		c.answer.Drain = c.poll.free > 0 && t.draining(x)
		list = append(list, &asking{c: t.batch[i], x: x, free: c.poll.free, fresh: true})
	}
	for id, old := range t.memory.standing {
		if !replaced[id] && old.c.err == nil && old.c.ctx.Err() == nil && !slices.Contains(t.ended, id) {
			list = append(list, &asking{c: old.c, x: old.x, free: old.c.poll.free, fresh: old.missed, old: old})
			old.missed = false
		}
	}
	slices.SortStableFunc(list, func(a, b *asking) int {
		if (a.old == nil) != (b.old == nil) {
			if a.old != nil {
				return -1
			}
			return 1
		}
		return int(a.x.ID - b.x.ID)
	})
	return list
}

// compare says what runners should change about what they have.
func (t *turn) compare(asks []*asking) error {
	var ids []int64
	for _, a := range asks {
		if a.fresh {
			ids = append(ids, a.x.ID)
		}
	}
	rows, err := t.tx.HeldAttempts(t.ctx, ids)
	if err != nil {
		return err
	}
	bySession := map[int64][]store.HeldAttempt{}
	for _, row := range rows {
		if changed := t.attempts[row.ID]; changed != nil && !changed.Finished.IsZero() {
			continue
		}
		bySession[row.Session] = append(bySession[row.Session], row)
	}
	for _, a := range asks {
		if a.fresh {
			if err := t.comparePoll(a, bySession[a.x.ID]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *turn) comparePoll(a *asking, should []store.HeldAttempt) error {
	has := make(map[int64]bool, len(a.c.poll.have))
	for _, h := range a.c.poll.have {
		has[h.Fence] = true
		i := slices.IndexFunc(should, func(row store.HeldAttempt) bool { return row.ID == h.Fence })
		if i < 0 {
			a.c.answer.Gone = append(a.c.answer.Gone, h.Fence)
			continue
		}
		if !h.Stopping && t.isCanceling(&should[i]) {
			a.c.answer.Cancel = append(a.c.answer.Cancel, h.Fence)
		}
		if should[i].State == store.AttemptOffered {
			t.confirms = append(t.confirms, h.Fence)
		}
	}
	for i := range should {
		row := &should[i]
		if row.State != store.AttemptOffered || has[row.ID] {
			continue
		}
		c, err := t.compiledOf(row.Run)
		if err != nil {
			return err
		}
		a.free--
		a.c.answer.Jobs = append(a.c.answer.Jobs, Assignment{Fence: row.ID, Run: row.Run, Position: row.Pos, Attempt: row.Attempt, Job: &c.pipeline.Jobs[row.Pos]})
	}
	return nil
}

func (t *turn) isCanceling(row *store.HeldAttempt) bool {
	if r := t.runs[row.Run]; r != nil {
		return r.jobs[row.Pos].Status == pipeline.StatusCanceling
	}
	return row.Canceling
}

// compiledOf returns the pipeline of a run that is not locked.
func (t *turn) compiledOf(id int64) (*compiled, error) {
	if r := t.runs[id]; r != nil {
		return r.c, nil
	}
	if r := t.memory.runs[id]; r != nil {
		return r.c, nil
	}
	row, err := t.tx.PeekRun(t.ctx, id)
	if err != nil {
		return nil, err
	}
	return t.compiled(row.Pipeline)
}

package scheduler

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// turn is one transaction at work.
type turn struct {
	*Scheduler
	ctx   context.Context
	tx    *store.Tx
	now   time.Time
	batch []*command

	runs     map[int64]*run // locked, as they become
	fresh    []*run         // made in this turn
	changed  map[int64]map[int]bool
	before   map[int64]outcome          // of changed runs
	ready    []store.Queued             // became pending in this turn
	dequeue  map[int64]map[int]bool     // left pending, or found stale
	timers   map[int64]map[int]bool     // of jobs that are not scheduled any more
	delays   []store.Timer              // of jobs that are now
	ended    []int64                    // sessions that this turn ends
	attempts map[int64]*store.Attempt   // that this turn changes
	confirms []int64                    // attempts that runners say they have
	canceled []int64                    // fences whose runners hear of it
	given    map[int64][]*store.Attempt // by session
	lanes    []store.Lane               // new ones
	events   map[int64][]event

	found    map[int64]store.Attempt // those of results
	sessions map[int64]store.Session // those of commands, open
	messages []store.Message         // taken
	posts    []store.Message

	slotsLocked bool
	resized     []store.SlotKey // slots with another number of places
	slotDirty   map[int64]bool  // runs whose claims may differ from their state
	granted     map[int64]bool  // runs that have their slots although they are held
	bridges     []place         // trigger jobs that are pending
	stops       []place         // trigger jobs that are to be canceled
	cascade     map[int64]bool  // runs whose children are canceled too
	log         []applied       // for tests
	startsMade  bool            // there is work for makeStarts
}

// place is a job of a run.
type place struct {
	run int64
	pos int
}

// event is one event of a run and the command that brought it, if any.
type event struct {
	pipeline.Event
	from *command
}

// errAgain makes a turn start anew: another server changed what it relied on.
var errAgain = errors.New("the state changed meanwhile")

// takeTurn commits what a batch asks for, then answers. If the transaction
// fails nothing happened, and all of the batch gets the error.
func (s *Scheduler) takeTurn(ctx context.Context, batch []*command) {
	const tries = 5
	if s.forgetRuns.CompareAndSwap(true, false) {
		clear(s.memory.runs)
		clear(s.memory.graphs)
	}
	begin := time.Now()
	for try := 1; ; try++ {
		t := s.newTurn(ctx, batch)
		err := s.reserve(ctx, t)
		if err == nil {
			err = s.store.Update(ctx, t.run)
		}
		if err == nil {
			s.memory.faulty = false
			if s.Turned != nil {
				s.Turned(time.Since(begin), len(batch))
			}
			t.publish()
			s.memory.trim(t.runs)
			return
		}
		s.memory.forget(slices.Collect(maps.Keys(t.runs)))
		for _, c := range batch {
			c.answer, c.run, c.runID, c.err = Answer{}, store.Run{}, 0, nil
		}
		for _, x := range s.memory.standing {
			x.c.answer, x.c.err, x.missed = Answer{}, nil, true
		}
		if try < tries && ctx.Err() == nil && (errors.Is(err, errAgain) || store.Retryable(err)) {
			continue
		}
		if errors.Is(err, errAgain) {
			err = errs.E(errs.Unavailable, "other servers change the same runs; try again: %w", err)
		}
		s.memory.faulty = true
		if len(batch) == 0 && ctx.Err() == nil {
			s.Log.Error("a turn of the scheduler failed", "error", err)
		}
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
		return
	}
}

func (s *Scheduler) newTurn(ctx context.Context, batch []*command) *turn {
	return &turn{
		Scheduler: s, ctx: ctx, now: s.now(), batch: batch,
		runs: map[int64]*run{}, changed: map[int64]map[int]bool{}, before: map[int64]outcome{}, dequeue: map[int64]map[int]bool{},
		timers: map[int64]map[int]bool{}, attempts: map[int64]*store.Attempt{}, given: map[int64][]*store.Attempt{}, events: map[int64][]event{},
		sessions: map[int64]store.Session{}, found: map[int64]store.Attempt{},
		slotDirty: map[int64]bool{}, granted: map[int64]bool{}, cascade: map[int64]bool{},
	}
}

// reserve takes the ids that the turn may need: they cannot be had inside of it.
func (s *Scheduler) reserve(ctx context.Context, t *turn) error {
	need := 0
	for _, c := range t.batch {
		if c.poll != nil {
			need += c.poll.free
		}
	}
	for _, x := range s.memory.standing {
		need += x.c.poll.free
	}
	if need = min(need, 1000) - len(s.memory.spare); need > 0 {
		ids, err := s.store.NewIDs(ctx, "attempt", need)
		if err != nil {
			return err
		}
		s.memory.spare = append(s.memory.spare, ids...)
	}
	for _, c := range t.batch {
		if c.create == nil {
			continue
		}
		for kind, id := range map[string]*int64{"run": &c.create.ID, "pipeline": &c.create.pipelineID} {
			if *id != 0 {
				continue
			}
			ids, err := s.store.NewIDs(ctx, kind, 1)
			if err != nil {
				return err
			}
			*id = ids[0]
		}
	}
	return nil
}

// run is the turn. Rows are locked in one order, so that no two servers wait for
// each other: runs by their ids, pipelines, projects, slots, lanes, attempts,
// sessions.
func (t *turn) run(tx *store.Tx) error {
	t.tx = tx
	due, err := t.read()
	if err != nil {
		return err
	}
	if err := t.lockRuns(due); err != nil {
		return err
	}
	t.takeTimers(due)
	if err := t.takeMessages(); err != nil {
		return err
	}
	for _, c := range t.batch {
		switch {
		case c.err != nil:
		case c.act != nil:
			t.takeAct(c)
		case c.finish != nil:
			err = t.takeFinish(c)
		case c.end != nil:
			err = t.takeEnd(c)
		case c.drain != nil:
			err = t.takeDrain(c)
		case c.confirm != nil:
			t.takeConfirm(c)
		case c.failed != nil:
			t.takeFailedLaunch(c)
		}
		if err != nil {
			return err
		}
	}
	t.advance()
	if err := t.createRuns(); err != nil {
		return err
	}
	if err := t.settle(); err != nil {
		return err
	}
	if err := t.assign(); err != nil {
		return err
	}
	return t.write()
}

// read looks at what needs no lock: timers that are due, messages, and the
// sessions and attempts of commands.
func (t *turn) read() (due []store.Timer, err error) {
	if m := t.memory; !m.timerKnown || !m.nextTimer.IsZero() && !m.nextTimer.After(t.now) || t.looksEverywhere() {
		if due, err = t.tx.DueTimers(t.ctx, t.now, maxBatch); err != nil {
			return nil, err
		}
		m.timerKnown = false
	}
	if t.memory.inbox || t.looksEverywhere() {
		if t.messages, err = t.tx.Inbox(t.ctx, maxBatch); err != nil {
			return nil, err
		}
	}
	var fences, sessions []int64
	for _, c := range t.batch {
		switch {
		case c.finish != nil:
			fences = append(fences, c.finish.fence)
		case c.confirm != nil:
			fences = append(fences, c.confirm.fence)
		}
		switch {
		case c.poll != nil:
			sessions = append(sessions, c.poll.session)
		case c.end != nil:
			sessions = append(sessions, c.end.session)
		}
	}
	list, err := t.tx.Attempts(t.ctx, fences)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		t.found[a.ID] = a
	}
	return due, t.readSessions(sessions)
}

// looksEverywhere reports whether the turn looks for what other servers did.
func (t *turn) looksEverywhere() bool {
	return t.store.Shared() && t.now.Sub(t.memory.looked).Abs() >= secondLook
}

// lockRuns locks and reads every run that a command is about, in the order of
// their ids.
func (t *turn) lockRuns(due []store.Timer) error {
	want := map[int64]bool{}
	for _, x := range due {
		want[x.Run] = true
	}
	for _, m := range t.messages {
		want[m.Run] = true
	}
	for _, a := range t.found {
		want[a.Run] = true
	}
	for _, c := range t.batch {
		switch {
		case c.act != nil:
			want[c.act.run] = true
		case c.create != nil && c.create.Parent != 0:
			want[c.create.Parent] = true
		case c.failed != nil:
			want[c.failed.Run] = true
		case c.end != nil:
			held, err := t.tx.HeldAttempts(t.ctx, []int64{c.end.session})
			if err != nil {
				return err
			}
			for _, a := range held {
				want[a.Run] = true
			}
		}
	}
	rows, err := t.tx.LockRuns(t.ctx, slices.Sorted(maps.Keys(want)))
	if err != nil {
		return err
	}
	return t.load(rows)
}

// load brings locked runs up to date.
func (t *turn) load(rows []store.Run) error {
	for _, row := range rows {
		r := t.memory.runs[row.ID]
		since := int64(-1)
		if r != nil {
			since = r.Version
		} else {
			c, err := t.compiled(row.Pipeline)
			if err != nil {
				return err
			}
			r = newRun(row, c)
		}
		if since != row.Version {
			jobs, err := t.tx.Jobs(t.ctx, row.ID, since)
			if err != nil {
				return err
			}
			for _, j := range jobs {
				r.jobs[j.Pos] = j
			}
		}
		r.Run = row
		t.runs[row.ID] = r
	}
	return nil
}

func (t *turn) compiled(id int64) (*compiled, error) {
	if c := t.memory.graphs[id]; c != nil {
		return c, nil
	}
	body, err := t.tx.Pipeline(t.ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := decode(body)
	if err != nil {
		return nil, err
	}
	return t.remember(id, p)
}

func (t *turn) remember(id int64, p *pipeline.Pipeline) (*compiled, error) {
	graph, err := pipeline.NewGraph(p)
	if err != nil {
		return nil, err
	}
	c := newCompiled(id, p, graph)
	t.memory.graphs[id] = c
	return c, nil
}

func (t *turn) takeTimers(due []store.Timer) {
	for _, x := range due {
		r := t.runs[x.Run]
		if r == nil || r.jobs[x.Pos].Status != pipeline.StatusScheduled || r.jobs[x.Pos].Attempt != x.Attempt {
			mark(t.timers, x.Run, x.Pos)
			continue
		}
		t.add(x.Run, pipeline.Event{Kind: pipeline.EventEnqueue, Job: r.c.pipeline.Jobs[x.Pos].Name}, nil)
	}
}

func mark(set map[int64]map[int]bool, run int64, pos int) {
	if set[run] == nil {
		set[run] = map[int]bool{}
	}
	set[run][pos] = true
}

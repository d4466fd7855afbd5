package scheduler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	changed  map[int64]map[int]bool
	ready    []store.Queued             // became pending in this turn
	dequeue  map[int64]map[int]bool     // left pending, or found stale
	timers   map[int64]map[int]bool     // of jobs that are not scheduled any more
	delays   []store.Timer              // of jobs that are now
	attempts map[int64]*store.Attempt   // that this turn changes
	canceled []int64                    // fences whose runners are to be told
	given    map[int64][]*store.Attempt // by session
	events   map[int64][]event
}

// event is one event of a run and the command that brought it, if any.
type event struct {
	pipeline.Event
	from *command
}

// takeTurn commits what a batch asks for, then answers. If the transaction
// fails nothing happened, and all of the batch is told so.
func (s *Scheduler) takeTurn(ctx context.Context, batch []*command) {
	t := &turn{
		Scheduler: s, ctx: ctx, now: s.now(), batch: batch,
		runs: map[int64]*run{}, changed: map[int64]map[int]bool{}, dequeue: map[int64]map[int]bool{},
		timers: map[int64]map[int]bool{}, attempts: map[int64]*store.Attempt{}, given: map[int64][]*store.Attempt{}, events: map[int64][]event{},
	}
	err := s.reserve(ctx, t)
	if err == nil {
		err = s.store.Update(ctx, t.run)
	}
	if err != nil {
		s.memory.forget(slices.Collect(maps.Keys(t.runs)))
		for _, c := range batch {
			c.err = err
			close(c.done)
		}
		return
	}
	t.publish()
	s.memory.trim(t.runs)
}

// reserve takes the ids that the turn may need: they cannot be had inside of it.
func (s *Scheduler) reserve(ctx context.Context, t *turn) error {
	need, runs := 0, 0
	for _, c := range t.batch {
		switch {
		case c.poll != nil:
			need += c.poll.free
		case c.create != nil:
			runs++
		}
	}
	for _, x := range s.memory.sessions {
		if x.waiting != nil {
			need += x.waiting.poll.free
		}
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

func (t *turn) run(tx *store.Tx) error {
	t.tx = tx
	due, err := tx.DueTimers(t.ctx, t.now, maxBatch)
	if err != nil {
		return err
	}
	if err := t.meetSessions(); err != nil {
		return err
	}
	if err := t.lockRuns(due); err != nil {
		return err
	}
	t.takeTimers(due)
	for _, c := range t.batch {
		switch {
		case c.act != nil:
			t.takeAct(c)
		case c.finish != nil:
			t.takeFinish(c)
		case c.end != nil:
			t.takeEnd(c)
		case c.confirm != nil:
			t.takeConfirm(c)
		}
	}
	if err := t.advance(); err != nil {
		return err
	}
	for _, c := range t.batch {
		if c.create != nil {
			if err := t.create(c); err != nil {
				return err
			}
		}
	}
	if err := t.answerPolls(); err != nil {
		return err
	}
	if err := t.assign(); err != nil {
		return err
	}
	return t.write()
}

// lockRuns locks and reads every run that a command is about, in the order of
// their ids, so that no two servers wait for each other.
func (t *turn) lockRuns(due []store.Timer) error {
	want := map[int64]bool{}
	for _, x := range due {
		want[x.Run] = true
	}
	for _, c := range t.batch {
		switch {
		case c.act != nil:
			want[c.act.run] = true
		case c.finish != nil:
			if a := t.memory.attempts[c.finish.fence]; a != nil {
				want[a.Run] = true
			}
		case c.confirm != nil:
			if a := t.memory.attempts[c.confirm.fence]; a != nil {
				want[a.Run] = true
			}
		case c.end != nil, c.poll != nil:
			for _, a := range t.memory.attempts {
				if c.end != nil && a.Session == c.end.session || c.poll != nil && a.Session == c.poll.session {
					want[a.Run] = true
				}
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
			r = &run{c: c, jobs: make([]store.Job, len(c.pipeline.Jobs))}
			for i := range r.jobs {
				r.jobs[i] = store.Job{Run: row.ID, Pos: i}
				r.jobs[i].Status, r.jobs[i].Attempt = pipeline.StatusCreated, 1
				r.jobs[i].AllowFailure = c.pipeline.Jobs[i].AllowFailure
			}
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
	c := &compiled{id: id, pipeline: p, graph: graph, lanes: map[bool][]int64{}}
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

func (t *turn) takeAct(c *command) {
	if t.runs[c.act.run] == nil {
		c.err = errs.E(errs.NotFound, "no run %d", c.act.run)
		return
	}
	t.add(c.act.run, c.act.event, c)
}

func (t *turn) add(run int64, ev pipeline.Event, from *command) {
	t.events[run] = append(t.events[run], event{ev, from})
}

// advance applies all events of each run at once or, if one of them is refused,
// one by one, so that a command fails only for its own event.
func (t *turn) advance() error {
	for id, list := range t.events {
		r := t.runs[id]
		together := make([]pipeline.Event, len(list))
		for i, ev := range list {
			together[i] = ev.Event
		}
		if err := t.apply(r, together...); err == nil {
			continue
		}
		for _, ev := range list {
			// A result ends its attempt whatever else this turn did to the job.
			if err := t.apply(r, ev.Event); err != nil && ev.from != nil && ev.from.finish == nil && ev.from.end == nil {
				ev.from.err = err
			}
		}
	}
	clear(t.events)
	return nil
}

// apply advances a run and notes what follows from it.
func (t *turn) apply(r *run, events ...pipeline.Event) error {
	next, changes, err := r.c.graph.Advance(r.state(), events...)
	if err != nil {
		return err
	}
	r.Status, r.Result, r.Stages, r.BusyGroups = next.Status, pipeline.ResultOf(next), next.Stages, next.BusyGroups
	for _, c := range changes {
		j := &r.jobs[c.Pos]
		j.JobState = next.Jobs[c.Pos]
		t.follow(r, j, c)
	}
	if t.changed[r.ID] == nil {
		t.changed[r.ID] = map[int]bool{}
		r.Version++
	}
	for _, c := range changes {
		t.changed[r.ID][c.Pos] = true
	}
	switch {
	case next.Status.Done() && r.Finished.IsZero():
		r.Finished = t.now
	case !next.Status.Done():
		r.Finished = time.Time{}
	}
	return nil
}

// follow notes what one change means for the queue, timers and runners.
func (t *turn) follow(r *run, j *store.Job, c pipeline.Change) {
	if c.From == pipeline.StatusPending {
		mark(t.dequeue, r.ID, c.Pos)
		t.ready = slices.DeleteFunc(t.ready, func(q store.Queued) bool { return q.Run == r.ID && q.Pos == c.Pos })
	}
	if c.From == pipeline.StatusScheduled {
		mark(t.timers, r.ID, c.Pos)
		t.delays = slices.DeleteFunc(t.delays, func(x store.Timer) bool { return x.Run == r.ID && x.Pos == c.Pos })
	}
	switch c.To {
	case pipeline.StatusPending:
		delete(t.dequeue[r.ID], c.Pos)
		t.ready = append(t.ready, store.Queued{Run: r.ID, Pos: c.Pos, Project: r.Project, Priority: r.Priority})
	case pipeline.StatusScheduled:
		delete(t.timers[r.ID], c.Pos)
		t.delays = append(t.delays, store.Timer{Run: r.ID, Pos: c.Pos, Attempt: j.Attempt, Due: t.now.Add(r.c.pipeline.Jobs[c.Pos].StartIn.D())})
	case pipeline.StatusCanceling:
		t.canceled = append(t.canceled, j.AttemptID)
	case pipeline.StatusRunning:
		j.Started, j.Finished = t.now, time.Time{}
		if r.Started.IsZero() {
			r.Started = t.now
		}
	}
	if c.To.Done() {
		j.Finished = t.now
	}
}

func mark(set map[int64]map[int]bool, run int64, pos int) {
	if set[run] == nil {
		set[run] = map[int]bool{}
	}
	set[run][pos] = true
}

// create makes a run in its first state.
func (t *turn) create(c *command) error {
	n := c.create
	plain, packed, err := encode(n.Pipeline)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plain)
	id, err := t.tx.PutPipeline(t.ctx, n.pipelineID, hex.EncodeToString(sum[:]), packed)
	if err != nil {
		return err
	}
	shared := t.memory.graphs[id]
	if shared == nil {
		// A copy of its own: the caller may go on to use the one it gave.
		p, err := decode(packed)
		if err == nil {
			shared, err = t.remember(id, p)
		}
		if err != nil {
			c.err = err
			return nil
		}
	}
	number, err := t.tx.TakeNumbers(t.ctx, n.Project, 1)
	if errs.Is(err, errs.NotFound) {
		c.err = err
		return nil
	}
	if err != nil {
		return err
	}
	r := &run{c: shared, jobs: make([]store.Job, len(shared.pipeline.Jobs))}
	r.Run = store.Run{
		ID: n.ID, Project: n.Project, Number: number, Flow: n.Flow, Pipeline: id, Source: n.Source, Ref: n.Ref, SHA: n.SHA,
		Actor: n.Actor, Parent: n.Parent, Priority: n.Priority, Protected: n.Protected, Created: t.now,
	}
	for i := range r.jobs {
		r.jobs[i] = store.Job{Run: r.ID, Pos: i}
		r.jobs[i].Status, r.jobs[i].Attempt = pipeline.StatusCreated, 1
		r.jobs[i].AllowFailure = shared.pipeline.Jobs[i].AllowFailure
	}
	t.runs[r.ID] = r
	next, changes, err := shared.graph.Advance(pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
	if err != nil {
		c.err = err
		delete(t.runs, r.ID)
		return nil
	}
	r.Status, r.Result, r.Stages, r.Version = next.Status, pipeline.ResultOf(next), next.Stages, 1
	t.changed[r.ID] = map[int]bool{}
	for _, ch := range changes {
		r.jobs[ch.Pos].JobState = next.Jobs[ch.Pos]
		t.follow(r, &r.jobs[ch.Pos], ch)
		t.changed[r.ID][ch.Pos] = true
	}
	if r.Status.Done() {
		r.Finished = t.now
	}
	c.run = r.Run
	if n.Facts == nil {
		return nil
	}
	return t.tx.PutRunFacts(t.ctx, r.ID, n.Facts)
}

package scheduler

import (
	"maps"
	"slices"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// assign answers polls: what they should change about what they have, and new
// jobs, from the queue first, then what became pending in this turn, which needs
// no queue if a runner waits for it.
func (t *turn) assign() error {
	t.findLanes()
	asks := t.asks()
	if err := t.compare(asks); err != nil {
		return err
	}
	asks = slices.DeleteFunc(asks, func(a *asking) bool { return a.free <= 0 || t.draining(a.x) })
	if err := t.assignQueued(asks); err != nil {
		return err
	}
	slices.SortStableFunc(t.ready, func(a, b store.Queued) int { return b.Priority - a.Priority })
	var chosen []choice
	t.ready = slices.DeleteFunc(t.ready, func(q store.Queued) bool {
		for _, a := range asks {
			if a.free > 0 && len(chosen) < len(t.memory.spare) && takes(&a.x, t.lane(q.Lane)) {
				a.free--
				chosen = append(chosen, choice{q, a})
				return true
			}
		}
		return false
	})
	return t.start(chosen)
}

// findLanes gives each job that became pending its lane.
func (t *turn) findLanes() {
	for i := range t.ready {
		q := &t.ready[i]
		r := t.runs[q.Run]
		if r.c.lanes[r.Protected] == nil {
			r.c.lanes[r.Protected] = make([]int64, len(r.jobs))
		}
		known := &r.c.lanes[r.Protected][q.Pos]
		if *known == 0 {
			l := store.LaneOf(r.c.pipeline.Jobs[q.Pos].Tags, r.Protected)
			*known = l.ID
		}
		q.Lane = *known
		if _, there := t.memory.lanes[q.Lane]; !there && !slices.ContainsFunc(t.lanes, func(l store.Lane) bool { return l.ID == q.Lane }) {
			t.lanes = append(t.lanes, store.LaneOf(r.c.pipeline.Jobs[q.Pos].Tags, r.Protected))
		}
	}
}

// lane returns a lane that is known, or new in this turn.
func (t *turn) lane(id int64) store.Lane {
	if l, there := t.memory.lanes[id]; there {
		return l
	}
	return t.lanes[slices.IndexFunc(t.lanes, func(l store.Lane) bool { return l.ID == id })]
}

// choice is a job for a poll.
type choice struct {
	job store.Queued
	to  *asking
}

// assignQueued looks at the queue for new polls. Its rows are hints: whether a
// job is still pending is decided under the lock of its run.
func (t *turn) assignQueued(asks []*asking) error {
	for _, a := range asks {
		if !a.fresh {
			continue
		}
		var lanes []int64
		for id, l := range t.memory.lanes {
			if takes(&a.x, l) {
				lanes = append(lanes, id)
			}
		}
		slices.Sort(lanes)
		heads, err := t.tx.Heads(t.ctx, lanes, min(a.free, len(t.memory.spare)))
		if err != nil {
			return err
		}
		var want []int64
		for _, q := range heads {
			if t.runs[q.Run] == nil && !slices.Contains(want, q.Run) {
				want = append(want, q.Run)
			}
		}
		rows, err := t.tx.LockFreeRuns(t.ctx, want)
		if err != nil {
			return err
		}
		if err := t.load(rows); err != nil {
			return err
		}
		var chosen []choice
		for _, q := range heads {
			r := t.runs[q.Run]
			switch {
			case r == nil: // another transaction has it now, and may let it be
				a.c.poll.missed = true
			case t.dequeue[q.Run][q.Pos] || r.jobs[q.Pos].Status != pipeline.StatusPending:
				mark(t.dequeue, q.Run, q.Pos)
			default:
				a.free--
				chosen = append(chosen, choice{q, a})
			}
		}
		if err := t.start(chosen); err != nil {
			return err
		}
	}
	return nil
}

// start makes attempts of chosen jobs.
func (t *turn) start(chosen []choice) error {
	events := map[int64][]pipeline.Event{}
	for _, c := range chosen {
		r := t.runs[c.job.Run]
		events[r.ID] = append(events[r.ID], pipeline.Event{Kind: pipeline.EventStart, Job: r.c.pipeline.Jobs[c.job.Pos].Name})
	}
	for _, id := range slices.Sorted(maps.Keys(events)) {
		if err := t.apply(t.runs[id], events[id]...); err != nil {
			return err
		}
	}
	for _, c := range chosen {
		r := t.runs[c.job.Run]
		j := &r.jobs[c.job.Pos]
		id := t.memory.spare[0]
		t.memory.spare = t.memory.spare[1:]
		j.AttemptID = id
		a := &store.Attempt{ID: id, Run: j.Run, Pos: j.Pos, Attempt: j.Attempt, Session: c.to.x.ID, State: store.AttemptOffered, Started: t.now}
		t.attempts[id] = a
		t.given[c.to.x.ID] = append(t.given[c.to.x.ID], a)
		c.to.c.answer.Jobs = append(c.to.c.answer.Jobs, Assignment{Fence: id, Run: j.Run, Position: j.Pos, Attempt: j.Attempt, Job: &r.c.pipeline.Jobs[j.Pos]})
	}
	return nil
}

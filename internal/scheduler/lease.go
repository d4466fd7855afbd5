package scheduler

import (
	"maps"
	"slices"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// meetSessions finds the sessions of polls and results, which another server
// may have opened.
func (t *turn) meetSessions() error {
	beats := map[int64]bool{}
	for _, c := range t.batch {
		var id int64
		switch {
		case c.poll != nil:
			id = c.poll.session
		case c.finish != nil:
			id = c.finish.session
		case c.end != nil:
			id = c.end.session
		case c.confirm != nil:
			id = c.confirm.session
		default:
			continue
		}
		if t.memory.sessions[id] == nil {
			x, err := t.tx.Session(t.ctx, id)
			if errs.Is(err, errs.NotFound) {
				c.err = err
				continue
			}
			if err == nil {
				err = t.addSession(t.ctx, t.tx, x)
			}
			if err != nil {
				return err
			}
		}
		if c.poll != nil {
			beats[id] = true
		}
	}
	return t.tx.Beat(t.ctx, slices.Sorted(maps.Keys(beats)))
}

// takeFinish turns a result into events of its run, if the attempt is still the
// job's.
func (t *turn) takeFinish(c *command) {
	if c.err != nil {
		return
	}
	f := c.finish
	a := t.memory.attempts[f.fence]
	if a == nil || a.Session != f.session || t.attempts[f.fence] != nil && !t.attempts[f.fence].Finished.IsZero() {
		c.err = t.lateResult(f)
		return
	}
	r := t.runs[a.Run]
	if r == nil || r.jobs[a.Pos].AttemptID != f.fence || !r.jobs[a.Pos].Status.Active() {
		c.err = errs.E(errs.Conflict, "attempt %d is not the job's any more; the result is refused", f.fence)
		return
	}
	switch f.result.Status {
	case pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusCanceled:
	default:
		c.err = errs.E(errs.Invalid, "attempt %d cannot end as %q: an attempt ends in success, failed or canceled", f.fence, f.result.Status)
		return
	}
	job := r.jobs[a.Pos].JobState
	for _, ev := range pipeline.EndEvents(r.c.pipeline.Jobs[a.Pos].Name, job, f.result.Status, f.result.Reason, f.result.ExitCode) {
		t.add(r.ID, ev, c)
	}
	t.endAttempt(a, store.AttemptEnded, f.result.Digest)
}

// takeConfirm notes that an attempt is about to start.
func (t *turn) takeConfirm(c *command) {
	if c.err != nil {
		return
	}
	a := t.memory.attempts[c.confirm.fence]
	r := (*run)(nil)
	if a != nil {
		r = t.runs[a.Run]
	}
	switch {
	case r == nil || a.Session != c.confirm.session || t.attempts[a.ID] != nil && !t.attempts[a.ID].Finished.IsZero() ||
		r.jobs[a.Pos].AttemptID != a.ID || !r.jobs[a.Pos].Status.Active():
		c.err = errs.E(errs.Conflict, "attempt %d is not the runner's any more", c.confirm.fence)
	case a.State == store.AttemptOffered && t.attempts[a.ID] == nil:
		row := a.Attempt
		row.State = store.AttemptConfirmed
		t.attempts[a.ID] = &row
	}
}

// lateResult answers for an attempt that has ended: the same result again is
// fine, another one is refused.
func (t *turn) lateResult(f *finish) error {
	if ended := t.attempts[f.fence]; ended != nil && ended.Session == f.session && ended.Digest == f.result.Digest {
		return nil
	}
	list, err := t.tx.Attempts(t.ctx, []int64{f.fence})
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return errs.E(errs.NotFound, "no attempt %d", f.fence)
	case list[0].Session == f.session && list[0].State == store.AttemptEnded && list[0].Digest == f.result.Digest:
		return nil
	default:
		return errs.E(errs.Conflict, "attempt %d has ended; the result is refused", f.fence)
	}
}

func (t *turn) endAttempt(a *attempt, state store.AttemptState, digest string) {
	row := a.Attempt
	row.State, row.Digest, row.Finished = state, digest, t.now
	t.attempts[row.ID] = &row
}

// takeEnd ends a lease with its attempts.
func (t *turn) takeEnd(c *command) {
	x := t.memory.sessions[c.end.session]
	if c.err != nil || x == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(t.memory.attempts)) {
		a := t.memory.attempts[id]
		if a.Session != x.ID || t.attempts[id] != nil && !t.attempts[id].Finished.IsZero() {
			continue
		}
		r := t.runs[a.Run]
		state := store.AttemptLost
		if r != nil && r.jobs[a.Pos].AttemptID == id {
			ev := pipeline.Event{Kind: pipeline.EventDrop, Job: r.c.pipeline.Jobs[a.Pos].Name, Reason: pipeline.ReasonRunnerSystemFailure}
			confirmed := t.attempts[id] != nil && t.attempts[id].State == store.AttemptConfirmed // in this turn
			if a.State == store.AttemptOffered && !confirmed && r.jobs[a.Pos].Status == pipeline.StatusRunning {
				ev, state = pipeline.Event{Kind: pipeline.EventRequeue, Job: ev.Job}, store.AttemptUnstarted
			}
			t.add(r.ID, ev, c)
		}
		t.endAttempt(a, state, "")
	}
}

// answerPolls says what a runner should change about what it has.
func (t *turn) answerPolls() error {
	for _, c := range t.batch {
		if c.poll == nil || c.err != nil {
			continue
		}
		x := t.memory.sessions[c.poll.session]
		have := map[int64]bool{}
		for _, h := range c.poll.have {
			have[h.Fence] = true
			a := t.memory.attempts[h.Fence]
			switch {
			case a == nil || a.Session != x.ID || t.attempts[h.Fence] != nil && !t.attempts[h.Fence].Finished.IsZero():
				c.answer.Gone = append(c.answer.Gone, h.Fence)
			case t.isCanceling(a) && !h.Stopping:
				c.answer.Cancel = append(c.answer.Cancel, h.Fence)
			}
			if a != nil && a.Session == x.ID && a.State == store.AttemptOffered && t.attempts[h.Fence] == nil {
				row := a.Attempt
				row.State = store.AttemptConfirmed
				t.attempts[h.Fence] = &row
			}
		}
		for _, id := range slices.Sorted(maps.Keys(t.memory.attempts)) {
			a := t.memory.attempts[id]
			if a.Session == x.ID && a.State == store.AttemptOffered && !have[id] && t.attempts[id] == nil {
				c.answer.Jobs = append(c.answer.Jobs, t.assignment(&a.Attempt))
			}
		}
		// A runner that takes nothing anyway is not told again and again.
		c.answer.Drain = x.Draining && c.poll.free > 0
	}
	return nil
}

func (t *turn) isCanceling(a *attempt) bool {
	r := t.runs[a.Run]
	return r != nil && r.jobs[a.Pos].AttemptID == a.ID && r.jobs[a.Pos].Status == pipeline.StatusCanceling
}

func (t *turn) assignment(a *store.Attempt) Assignment {
	return Assignment{Fence: a.ID, Run: a.Run, Position: a.Pos, Attempt: a.Attempt, Job: &t.runs[a.Run].c.pipeline.Jobs[a.Pos]}
}

// asking is a poll that wants jobs.
type asking struct {
	c    *command
	x    *session
	free int
	new  bool // the queue was not looked at for it yet
}

// assign gives pending jobs to polls: what is in the queue first, then what
// became pending in this turn, which needs no queue if a runner waits for it.
func (t *turn) assign() error {
	if err := t.findLanes(); err != nil {
		return err
	}
	var polls []*asking
	for _, id := range slices.Sorted(maps.Keys(t.memory.sessions)) {
		if x := t.memory.sessions[id]; x.waiting != nil && x.waiting.ctx.Err() == nil && !t.replaced(x) {
			polls = append(polls, &asking{c: x.waiting, x: x, free: x.waiting.poll.free, new: t.looksAgain(x)})
		}
	}
	for _, c := range t.batch {
		if c.poll == nil || c.err != nil || c.ctx.Err() != nil {
			continue
		}
		x := t.memory.sessions[c.poll.session]
		if free := c.poll.free - len(c.answer.Jobs); free > 0 && !x.Draining && t.isLastPoll(c) {
			polls = append(polls, &asking{c: c, x: x, free: free, new: true})
		}
	}
	if err := t.assignQueued(polls); err != nil {
		return err
	}
	slices.SortStableFunc(t.ready, func(a, b store.Queued) int { return b.Priority - a.Priority })
	var chosen []choice
	t.ready = slices.DeleteFunc(t.ready, func(q store.Queued) bool {
		for _, p := range polls {
			if p.free > 0 && len(chosen) < len(t.memory.spare) && p.x.takes(t.memory.lanes[q.Lane]) {
				p.free--
				chosen = append(chosen, choice{q, p})
				return true
			}
		}
		return false
	})
	return t.start(chosen)
}

// isLastPoll reports whether the batch has no later poll of the same session.
func (t *turn) isLastPoll(c *command) bool {
	at := slices.Index(t.batch, c)
	return !slices.ContainsFunc(t.batch[at+1:], func(o *command) bool { return o.poll != nil && o.poll.session == c.poll.session })
}

// replaced reports whether this turn brings another poll of the session.
func (t *turn) replaced(x *session) bool {
	return slices.ContainsFunc(t.batch, func(c *command) bool { return c.poll != nil && c.poll.session == x.ID })
}

// findLanes gives each job that became pending its lane.
func (t *turn) findLanes() error {
	for i := range t.ready {
		q := &t.ready[i]
		r := t.runs[q.Run]
		if r.c.lanes[r.Protected] == nil {
			r.c.lanes[r.Protected] = make([]int64, len(r.jobs))
		}
		known := &r.c.lanes[r.Protected][q.Pos]
		if *known == 0 {
			tags := r.c.pipeline.Jobs[q.Pos].Tags
			id, ok := t.memory.laneIDs[laneKey(tags, r.Protected)]
			if !ok {
				lane, err := t.tx.LaneOf(t.ctx, tags, r.Protected)
				if err != nil {
					return err
				}
				t.memory.addLane(lane) // also if the turn fails: the same tags give the same lane
				id = lane.ID
			}
			*known = id
		}
		q.Lane = *known
	}
	return nil
}

// choice is a job for a poll.
type choice struct {
	job store.Queued
	to  *asking
}

// assignQueued looks at the queue for new polls. Its rows are hints: whether a
// job is still pending is decided under the lock of its run.
func (t *turn) assignQueued(polls []*asking) error {
	for _, p := range polls {
		if !p.new {
			continue
		}
		var lanes []int64
		for id, l := range t.memory.lanes {
			if p.x.takes(l) {
				lanes = append(lanes, id)
			}
		}
		slices.Sort(lanes)
		heads, err := t.tx.Heads(t.ctx, lanes, min(p.free, len(t.memory.spare)))
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
				p.x.missed = true
			case t.dequeue[q.Run][q.Pos] || r.jobs[q.Pos].Status != pipeline.StatusPending:
				mark(t.dequeue, q.Run, q.Pos)
			default:
				p.free--
				chosen = append(chosen, choice{q, p})
			}
		}
		p.x.looked = t.now
		if err := t.start(chosen); err != nil {
			return err
		}
	}
	return nil
}

// lookAgain is how soon a standing poll looks at the queue once more, if a run
// in it was locked; secondLook, if jobs may come from other servers.
const (
	lookAgain  = 20 * time.Millisecond
	secondLook = time.Second
)

// looksAgain reports whether a standing poll is to look at the queue: jobs that
// this server makes pending are given to it without.
func (t *turn) looksAgain(x *session) bool {
	if x.missed {
		x.missed = false
		return true
	}
	return t.store.Shared() && t.now.Sub(x.looked) >= secondLook
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
		j := &t.runs[c.job.Run].jobs[c.job.Pos]
		id := t.memory.spare[0]
		t.memory.spare = t.memory.spare[1:]
		j.AttemptID = id
		a := &store.Attempt{ID: id, Run: j.Run, Pos: j.Pos, Attempt: j.Attempt, Session: c.to.x.ID, State: store.AttemptOffered, Started: t.now}
		t.attempts[id] = a
		t.given[c.to.x.ID] = append(t.given[c.to.x.ID], a)
	}
	return nil
}

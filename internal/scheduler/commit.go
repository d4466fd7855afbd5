package scheduler

import (
	"cmp"
	"maps"
	"slices"

	"refline/internal/store"
)

// write puts all that changed into the transaction.
func (t *turn) write() error {
	slices.SortFunc(t.lanes, func(a, b store.Lane) int { return cmp.Compare(a.ID, b.ID) })
	for _, l := range t.lanes {
		if err := t.tx.AddLane(t.ctx, l); err != nil {
			return err
		}
	}
	if err := t.enqueue(); err != nil {
		return err
	}
	var runs []store.Run
	var jobs []store.Job
	for _, id := range slices.Sorted(maps.Keys(t.changed)) {
		r := t.runs[id]
		runs = append(runs, r.Run)
		for _, pos := range slices.Sorted(maps.Keys(t.changed[id])) {
			r.jobs[pos].Version = r.Version
			jobs = append(jobs, r.jobs[pos])
		}
	}
	if err := t.tx.PutRuns(t.ctx, runs); err != nil {
		return err
	}
	if err := t.tx.PutJobs(t.ctx, jobs); err != nil {
		return err
	}
	if err := t.writeAttempts(); err != nil {
		return err
	}
	if err := t.writeReports(); err != nil {
		return err
	}
	if err := t.postFromRuns(); err != nil {
		return err
	}
	if err := t.writeTimers(); err != nil {
		return err
	}
	return t.writeSessions()
}

func (t *turn) writeAttempts() error {
	// Those that ended first: their numbers may be given again in this turn.
	attempts := slices.SortedFunc(maps.Values(t.attempts), func(a, b *store.Attempt) int {
		return cmp.Or(cmp.Compare(ended(b), ended(a)), cmp.Compare(a.ID, b.ID))
	})
	rows := make([]store.Attempt, len(attempts))
	for i, a := range attempts {
		rows[i] = *a
	}
	if err := t.tx.PutAttempts(t.ctx, rows); err != nil {
		return err
	}
	slices.Sort(t.confirms)
	return t.tx.ConfirmAttempts(t.ctx, slices.Compact(t.confirms))
}

// writeReports writes what came with the results that this turn accepts.
func (t *turn) writeReports() error {
	for _, c := range t.batch {
		if c.finish == nil || c.err != nil || c.finish.result.Report == nil {
			continue
		}
		a := t.attempts[c.finish.fence]
		if a == nil || a.State != store.AttemptEnded || a.Digest != c.finish.result.Digest {
			continue // an earlier turn has it
		}
		if err := c.finish.result.Report(t.ctx, t.tx); err != nil {
			return err
		}
	}
	return nil
}

func ended(a *store.Attempt) int {
	if a.Finished.IsZero() {
		return 0
	}
	return 1
}

// writeSessions counts the signs of life, and makes sure that a session that was
// given jobs is open and that one that ends has none.
func (t *turn) writeSessions() error {
	all := map[int64]bool{}
	for _, c := range t.batch {
		if c.poll != nil && c.err == nil && !slices.Contains(t.ended, c.poll.session) {
			if _, open := t.sessions[c.poll.session]; open {
				all[c.poll.session] = true
			}
		}
	}
	for id := range t.given {
		all[id] = true
	}
	for _, id := range t.ended {
		all[id] = true
	}
	open, err := t.tx.Beat(t.ctx, slices.Sorted(maps.Keys(all)))
	if err != nil {
		return err
	}
	for id := range t.given {
		if !slices.Contains(open, id) {
			return errAgain
		}
	}
	for _, id := range t.ended {
		if err := t.tx.EndSession(t.ctx, id, t.now); err != nil {
			return err
		}
		if left, err := t.tx.HeldAttempts(t.ctx, []int64{id}); err != nil || len(left) > 0 {
			return cmp.Or(err, errAgain)
		}
	}
	if len(t.canceled) == 0 {
		return nil
	}
	list, err := t.tx.Attempts(t.ctx, t.canceled)
	for _, a := range list {
		if x := t.memory.standing[a.Session]; x != nil && !slices.Contains(x.c.answer.Cancel, a.ID) {
			x.c.answer.Cancel = append(x.c.answer.Cancel, a.ID)
		}
	}
	return err
}

// enqueue brings the queue to the state of the jobs.
func (t *turn) enqueue() error {
	for run, positions := range t.dequeue {
		if err := t.tx.Dequeue(t.ctx, run, slices.Collect(maps.Keys(positions))); err != nil {
			return err
		}
	}
	type line struct {
		project, lane int64
		priority      int
	}
	ranks := map[line]int64{}
	for i := range t.ready {
		q := &t.ready[i]
		at := line{q.Project, q.Lane, q.Priority}
		if ranks[at] == 0 {
			rank, err := t.tx.NextRank(t.ctx, q.Project, q.Lane, q.Priority)
			if err != nil {
				return err
			}
			ranks[at] = rank
		}
		q.Rank = ranks[at]
		ranks[at]++
	}
	return t.tx.Enqueue(t.ctx, t.ready)
}

func (t *turn) writeTimers() error {
	for run, positions := range t.timers {
		if err := t.tx.DropTimers(t.ctx, run, slices.Collect(maps.Keys(positions))); err != nil {
			return err
		}
	}
	if err := t.tx.PutTimers(t.ctx, t.delays); err != nil {
		return err
	}
	m := t.memory
	if !m.timerKnown {
		next, err := t.tx.NextTimer(t.ctx)
		if err != nil {
			return err
		}
		m.nextTimer, m.timerKnown = next, true
		return nil
	}
	for _, x := range t.delays {
		if m.nextTimer.IsZero() || x.Due.Before(m.nextTimer) {
			m.nextTimer = x.Due
		}
	}
	return nil
}

// publish takes the turn into the memory and answers, after the commit.
func (t *turn) publish() {
	m := t.memory
	for id, r := range t.runs {
		m.runs[id] = r
	}
	for _, l := range t.lanes {
		m.addLane(l)
	}
	m.inbox = len(t.posts) > 0 || len(t.messages) == maxBatch
	for _, a := range t.log {
		t.applied(a)
	}
	if t.startsMade {
		wake(t.work)
	}
	for id := range t.changed {
		t.hub.publish(Change{Run: id, Project: t.runs[id].Project, Version: t.runs[id].Version})
	}
	for _, c := range t.batch {
		t.publishCommand(c)
	}
	for id, x := range m.standing {
		x.c.answer.Drain = x.c.answer.Drain || x.c.poll.free > 0 && t.isDrained(id)
		switch {
		case slices.Contains(t.ended, id):
			x.c.err = store.ErrNoSession(id)
		case x.c.err != nil, !x.c.answer.empty(), !x.c.poll.wait, x.c.ctx.Err() != nil:
		default:
			continue
		}
		close(x.c.done)
		delete(m.standing, id)
	}
}

// isDrained reports whether this turn made a session take no more jobs.
func (t *turn) isDrained(session int64) bool {
	return slices.ContainsFunc(t.batch, func(c *command) bool {
		return c.drain != nil && c.err == nil && c.drain.session == session && c.drain.on
	})
}

func (t *turn) publishCommand(c *command) {
	if c.runID != 0 && t.runs[c.runID] != nil {
		c.run = t.runs[c.runID].Run
	}
	if c.poll != nil && c.finish == nil && c.err == nil {
		x := t.sessions[c.poll.session]
		if old := t.memory.standing[x.ID]; old != nil { // the runner asked again: the older request has no reader
			old.c.answer = Answer{}
			close(old.c.done)
		}
		t.memory.standing[x.ID] = &standing{c: c, x: x, missed: c.poll.missed}
		c.poll.missed = false
		return // answered by publish, or later
	}
	close(c.done)
}

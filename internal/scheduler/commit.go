package scheduler

import (
	"cmp"
	"maps"
	"slices"

	"refline/internal/errs"
	"refline/internal/store"
)

// write puts all that changed into the transaction.
func (t *turn) write() error {
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
	for _, c := range t.batch {
		if c.finish != nil && c.err == nil && c.finish.result.Report != nil && t.ends(c.finish) {
			if err := c.finish.result.Report(t.ctx, t.tx); err != nil {
				return err
			}
		}
		if c.end == nil || c.err != nil {
			continue
		}
		x := t.memory.sessions[c.end.session].Session
		x.Ended = t.now
		if err := t.tx.PutSession(t.ctx, x); err != nil {
			return err
		}
	}
	return t.writeTimers()
}

// ends reports whether this turn ends the attempt by this result, not an earlier
// one.
func (t *turn) ends(f *finish) bool {
	a := t.attempts[f.fence]
	return a != nil && a.State == store.AttemptEnded && a.Digest == f.result.Digest
}

func ended(a *store.Attempt) int {
	if a.Finished.IsZero() {
		return 0
	}
	return 1
}

// enqueue brings the queue to the state of the jobs.
func (t *turn) enqueue() error {
	for run, positions := range t.dequeue {
		if err := t.tx.Dequeue(t.ctx, run, slices.Collect(maps.Keys(positions))); err != nil {
			return err
		}
	}
	ranks := map[int64]int64{}
	for i := range t.ready {
		q := &t.ready[i]
		if ranks[q.Project] == 0 {
			rank, err := t.tx.NextRank(t.ctx, q.Project)
			if err != nil {
				return err
			}
			ranks[q.Project] = rank
		}
		q.Rank = ranks[q.Project]
		ranks[q.Project]++
	}
	return t.tx.Enqueue(t.ctx, t.ready)
}

func (t *turn) writeTimers() error {
	for run, positions := range t.timers {
		if err := t.tx.DropTimers(t.ctx, run, slices.Collect(maps.Keys(positions))); err != nil {
			return err
		}
	}
	return t.tx.PutTimers(t.ctx, t.delays)
}

// publish takes the turn into the memory and answers, after the commit.
func (t *turn) publish() {
	m := t.memory
	for id, r := range t.runs {
		m.runs[id] = r
	}
	for id, a := range t.attempts {
		if !a.Finished.IsZero() {
			delete(m.attempts, id)
			continue
		}
		m.attempts[id] = &attempt{*a}
	}
	for _, fence := range t.canceled {
		if a := m.attempts[fence]; a != nil {
			if x := m.sessions[a.Session]; x != nil && x.waiting != nil {
				x.waiting.answer.Cancel = append(x.waiting.answer.Cancel, fence)
			}
		}
	}
	for _, c := range t.batch {
		t.publishCommand(c)
	}
	for id, list := range t.given {
		x := m.sessions[id]
		if x.waiting != nil {
			for _, a := range list {
				x.waiting.answer.Jobs = append(x.waiting.answer.Jobs, t.assignment(a))
			}
		}
	}
	for _, x := range m.sessions {
		if x.waiting != nil && (!x.waiting.answer.empty() || !x.waiting.poll.wait || x.waiting.ctx.Err() != nil) {
			close(x.waiting.done)
			x.waiting = nil
		}
	}
}

func (t *turn) publishCommand(c *command) {
	switch {
	case c.poll != nil && c.err == nil:
		x := t.memory.sessions[c.poll.session]
		if x.waiting != nil { // the runner asked again: the older request has no reader
			close(x.waiting.done)
		}
		x.waiting = c
		return // answered by publish, or later
	case c.end != nil && c.err == nil:
		if x := t.memory.sessions[c.end.session]; x != nil && x.waiting != nil {
			x.waiting.err = errs.E(errs.NotFound, "the runner session has ended; begin another")
			close(x.waiting.done)
		}
		delete(t.memory.sessions, c.end.session)
	}
	close(c.done)
}

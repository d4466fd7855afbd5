package scheduler

import (
	"maps"
	"slices"
	"time"

	"refline/internal/pipeline"
	"refline/internal/store"
)

func (t *turn) add(run int64, ev pipeline.Event, from *command) {
	t.events[run] = append(t.events[run], event{ev, from})
}

// advance applies all events of each run at once or, if one of them is refused,
// one by one, so that a command fails only for its own event.
func (t *turn) advance() {
	for _, id := range slices.Sorted(maps.Keys(t.events)) {
		r, list := t.runs[id], t.events[id]
		together := make([]pipeline.Event, len(list))
		for i, ev := range list {
			together[i] = ev.Event
		}
		if t.apply(r, together...) == nil {
			continue
		}
		for _, ev := range list {
			// A result ends its attempt whatever else this turn did to the job.
			if err := t.apply(r, ev.Event); err != nil && ev.from != nil && ev.from.act != nil {
				ev.from.err = err
			}
		}
	}
	clear(t.events)
}

// apply advances a run and notes what follows from it. A run that would go on
// without the slots that it needs is held: its events wait until it has them.
func (t *turn) apply(r *run, events ...pipeline.Event) error {
	all := slices.Concat(r.Held, events)
	next, changes, err := r.c.graph.Advance(r.state(), all...)
	if err != nil {
		return err
	}
	t.touch(r)
	for _, ev := range events {
		if ev.Kind == pipeline.EventCancel && ev.Job == "" {
			t.cascade[r.ID] = true
		}
	}
	if pipeline.ResultOf(next) == "" && len(r.Slots) > 0 && !r.underWay() && !t.granted[r.ID] {
		r.hold(all)
		return nil
	}
	delete(t.granted, r.ID)
	r.Held = nil
	if t.applied != nil {
		t.log = append(t.log, applied{r.ID, r.Version, all})
	}
	r.Status, r.Result, r.Stages = next.Status, pipeline.ResultOf(next), next.Stages
	for _, c := range changes {
		j := &r.jobs[c.Pos]
		if j.Attempt != next.Jobs[c.Pos].Attempt {
			j.Note = ""
		}
		j.JobState = next.Jobs[c.Pos]
		t.follow(r, j, c)
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

// applied are events that advanced a run together.
type applied struct {
	run, version int64
	events       []pipeline.Event
}

// touch notes that a run changes in this turn.
func (t *turn) touch(r *run) {
	if t.changed[r.ID] == nil {
		t.changed[r.ID] = map[int]bool{}
		t.before[r.ID] = r.outcome()
		r.Version++
	}
	if len(r.Slots) > 0 || len(r.c.groups) > 0 {
		t.slotDirty[r.ID] = true
	}
}

// follow notes what one change means for the queue, timers, trigger jobs and
// runners.
func (t *turn) follow(r *run, j *store.Job, c pipeline.Change) {
	triggers := r.c.pipeline.Jobs[c.Pos].Downstream != nil
	if c.From == pipeline.StatusPending && !triggers {
		mark(t.dequeue, r.ID, c.Pos)
		t.ready = slices.DeleteFunc(t.ready, func(q store.Queued) bool { return q.Run == r.ID && q.Pos == c.Pos })
	}
	if c.From == pipeline.StatusScheduled {
		mark(t.timers, r.ID, c.Pos)
		t.delays = slices.DeleteFunc(t.delays, func(x store.Timer) bool { return x.Run == r.ID && x.Pos == c.Pos })
	}
	switch c.To {
	case pipeline.StatusPending:
		if triggers {
			t.bridges = append(t.bridges, place{r.ID, c.Pos})
			break
		}
		delete(t.dequeue[r.ID], c.Pos)
		t.ready = append(t.ready, store.Queued{Run: r.ID, Pos: c.Pos, Project: r.Project, Priority: r.Priority})
	case pipeline.StatusScheduled:
		delete(t.timers[r.ID], c.Pos)
		t.delays = append(t.delays, store.Timer{Run: r.ID, Pos: c.Pos, Attempt: j.Attempt, Due: t.now.Add(r.c.pipeline.Jobs[c.Pos].StartIn.D())})
	case pipeline.StatusCanceling:
		if triggers {
			t.stops = append(t.stops, place{r.ID, c.Pos})
			break
		}
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

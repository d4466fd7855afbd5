package scheduler

import (
	"fmt"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// A trigger job starts without a runner: it becomes a launch, which makeStarts
// takes up outside of turns. The launch is there for as long as the job runs.

// childKey is the key of the run that an attempt of a trigger job starts.
func childKey(run int64, pos, attempt int) string {
	return fmt.Sprintf("child:%d:%d:%d", run, pos, attempt)
}

// followTriggers starts the trigger jobs that became pending, and cancels those
// that are to end.
func (t *turn) followTriggers() error {
	for len(t.bridges) > 0 || len(t.stops) > 0 {
		bridges, stops := t.bridges, t.stops
		t.bridges, t.stops = nil, nil
		for _, at := range bridges {
			if err := t.startTrigger(at); err != nil {
				return err
			}
		}
		for _, at := range stops {
			if err := t.stopTrigger(at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *turn) startTrigger(at place) error {
	r := t.runs[at.run]
	j := &r.jobs[at.pos]
	if j.Status != pipeline.StatusPending {
		return nil // canceled in the same turn
	}
	child, err := t.tx.RunOfKey(t.ctx, childKey(r.ID, j.Pos, j.Attempt))
	if err != nil {
		return err
	}
	if err := t.apply(r, pipeline.Event{Kind: pipeline.EventStart, Job: r.c.pipeline.Jobs[at.pos].Name}); err != nil {
		return err
	}
	if child != 0 { // it goes on with the run that it started before
		t.post(store.Message{Run: r.ID, Kind: store.MessageChild, Origin: child})
	} else {
		t.startsMade = true
	}
	return t.tx.PutLaunches(t.ctx, []store.Launch{{Run: r.ID, Pos: j.Pos, Attempt: j.Attempt, Child: child}})
}

// stopTrigger cancels a trigger job: at once if its run is not made yet, else
// with that run.
func (t *turn) stopTrigger(at place) error {
	r := t.runs[at.run]
	if r.jobs[at.pos].Status != pipeline.StatusCanceling {
		return nil
	}
	launch, _, err := t.tx.Launch(t.ctx, at.run, at.pos)
	if err != nil {
		return err
	}
	if launch.Child == 0 {
		return t.apply(r, pipeline.Event{Kind: pipeline.EventCanceled, Job: r.c.pipeline.Jobs[at.pos].Name})
	}
	t.post(store.Message{Run: launch.Child, Kind: store.MessageCancel, Origin: r.ID})
	t.post(store.Message{Run: r.ID, Kind: store.MessageChild, Origin: launch.Child}) // if that has ended already
	return nil
}

// dropLaunches removes the launches of trigger jobs that have ended. One that
// mirrors a pipeline that waits for a person keeps it.
func (t *turn) dropLaunches() error {
	for id, positions := range t.changed {
		r := t.runs[id]
		for pos := range positions {
			if r.c.pipeline.Jobs[pos].Downstream != nil && !hasAttempt(r.jobs[pos].Status) && r.jobs[pos].Status != pipeline.StatusManual {
				if err := t.tx.DropLaunch(t.ctx, id, pos); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// awaitsChild reports an error if the trigger job of a new run does not wait for
// one any more.
func (t *turn) awaitsChild(n *NewRun) error {
	r := t.runs[n.Parent]
	if r == nil {
		return errs.E(errs.NotFound, "no run %d, whose trigger job asked for this one", n.Parent)
	}
	if n.ParentPos < 0 || n.ParentPos >= len(r.jobs) || r.c.pipeline.Jobs[n.ParentPos].Downstream == nil {
		return errs.E(errs.Invalid, "run %d has no trigger job at position %d", n.Parent, n.ParentPos)
	}
	if j := &r.jobs[n.ParentPos]; j.Attempt != n.ParentAttempt || j.Status != pipeline.StatusRunning {
		return errs.E(errs.Conflict, "trigger job %q of run %d is %s in attempt %d, so attempt %d starts no run", r.c.pipeline.Jobs[n.ParentPos].Name, n.Parent, j.Status, j.Attempt, n.ParentAttempt)
	}
	return nil
}

// failedLaunch is a trigger job whose run cannot be made.
type failedLaunch struct {
	store.Launch
	err error
}

func (t *turn) takeFailedLaunch(c *command) {
	r := t.runs[c.failed.Run]
	if r == nil || r.jobs[c.failed.Pos].Attempt != c.failed.Attempt || r.jobs[c.failed.Pos].Status != pipeline.StatusRunning {
		return
	}
	r.jobs[c.failed.Pos].Note = c.failed.err.Error()
	t.add(r.ID, pipeline.Event{Kind: pipeline.EventDrop, Job: r.c.pipeline.Jobs[c.failed.Pos].Name, Reason: pipeline.ReasonDownstreamCreationFailed}, c)
}

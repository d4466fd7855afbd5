package scheduler

import (
	"fmt"
	"maps"
	"slices"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// A turn changes no run because of another one. It posts a message, and a later
// turn takes it under the lock of the run that it is for, on any server.

func (t *turn) post(m store.Message) { t.posts = append(t.posts, m) }

// takeMessages turns messages into events of their runs.
func (t *turn) takeMessages() error {
	ids := make([]int64, len(t.messages))
	for i, m := range t.messages {
		ids[i] = m.ID
	}
	taken, err := t.tx.TakeMessages(t.ctx, ids)
	if err != nil {
		return err
	}
	for _, m := range t.messages {
		r := t.runs[m.Run]
		if !taken[m.ID] || r == nil { // another server took it, or the run is removed
			continue
		}
		switch m.Kind {
		case store.MessageChild:
			err = t.takeChild(r, m.Origin)
		case store.MessageGranted:
			t.slotDirty[r.ID] = true
		case store.MessageCancel:
			t.cancelFor(r, m.Origin, "canceled with run %d, which started it")
		case store.MessageReplaced:
			t.cancelFor(r, m.Origin, "canceled: run %d of the flow takes its place")
		case store.MessageRedundant:
			err = t.takeRedundant(r, m.Origin)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// cancelFor cancels a run because of another one.
func (t *turn) cancelFor(r *run, origin int64, why string) {
	if !r.Finished.IsZero() {
		return
	}
	r.Note = fmt.Sprintf(why, origin)
	t.touch(r)
	t.add(r.ID, pipeline.Event{Kind: pipeline.EventCancel}, nil)
}

// takeRedundant cancels what nobody waits for any more, because the ref has a
// newer commit.
func (t *turn) takeRedundant(r *run, origin int64) error {
	if !r.Finished.IsZero() {
		return nil
	}
	const why = "canceled: run %d is for a newer commit of the ref"
	if !r.created() {
		if r.c.pipeline.AutoCancel.OnNewCommit != "none" {
			t.cancelFor(r, origin, why)
		}
		return nil
	}
	names := pipeline.Redundant(r.c.pipeline, r.state())
	if len(names) == 0 {
		return nil
	}
	children, err := t.tx.OpenChildren(t.ctx, r.ID, maxChildren)
	if err != nil {
		return err
	}
	for _, child := range children {
		if keep, err := t.mustGoOn(&child, 0); err != nil || keep {
			return err
		}
	}
	r.Note = fmt.Sprintf(why, origin)
	t.touch(r)
	for _, name := range names {
		t.add(r.ID, pipeline.Event{Kind: pipeline.EventCancel, Job: name}, nil)
	}
	for _, child := range children {
		if child.Project == r.Project {
			t.post(store.Message{Run: child.ID, Kind: store.MessageRedundant, Origin: origin})
		}
	}
	return nil
}

// maxChildren bounds the children of a run that are looked at together.
const maxChildren = 1000

// mustGoOn reports whether a child run, or one below it, has started a job that a
// newer commit must not stop: then its parents go on too.
func (t *turn) mustGoOn(child *store.Run, depth int) (bool, error) {
	const deepest = 10
	if len(child.Stages) == 0 || child.Result != "" || depth == deepest {
		return false, nil
	}
	c, err := t.compiled(child.Pipeline)
	if err != nil {
		return false, err
	}
	rows, err := t.tx.Jobs(t.ctx, child.ID, -1)
	if err != nil {
		return false, err
	}
	r := newRun(*child, c)
	for _, j := range rows {
		r.jobs[j.Pos] = j
	}
	if len(pipeline.Redundant(c.pipeline, r.state())) == 0 {
		return true, nil
	}
	below, err := t.tx.OpenChildren(t.ctx, child.ID, maxChildren)
	for i := range below {
		if keep, err := t.mustGoOn(&below[i], depth+1); err != nil || keep {
			return keep, err
		}
	}
	return false, err
}

// postFromRuns writes the messages of the turn: those noted on the way, those of
// child runs to their parents, and those of canceled runs to their children.
func (t *turn) postFromRuns() error {
	for _, id := range slices.Sorted(maps.Keys(t.changed)) {
		if r := t.runs[id]; r.Parent != 0 && r.outcome() != t.before[id] {
			t.post(store.Message{Run: r.Parent, Kind: store.MessageChild, Origin: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.cascade)) {
		children, err := t.tx.OpenChildren(t.ctx, id, maxChildren)
		if err != nil {
			return err
		}
		for _, child := range children {
			if child.Project == t.runs[id].Project {
				t.post(store.Message{Run: child.ID, Kind: store.MessageCancel, Origin: id})
			}
		}
	}
	return t.tx.Post(t.ctx, t.posts)
}

// takeChild lets a trigger job follow the run that it started.
func (t *turn) takeChild(r *run, id int64) error {
	child, err := t.tx.PeekRun(t.ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if child.ParentPos >= len(r.jobs) || r.jobs[child.ParentPos].Attempt != child.ParentAttempt {
		return nil // the trigger job was retried, with another run
	}
	job, j := &r.c.pipeline.Jobs[child.ParentPos], &r.jobs[child.ParentPos]
	if job.Downstream == nil {
		return nil
	}
	status := pipeline.StatusSuccess // without a strategy, as soon as the run exists
	if job.Downstream.Waits() {
		status = job.Downstream.StatusFor(child.Status)
	}
	switch j.Status {
	case pipeline.StatusRunning:
		if status == pipeline.StatusFailed {
			j.Note = fmt.Sprintf("run %d, which the job started, ended %s", child.ID, child.Status)
		}
		for _, ev := range pipeline.EndEvents(job.Name, j.JobState, status, pipeline.ReasonUnknown, 0) {
			t.add(r.ID, ev, nil)
		}
	case pipeline.StatusCanceling:
		// A child that waits for a person has nothing left to cancel.
		if child.Status.Done() || child.Result != "" || !job.Downstream.Waits() {
			t.add(r.ID, pipeline.Event{Kind: pipeline.EventCanceled, Job: job.Name}, nil)
		}
	case pipeline.StatusManual, pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusCanceled:
		// Somebody retried or played jobs of the child. From pending it is taken
		// up again, and this message once more.
		atRest := child.Status.Done() || child.Result != ""
		if job.Downstream.Waits() && j.Status != status && !(j.Status == pipeline.StatusCanceled && atRest) {
			t.add(r.ID, pipeline.Event{Kind: pipeline.EventResume, Job: job.Name}, nil)
		}
	}
	return nil
}

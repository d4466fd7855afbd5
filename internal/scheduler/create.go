package scheduler

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// NewRun is a run to make.
type NewRun struct {
	ID       int64 // one of the store's for "run"; 0: it gets one
	Project  int64
	Flow     int64 // 0 for none
	Pipeline *pipeline.Pipeline
	Source   pipeline.Trigger
	Ref, SHA string
	Actor    string
	// Parent is the run whose trigger job, at ParentPos in ParentAttempt, started
	// this one; 0 for none.
	Parent                   int64
	ParentPos, ParentAttempt int
	// Key makes a call that is repeated return the run that the first one made.
	Key      string
	Priority int
	Facts    []byte // what the run keeps of its definition; may be nil
	// Protected says that the run's ref is: its jobs go to protected runners too.
	Protected bool
	// Concurrency is how many runs of the flow may be under way at a time; 0 for
	// any number. WhenBusy says what happens to one more.
	Concurrency int
	WhenBusy    WhenBusy
	Slots       []string // names of slots that the run has while it is under way
	Skip        string   // why the run is made as skipped; "" if it is not

	pipelineID int64 // for its pipeline, if that is new
}

// WhenBusy says what happens to a run of a flow that has as many as it may.
type WhenBusy string

// The ways to go on when a flow is busy.
const (
	BusyQueue     WhenBusy = "queue" // wait for the others; the default
	BusySkip      WhenBusy = "skip"
	BusyCancelOld WhenBusy = "cancel-old"
)

// MaxJobs bounds the jobs of a run.
const MaxJobs = 10_000

// Create makes a run. It is on disk when Create returns. Errors: Invalid for a
// pipeline that cannot run, NotFound for a project or parent that is not there,
// Conflict if the trigger job does not wait for a run any more.
func (s *Scheduler) Create(ctx context.Context, n NewRun) (store.Run, error) {
	if jobs := len(n.Pipeline.Jobs); jobs > MaxJobs {
		return store.Run{}, errs.E(errs.Invalid, "the pipeline has %d jobs, a run may have %d: use fewer parallel jobs, or move some to a child pipeline", jobs, MaxJobs)
	}
	if n.Parent != 0 && n.Key == "" {
		n.Key = childKey(n.Parent, n.ParentPos, n.ParentAttempt)
	}
	switch n.WhenBusy {
	case "", BusyQueue, BusySkip, BusyCancelOld:
	default:
		return store.Run{}, errs.E(errs.Invalid, "%q is not one of queue, skip and cancel-old", n.WhenBusy)
	}
	c := &command{create: &n}
	err := s.do(ctx, c)
	return c.run, err
}

// createRuns makes the runs of a batch. Rows are locked in one order: pipelines
// by their sum, then projects.
func (t *turn) createRuns() error {
	type newRun struct {
		c   *command
		sum string
		put []byte
		*compiled
	}
	var list []*newRun
	for _, c := range t.batch {
		if c.create == nil || c.err != nil {
			continue
		}
		plain, packed, err := encode(c.create.Pipeline)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(plain)
		list = append(list, &newRun{c: c, sum: hex.EncodeToString(sum[:]), put: packed})
	}
	slices.SortStableFunc(list, func(a, b *newRun) int { return cmp.Compare(a.sum, b.sum) })
	for _, n := range list {
		id, err := t.tx.PutPipeline(t.ctx, n.c.create.pipelineID, n.sum, n.put)
		if err != nil {
			return err
		}
		if n.compiled = t.memory.graphs[id]; n.compiled == nil {
			// A copy of its own: the caller may go on to use the one it gave.
			p, err := decode(n.put)
			if err == nil {
				n.compiled, err = t.remember(id, p)
			}
			n.c.err = err
		}
	}
	slices.SortStableFunc(list, func(a, b *newRun) int {
		return cmp.Or(cmp.Compare(a.c.create.Project, b.c.create.Project), cmp.Compare(a.c.create.ID, b.c.create.ID))
	})
	for _, n := range list {
		if n.c.err == nil {
			if err := t.create(n.c, n.compiled); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes a run in its first state.
func (t *turn) create(c *command, shared *compiled) error {
	n := c.create
	if n.Key != "" {
		if i := slices.IndexFunc(t.fresh, func(r *run) bool { return r.Key == n.Key }); i >= 0 {
			c.runID = t.fresh[i].ID
			return nil
		}
		id, err := t.tx.RunOfKey(t.ctx, n.Key)
		if err != nil {
			return err
		}
		if id != 0 {
			c.runID = id
			c.run, err = t.tx.PeekRun(t.ctx, id)
			return err
		}
	}
	if n.Parent != 0 {
		if err := t.awaitsChild(n); err != nil {
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
	r := newRun(store.Run{
		ID: n.ID, Project: n.Project, Number: number, Flow: n.Flow, Pipeline: shared.id, Source: n.Source, Ref: n.Ref, SHA: n.SHA,
		Actor: n.Actor, Parent: n.Parent, ParentPos: n.ParentPos, ParentAttempt: n.ParentAttempt, Key: n.Key,
		Priority: n.Priority, Protected: n.Protected, Created: t.now,
	}, shared)
	if r.Slots, err = t.slotsOf(n); err != nil {
		return err
	}
	t.runs[r.ID] = r
	if n.Skip != "" {
		t.skip(r, n.Skip)
	} else if err := t.apply(r, pipeline.Event{Kind: pipeline.EventCreate}); err != nil {
		c.err = err
		delete(t.runs, r.ID)
		delete(t.changed, r.ID)
		return nil
	}
	c.runID = r.ID
	t.fresh = append(t.fresh, r)
	if n.Facts != nil {
		if err := t.tx.PutRunFacts(t.ctx, r.ID, n.Facts); err != nil {
			return err
		}
	}
	if n.Parent != 0 {
		return t.tx.LaunchMade(t.ctx, n.Parent, n.ParentPos, n.ParentAttempt, r.ID)
	}
	if n.Skip != "" {
		return nil
	}
	return t.supersede(r)
}

// skip ends a run before it begins. A retry begins it.
func (t *turn) skip(r *run, note string) {
	t.touch(r)
	r.Held, r.Status, r.Result, r.Finished, r.Note = nil, pipeline.StatusSkipped, pipeline.ResultSuccess, t.now, note
}

// supersede tells older runs of the ref that there is a newer commit. Only pushes
// and what people start count, as on GitLab; for a flow, where each run may have
// inputs of its own, only pushes.
func (t *turn) supersede(r *run) error {
	if r.Ref == "" || r.SHA == "" || !replaces(&r.Run) {
		return nil
	}
	older, err := t.tx.OlderOpen(t.ctx, r.Run, t.now.Add(-supersedeWithin))
	if err != nil {
		return err
	}
	for _, old := range older {
		if (old.Source == pipeline.TriggerMergeRequest) == (r.Source == pipeline.TriggerMergeRequest) && replaces(&old) {
			t.post(store.Message{Run: old.ID, Kind: store.MessageRedundant, Origin: r.ID})
		}
	}
	return nil
}

// supersedeWithin is how old a run may be that a newer commit cancels.
const supersedeWithin = 7 * 24 * time.Hour

func replaces(r *store.Run) bool {
	pushed := r.Source == pipeline.TriggerPush || r.Source == pipeline.TriggerMergeRequest
	return pushed || r.Flow == 0 && r.Source != pipeline.TriggerSchedule
}

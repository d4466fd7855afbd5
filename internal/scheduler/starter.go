package scheduler

import (
	"context"
	"time"

	"refline/internal/pipeline"
	"refline/internal/store"
)

// Starter compiles what a schedule or a trigger job asks for and makes a run of
// it with [Scheduler.Create]. Compiling reads repositories, so it happens
// outside of turns. A call may be repeated after a crash or on another server:
// the implementation passes the given Key on in [NewRun], so that there is one
// run whatever happens.
//
// An error of kind Unavailable is tried again later; every other one is final
// and shown where the start was asked for.
type Starter interface {
	// StartFlow makes a run of a registered flow.
	StartFlow(ctx context.Context, start FlowStart) (store.Run, error)
	// StartChild makes the run of a trigger job, with NewRun.Parent, ParentPos and
	// ParentAttempt.
	StartChild(ctx context.Context, start ChildStart) (store.Run, error)
}

// FlowStart asks for a run of a flow.
type FlowStart struct {
	Flow    int64
	Trigger pipeline.Trigger
	Due     time.Time // the logical date, in the zone of the schedule: when that was due, or the date of a backfill
	Inputs  map[string]any
	Actor   string
	Key     string // for NewRun.Key
}

// ChildStart asks for the run of a trigger job.
type ChildStart struct {
	Run          store.Run // the parent
	Job          *pipeline.Job
	Pos, Attempt int    // of the trigger job in the parent
	Key          string // for NewRun.Key
}

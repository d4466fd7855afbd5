// Package scheduler advances runs: it takes what happens (a trigger, a result, a
// runner that asks for work, a person who plays or cancels, a timer) and decides
// in turns.
//
// A turn is one transaction that takes all commands that wait. It promises that
// what was acknowledged is on disk, that an attempt starts and ends once, and
// that states are what [pipeline.Graph.Advance] says: nothing else decides. It
// does not know how a pipeline is written, how a job runs, or who may ask.
package scheduler

import (
	"context"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// Scheduler is the one that commits turns of a server. Make it with [New] and
// let it work with [Scheduler.Run].
type Scheduler struct {
	store    *store.Store
	now      func() time.Time
	commands chan *command
	memory   *memory
	timer    *time.Timer
}

// maxBatch bounds the commands of a turn.
const maxBatch = 256

// New prepares a scheduler on an open store.
func New(s *store.Store, now func() time.Time) *Scheduler {
	return &Scheduler{store: s, now: now, commands: make(chan *command, maxBatch), memory: newMemory()}
}

// command is one thing that a turn does. Exactly one of the pointers is set.
type command struct {
	ctx     context.Context
	create  *NewRun
	finish  *finish
	act     *act
	poll    *poll
	end     *endSession
	confirm *confirm
	done    chan struct{} // closed after the commit, or when it failed
	run     store.Run     // answer to create
	answer  Answer        // to poll and finish
	err     error
}

// do hands a command to the next turn and waits until it is on disk.
func (s *Scheduler) do(ctx context.Context, c *command) error {
	c.ctx, c.done = ctx, make(chan struct{})
	select {
	case s.commands <- c:
	case <-ctx.Done():
		return errs.E(errs.Unavailable, "the server is busy: %w", context.Cause(ctx))
	}
	if c.poll == nil {
		<-c.done // also when ctx is done: what is committed is answered
		return c.err
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		// Jobs that a turn gives to this poll now are offered again to the next.
		return errHoldOver
	}
}

var errHoldOver = errs.E(errs.Unavailable, "nothing to do")

// Run takes turns until ctx is done. The error is that of a store that cannot
// be read at the start.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.restore(ctx); err != nil {
		s.refuse(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	s.timer = time.NewTimer(time.Hour)
	defer s.timer.Stop()
	s.setTimer(ctx)
	for {
		var batch []*command
		select {
		case <-ctx.Done():
			s.refuse(ctx)
			return nil
		case c := <-s.commands:
			batch = append(batch, c)
		case <-s.timer.C:
		}
		for len(batch) < maxBatch && len(s.commands) > 0 {
			batch = append(batch, <-s.commands)
		}
		s.takeTurn(ctx, batch)
		s.setTimer(ctx)
	}
}

// refuse answers what is still waiting when the server ends.
func (s *Scheduler) refuse(ctx context.Context) {
	stopped := errs.E(errs.Unavailable, "the server is stopping: %w", context.Cause(ctx))
	s.memory.endPolls(stopped)
	for {
		select {
		case c := <-s.commands:
			c.err = stopped
			close(c.done)
		default:
			return
		}
	}
}

// maxSleep bounds how long the scheduler trusts a timer: the wall clock may be
// set meanwhile, and another server may have added one.
const maxSleep = 30 * time.Second

// setTimer sleeps until there is something to do without a command: the timer of
// a delayed job, or a poll that looks at the queue once more.
func (s *Scheduler) setTimer(ctx context.Context) {
	wait := maxSleep
	if next, err := s.store.NextTimer(ctx); err == nil && !next.IsZero() {
		wait = min(wait, max(next.Sub(s.now()), 0))
	}
	for _, x := range s.memory.sessions {
		switch {
		case x.waiting == nil:
		case x.missed:
			wait = min(wait, lookAgain)
		case s.store.Shared():
			wait = min(wait, secondLook)
		}
	}
	s.timer.Reset(wait)
}

// NewRun is a run to make.
type NewRun struct {
	ID       int64 // one of the store's for "run"; 0: it gets one
	Project  int64
	Flow     int64 // 0 for none
	Pipeline *pipeline.Pipeline
	Source   pipeline.Trigger
	Ref, SHA string
	Actor    string
	Parent   int64
	Priority int
	Facts    []byte // what the run keeps of its definition; may be nil
	// Protected says that the run's ref is: its jobs go to protected runners too.
	Protected bool

	pipelineID int64 // for its pipeline, if that is new
}

// Create makes a run. It is on disk when Create returns.
func (s *Scheduler) Create(ctx context.Context, n NewRun) (store.Run, error) {
	c := &command{create: &n}
	err := s.do(ctx, c)
	return c.run, err
}

// act is an event that a person asks for.
type act struct {
	run   int64
	event pipeline.Event
}

// Act applies an event that a person asks for: play, cancel, retry. Errors are
// those of [pipeline.Graph.Advance], and NotFound for a run that is not there.
func (s *Scheduler) Act(ctx context.Context, run int64, event pipeline.Event) error {
	switch event.Kind {
	case pipeline.EventPlay, pipeline.EventCancel, pipeline.EventRetry:
	default:
		return errs.E(errs.Invalid, "%q cannot be asked for", event.Kind)
	}
	return s.do(ctx, &command{act: &act{run, event}})
}

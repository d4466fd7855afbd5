// Package scheduler advances runs: it takes what happens (a trigger, a result, a
// runner that asks for work, a person who plays or cancels, a timer) and decides
// in turns.
//
// A turn is one transaction that takes all commands that wait. It promises that
// what was acknowledged is on disk, that an attempt starts and ends once, that
// nothing waits for a slot that is free, and that states are what
// [pipeline.Graph.Advance] says: nothing else decides. It does not know how a
// pipeline is written, how a job runs, or who may ask.
package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"refline/internal/errs"
	"refline/internal/store"
)

// Scheduler is the one that commits turns of a server. Make it with [New], set
// what is to be other than the default, and let it work with [Scheduler.Run].
type Scheduler struct {
	// Starter makes the runs of schedules and trigger jobs. Without one these wait.
	Starter Starter
	// Lease is how long a runner session may be silent before it ends.
	Lease time.Duration
	// Log gets what nobody waits for: faults of the janitor, of schedules and timers.
	Log *slog.Logger
	// Turned is called after each turn with how long it took and how many commands it
	// took, Claimed when a runner starts a job with how long that was after the offer.
	// They may be nil.
	Turned  func(took time.Duration, commands int)
	Claimed func(waited time.Duration)

	store    *store.Store
	now      func() time.Time
	commands chan *command
	stopped  chan struct{} // closed when no more turns are taken
	nudge    chan struct{} // something to look for in the store
	work     chan struct{} // a start to make
	due      chan struct{} // a schedule or backfill changed
	memory   *memory
	// Tests set these: the next turn reads its runs again; each change of a run is
	// reported after its commit; other servers get no hints.
	forgetRuns atomic.Bool
	applied    func(applied)
	noHints    bool
	hub        *hub
	timer      *time.Timer
}

// maxBatch bounds the commands of a turn.
const maxBatch = 256

// DefaultLease is how long a runner session may be silent.
const DefaultLease = time.Minute

// New prepares a scheduler on an open store.
func New(s *store.Store, now func() time.Time) *Scheduler {
	return &Scheduler{
		Lease: DefaultLease, Log: slog.New(slog.DiscardHandler),
		store: s, now: now, commands: make(chan *command, maxBatch), memory: newMemory(), hub: newHub(),
		stopped: make(chan struct{}), nudge: make(chan struct{}, 1), work: make(chan struct{}, 1), due: make(chan struct{}, 1),
	}
}

// command is one thing that a turn does. One of the pointers is set, or finish
// and poll.
type command struct {
	ctx     context.Context
	create  *NewRun
	finish  *finish
	act     *act
	poll    *poll
	end     *endSession
	confirm *confirm
	drain   *drain
	failed  *failedLaunch
	slot    *store.Slot
	done    chan struct{} // closed after the commit, or when it failed
	runID   int64         // of create
	run     store.Run     // answer to create
	answer  Answer        // to poll
	err     error
}

// do hands a command to the next turn and waits until it is on disk.
func (s *Scheduler) do(ctx context.Context, c *command) error {
	c.ctx, c.done = ctx, make(chan struct{})
	select {
	case s.commands <- c:
	case <-s.stopped:
		return errStopped
	case <-ctx.Done():
		return errs.E(errs.Unavailable, "the server is busy: %w", context.Cause(ctx))
	}
	over := ctx.Done()
	if c.poll == nil || c.finish != nil {
		over = nil // what is committed is answered
	}
	select {
	case <-c.done:
		return c.err
	case <-s.stopped:
		select {
		case <-c.done:
			return c.err
		default:
			return errStopped
		}
	case <-over:
		// Jobs that a turn gives to this poll now are offered again to the next.
		return errHoldOver
	}
}

var errStopped = errs.E(errs.Unavailable, "the server is stopping")

var errHoldOver = errs.E(errs.Unavailable, "nothing to do")

// Run takes turns until ctx is done, and does beside them what needs no turn:
// schedules, starts, the end of silent sessions, retention. The error is that of
// a store that cannot be read at the start.
func (s *Scheduler) Run(ctx context.Context) error {
	if err := s.restore(ctx); err != nil {
		close(s.stopped)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var beside sync.WaitGroup
	within, stop := context.WithCancel(ctx)
	for _, loop := range []func(context.Context){s.endSilentSessions, s.fireSchedules, s.makeStarts, s.retain, s.exchangeHints} {
		beside.Go(func() { loop(within) })
	}
	s.takeTurns(ctx)
	close(s.stopped)
	stop()
	beside.Wait()
	s.hub.close()
	return nil
}

func (s *Scheduler) takeTurns(ctx context.Context) {
	s.timer = time.NewTimer(0)
	defer s.timer.Stop()
	for {
		var batch []*command
		select {
		case <-ctx.Done():
			s.refuse()
			return
		case c := <-s.commands:
			batch = append(batch, c)
		case <-s.nudge:
			s.memory.look()
		case <-s.timer.C:
		}
		for len(batch) < maxBatch && len(s.commands) > 0 {
			batch = append(batch, <-s.commands)
		}
		s.takeTurn(ctx, batch)
		s.setTimer()
	}
}

// refuse answers what is still waiting when the server ends.
func (s *Scheduler) refuse() {
	s.memory.endPolls(errStopped)
	for {
		select {
		case c := <-s.commands:
			c.err = errStopped
			close(c.done)
		default:
			return
		}
	}
}

// maxSleep bounds how long the scheduler trusts a timer: the wall clock may be
// set meanwhile. The other two are how soon a standing poll looks at the queue
// once more, if a run in it was locked, and how often everything that another
// server may have changed is looked at.
const (
	maxSleep   = 30 * time.Second
	lookAgain  = 20 * time.Millisecond
	secondLook = time.Second
	afterFault = 100 * time.Millisecond
)

// setTimer sleeps until there is something to do without a command: the timer of
// a delayed job, a message, or a poll that looks at the queue once more.
func (s *Scheduler) setTimer() {
	m := s.memory
	wait := maxSleep
	if !m.nextTimer.IsZero() {
		wait = min(wait, max(m.nextTimer.Sub(s.now()), 0))
	}
	if s.store.Shared() {
		wait = min(wait, secondLook)
	}
	if m.inbox || !m.timerKnown {
		wait = 0
	}
	for _, x := range m.standing {
		if x.missed {
			wait = min(wait, lookAgain)
		}
	}
	if m.faulty {
		wait = max(wait, afterFault)
	}
	s.timer.Reset(wait)
}

// wake makes a channel of one place ready.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

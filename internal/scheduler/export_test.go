package scheduler

import (
	"context"
	"time"

	"refline/internal/pipeline"
)

// Fire adds what is due by the clock of the test and looks for starts, without
// waiting until that is done by itself.
func (s *Scheduler) Fire(ctx context.Context) error {
	defer wake(s.work)
	_, err := s.fire(ctx)
	return err
}

// Now is the time by the scheduler's clock.
func (s *Scheduler) Now() time.Time { return s.now() }

// Applied makes the scheduler report each change of a run after its commit.
func (s *Scheduler) Applied(f func(run, version int64, events []pipeline.Event)) {
	s.applied = func(a applied) { f(a.run, a.version, a.events) }
}

// NoHints makes the scheduler neither send hints to other servers nor hear them.
func (s *Scheduler) NoHints() { s.noHints = true }

// ForgetRuns empties the memory of runs before the next turn.
func (s *Scheduler) ForgetRuns() { s.forgetRuns.Store(true) }

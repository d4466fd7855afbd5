package scheduler

import (
	"context"
	"time"
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

// ForgetRuns empties the memory of runs before the next turn.
func (s *Scheduler) ForgetRuns() { s.forgetRuns.Store(true) }

package stack

import (
	"context"
	"time"

	"refline/internal/errs"
)

// poller waits between questions: two seconds at first, ten at most, each by
// chance up to a quarter shorter or longer, so that many pipelines do not ask
// in step.
type poller struct {
	clock    Clock
	wait     time.Duration
	longest  time.Duration
	patience int // polls in a row that may be refused
	refused  int
}

const (
	pollFirst   = 2 * time.Second
	pollLongest = 10 * time.Second
	// pollPatience is several minutes, with the client's own retries: AWS is at
	// work meanwhile.
	pollPatience = 30
	// readPatience is for what is read before anything is done.
	readPatience = 5
)

func (s *Session) poller() *poller {
	return &poller{clock: s.Clock, wait: pollFirst, longest: pollLongest, patience: pollPatience}
}

// patiently asks again what AWS was too busy to answer.
func patiently[T any](ctx context.Context, s *Session, ask func() (T, error)) (T, error) {
	p := &poller{clock: s.Clock, wait: pollFirst, longest: pollFirst, patience: readPatience}
	for {
		got, err := ask()
		if err == nil || !p.tolerate(ctx, err) {
			return got, err
		}
		if err := p.next(ctx); err != nil {
			return got, err
		}
	}
}

// next waits before the next question.
func (p *poller) next(ctx context.Context) error {
	d := time.Duration(float64(p.wait) * (0.75 + p.clock.Jitter()/2))
	p.wait = min(p.wait*7/5, p.longest)
	return p.clock.Sleep(ctx, d)
}

// tolerate reports whether polling continues after an error: a throttled poll
// does not mean that the operation failed.
func (p *poller) tolerate(ctx context.Context, err error) bool {
	if err == nil {
		p.refused = 0
		return true
	}
	if ctx.Err() != nil || !errs.Is(err, errs.Unavailable) {
		return false
	}
	p.refused++
	p.wait = p.longest
	return p.refused < p.patience
}

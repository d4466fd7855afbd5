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
	clock   Clock
	wait    time.Duration
	refused int
}

const (
	pollFirst   = 2 * time.Second
	pollLongest = 10 * time.Second
	// pollPatience is how many polls in a row may be refused: with the client's
	// own retries that is several minutes.
	pollPatience = 30
)

func (s *Session) poller() *poller { return &poller{clock: s.Clock, wait: pollFirst} }

// next waits before the next question.
func (p *poller) next(ctx context.Context) error {
	d := time.Duration(float64(p.wait) * (0.75 + p.clock.Jitter()/2))
	p.wait = min(p.wait*7/5, pollLongest)
	return p.clock.Sleep(ctx, d)
}

// tolerate says whether an error of a question is one to wait out: a throttled
// poll is no failure of what is waited for.
func (p *poller) tolerate(ctx context.Context, err error) bool {
	if err == nil {
		p.refused = 0
		return true
	}
	if ctx.Err() != nil || !errs.Is(err, errs.Unavailable) {
		return false
	}
	p.refused++
	p.wait = pollLongest
	return p.refused < pollPatience
}

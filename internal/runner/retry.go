package runner

import (
	"context"
	"math/rand/v2"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

const (
	firstWait = 50 * time.Millisecond
	mostWait  = 5 * time.Second
)

// backoff is how long to wait before the next attempt of a call.
type backoff struct{ wait time.Duration }

// sleep waits, longer each time, with a part by chance: runners of one server must
// not come back all at once.
func (b *backoff) sleep(ctx context.Context) {
	b.wait = min(max(2*b.wait, firstWait), mostWait)
	timer := time.NewTimer(b.wait/2 + rand.N(b.wait/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// faults is how often a call is repeated that meets a fault of the server: one that
// is not away but broken.
const faults = 8

// retry calls f until it succeeds, fails for good, or ctx is done.
func (r *runner) retry(ctx context.Context, f func() error) error {
	var b backoff
	for n := 0; ; {
		err := f()
		if errs.Is(err, errs.Internal) {
			n++
		}
		if err == nil || !mayPass(err) || n > faults {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.sleep(ctx)
	}
}

// mayPass reports whether the same call may succeed later.
func mayPass(err error) bool {
	if api.ProblemCode(err) != "" {
		return false
	}
	switch errs.KindOf(err) {
	case errs.Unavailable, errs.Internal:
		return true
	default:
		return false
	}
}

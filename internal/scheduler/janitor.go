package scheduler

import (
	"context"
	"time"

	"refline/internal/errs"
)

// watch is what the janitor saw of a session.
type watch struct {
	beat  int64
	since time.Time // on this server's monotonic clock
}

// endSilentSessions ends the sessions whose beat stood still for the lease. It
// measures time on its own monotonic clock: no jump and no skew of a wall clock
// ends a lease, and a server that starts grants a whole one. So does one that
// could not look for a while: then the runners could not be heard either.
func (s *Scheduler) endSilentSessions(ctx context.Context) {
	seen := map[int64]watch{}
	every := max(s.Lease/8, 10*time.Millisecond)
	last := time.Now()
	for sleep(ctx, every) {
		now := time.Now()
		open, err := s.store.OpenSessions(ctx)
		if err != nil {
			continue
		}
		if now.Sub(last) > s.Lease/2+every {
			clear(seen)
		}
		last = now
		next := make(map[int64]watch, len(open))
		for _, x := range open {
			w, known := seen[x.ID]
			if !known || w.beat != x.Beat {
				w = watch{x.Beat, now}
			}
			next[x.ID] = w
			if now.Sub(w.since) < s.Lease {
				continue
			}
			err := s.do(ctx, &command{end: &endSession{session: x.ID, silent: true, beat: x.Beat}})
			switch {
			case err == nil:
				s.Log.Warn("a runner session was silent for too long and has ended", "session", x.ID, "runner", x.Runner, "lease", s.Lease)
			case ctx.Err() == nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Conflict):
				s.Log.Error("a silent runner session cannot be ended", "session", x.ID, "error", err)
			}
		}
		seen = next
	}
}

// sleep waits, and reports false if ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

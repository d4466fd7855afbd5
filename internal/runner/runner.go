package runner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"refline/internal/api"
	"refline/internal/cache"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/lock"
	"refline/internal/workspace"
)

// errStopped is the cause when the runner ends jobs because it is to stop.
var errStopped = errs.E(errs.Unavailable, "the runner was stopped")

// Run works for a server until ctx is done, then lets jobs end within the grace
// period. Errors: Invalid or Denied if the server refuses the runner, Conflict if
// another runner uses the folder.
func Run(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	r := newRunner(o)
	unlock, err := r.takeFolder(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	defer func() { _ = r.kinds.Close() }()
	defer r.client.HTTP.CloseIdleConnections()
	left, err := r.recover(ctx)
	if err != nil {
		return err
	}
	// Jobs and calls outlive ctx: they end in order.
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	jobs, endJobs := context.WithCancelCause(calls)
	defer endJobs(nil)
	r.calls, r.jobs = calls, jobs
	if r.launches, err = r.openLaunches(ctx); err != nil {
		return err
	}
	if err := r.open(ctx, left); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var background sync.WaitGroup
	background.Go(func() { r.prepareLoop(calls) })
	if r.launches != nil {
		background.Go(func() { r.launches.work(calls) })
	}
	polls, endPolls := context.WithCancel(calls)
	defer endPolls()
	failed := make(chan error, 1)
	background.Go(func() { failed <- r.pollLoop(polls) })
	grace := o.Grace
	select {
	case <-ctx.Done():
	case err = <-failed:
		grace = 0
	}
	whole := r.drain(endJobs, grace)
	endPolls()
	if whole {
		r.leave()
	}
	endCalls()
	background.Wait()
	r.later.Wait()
	return err
}

// runner is a running Run.
type runner struct {
	o      Options
	client *api.RunnerClient
	kinds  *executor.Registry
	caches *cache.Folder
	slots  engine.Slots
	// launches has what others run; nil: this runner runs all itself.
	launches *launches
	one      bool            // it has one attempt, and no other session than that of it
	stops    chan struct{}   // closed when the runner is to stop
	calls    context.Context // of requests to the server
	jobs     context.Context // of jobs; done when those that are left are ended

	kick     chan struct{} // what the runner has changed: poll again
	ending   atomic.Int64  // results on their way, which change what the runner has
	warm     chan prepared
	sources  knownSources
	later    sync.WaitGroup // removal of folders
	lease    time.Duration
	lastSeen time.Time // of an answer to a poll; only the poll loop uses it
	unnoted  bool      // the session is not written down; only the poll loop uses it

	mu       sync.Mutex
	session  int64
	self     engine.Runner      // as jobs see it
	attempts map[int64]*attempt // for which a slot is taken
	working  int                // attempts whose goroutine has not ended
	stopping bool               // no new jobs: this process ends
	closed   bool               // and nothing is left to do
	idle     chan struct{}      // closed when it is
	draining bool               // no new jobs: the server says so
	leaves   int                // launched attempts that go on without this process
	probing  bool               // the next poll asks whether that is still so
}

func newRunner(o Options) *runner {
	return &runner{
		o: o, kinds: executor.NewRegistry(o.Kinds...),
		client: &api.RunnerClient{
			URL: o.URL, Token: o.Token, Plain: o.Embedded, Timeout: o.CallTimeout,
			// No redirects: the token is for this server.
			HTTP: &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		},
		caches: cache.NewFolder(filepath.Join(o.Dir, "caches"), o.CacheLimit),
		kick:   make(chan struct{}, 1), warm: make(chan prepared, 16),
		attempts: map[int64]*attempt{}, idle: make(chan struct{}), stops: make(chan struct{}),
	}
}

func (r *runner) folder(names ...string) string {
	return filepath.Join(append([]string{r.o.Dir}, names...)...)
}

// takeFolder makes the folder and keeps other runners out of it.
func (r *runner) takeFolder(context.Context) (unlock func(), err error) {
	if r.o.Dir, err = filepath.Abs(r.o.Dir); err != nil {
		return nil, errs.E(errs.Invalid, "%w", err)
	}
	for _, name := range []string{"attempts", "builds", "checkouts", "transfers"} {
		if err := os.MkdirAll(r.folder(name), 0o700); err != nil {
			return nil, errs.E(errs.Unavailable, "the runner's folder: %w", err)
		}
	}
	held, err := lock.Try(r.folder("runner.lock"))
	if errors.Is(err, lock.ErrHeld) || err == nil && held == nil {
		return nil, errs.E(errs.Conflict, "another runner uses the folder %s; give each a folder of its own", r.o.Dir)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "the runner's folder: %w", err)
	}
	return func() { lock.Release(held) }, nil
}

// sendTime is how long a runner that stops tries to send results.
const sendTime = 30 * time.Second

// drain takes no more jobs, ends those that are left after the grace period, and waits
// until their results are sent. If the server cannot be reached (whole is false),
// they stay for the next runner in this folder.
func (r *runner) drain(endJobs context.CancelCauseFunc, grace time.Duration) (whole bool) {
	r.mu.Lock()
	r.stopping = true
	close(r.stops)
	n := r.working
	r.closeIfIdle()
	r.mu.Unlock()
	r.again()
	if n > 0 && grace > 0 {
		r.o.Notice(fmt.Sprintf("%s running; waiting up to %s", plural(n, "job"), grace))
	}
	if waitFor(r.idle, grace) {
		return r.leaves == 0
	}
	endJobs(errStopped)
	if waitFor(r.idle, sendTime) {
		return r.leaves == 0
	}
	r.mu.Lock()
	for _, a := range r.attempts {
		a.endSend(errStopped)
	}
	r.mu.Unlock()
	<-r.idle
	return false
}

// closeIfIdle ends the taking of jobs once a runner that stops has none left. The mu
// is held.
func (r *runner) closeIfIdle() {
	if r.stopping && r.working == 0 && !r.closed {
		r.closed = true
		close(r.idle)
	}
}

func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// leave ends the session, so that what is left of it does not wait for the lease.
func (r *runner) leave() {
	ctx, cancel := context.WithTimeout(r.calls, 5*time.Second)
	defer cancel()
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	if err := r.retry(ctx, func() error { return r.client.CloseSession(ctx, session) }); err != nil {
		r.o.Notice(fmt.Sprintf("the session could not be closed, it ends with its lease: %v", err))
		return
	}
	_ = os.Remove(r.folder(sessionFile))
}

// whoAmI is the runner as jobs see it.
func (r *runner) whoAmI() engine.Runner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.self
}

// again makes the poll loop say anew what the runner has.
func (r *runner) again() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// removeLater removes a folder beside the work.
func (r *runner) removeLater(f func()) { r.later.Go(f) }

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// clearFolder removes what is in a folder.
func clearFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, workspace.Remove(filepath.Join(dir, e.Name())))
	}
	return err
}

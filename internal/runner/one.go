package runner

import (
	"context"
	"strconv"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/engine"
	"refline/internal/errs"
)

// RunAttempt runs the one attempt that this process has claimed, until its result is
// with the server. When ctx is done the job is ended, and fails for that reason. The
// error is Conflict if the attempt became another's.
func RunAttempt(ctx context.Context, o Options, c api.Claim, fence int64) (api.JobResult, error) {
	o.Slots = 1
	if err := o.complete(); err != nil {
		return api.JobResult{}, err
	}
	r := newRunner(o)
	r.one, r.client.Attempt = true, fence
	unlock, err := r.takeFolder(ctx)
	if err != nil {
		return api.JobResult{}, err
	}
	defer unlock()
	defer func() { _ = r.kinds.Close() }()
	defer r.client.HTTP.CloseIdleConnections()
	calls, endCalls := context.WithCancel(context.WithoutCancel(ctx))
	defer endCalls()
	jobs, endJobs := context.WithCancelCause(calls)
	defer endJobs(nil)
	r.calls, r.jobs = calls, jobs
	r.session, r.lease, r.lastSeen = c.Session, time.Duration(c.Lease)*time.Second, time.Now()
	r.self = engine.Runner{ID: strconv.FormatInt(c.Runner, 10), Description: c.Name, Tags: c.Tags, Version: o.Version}
	r.accept(api.OfferedJob{Fence: fence, Run: c.Run})
	a := r.find(fence)
	r.mu.Lock()
	r.stopping = true
	r.closeIfIdle()
	r.mu.Unlock()
	var background sync.WaitGroup
	polls, endPolls := context.WithCancel(calls)
	failed := make(chan error, 1)
	background.Go(func() { failed <- r.pollLoop(polls) })
	select {
	case <-r.idle:
	case <-ctx.Done():
		r.drain(endJobs, 0)
	case err = <-failed:
		r.drain(endJobs, 0)
	}
	endPolls()
	endCalls()
	background.Wait()
	r.later.Wait()
	switch {
	case a == nil || a.journal.Result == nil:
		return api.JobResult{}, errs.E(errs.Conflict, "attempt %d is not this process's any more", fence)
	case err != nil:
		return *a.journal.Result, err
	}
	return *a.journal.Result, nil
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// errLost is the cause when an attempt is ended because its lease is lost.
var errLost = errs.E(errs.Conflict, "the lease of the attempt is lost")

// attempt is one attempt of this runner.
type attempt struct {
	r       *runner
	fence   int64
	dir     string
	journal journal // only its goroutine changes it, but for the session
	adopted bool    // by a runner that was started after the one which had it
	keepErr error   // it is not written down yet

	job     context.Context // of the job; ended at once when done
	endJob  context.CancelCauseFunc
	asked   context.Context // done when the job is to stop gracefully
	askStop context.CancelFunc
	sending context.Context // of its calls; done when the lease is lost
	endSend context.CancelCauseFunc

	log     *attemptLog
	events  *events
	handed  chan struct{} // gets a value when the server says that another has the attempt
	senders sync.WaitGroup
	stopLog context.CancelFunc

	// guarded by the runner's mu
	phase    api.JobPhase
	stopping bool
	launched bool // another process is to run it
	away     bool // and that has it
}

// accept takes an attempt that the server offers, if there is a slot. The journal
// says so before the server hears of it, unless the disk is full. A runner that is to stop takes what was
// offered to its last poll too.
func (r *runner) accept(j api.OfferedJob) bool {
	r.mu.Lock()
	if r.closed || r.attempts[j.Fence] != nil || len(r.attempts) >= r.o.Slots {
		r.mu.Unlock()
		return false
	}
	a := r.newAttempt(journal{Fence: j.Fence, Run: j.Run, Session: r.session, Phase: api.PhaseAccepted})
	r.mu.Unlock()
	a.keepErr = a.keep()
	go a.work()
	return true
}

// keep writes down that the runner has the attempt.
func (a *attempt) keep() error {
	if err := os.Mkdir(a.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return a.journal.write(a.dir)
}

// diskTime is how long an attempt waits for a disk that does not take it.
const diskTime = 5 * time.Minute

// awaitDisk waits until the attempt is written down, such as for room on a full disk.
// Its slot is taken meanwhile, so that the runner asks for no more.
func (a *attempt) awaitDisk() error {
	if a.keepErr == nil {
		return nil
	}
	a.r.o.Notice(fmt.Sprintf("attempt %d of run %d waits for the runner's folder: %v", a.fence, a.journal.Run, a.keepErr))
	var wait backoff
	for until := time.Now().Add(diskTime); a.keepErr != nil && time.Now().Before(until); {
		wait.sleep(a.job)
		if a.job.Err() != nil || a.asked.Err() != nil {
			break
		}
		a.keepErr = a.keep()
	}
	if a.keepErr != nil {
		return fmt.Errorf("the runner's folder: %w", a.keepErr)
	}
	return nil
}

// newAttempt makes an attempt known. The runner's mu is held.
func (r *runner) newAttempt(j journal) *attempt {
	a := &attempt{r: r, fence: j.Fence, dir: r.folder("attempts", strconv.FormatInt(j.Fence, 10)), journal: j, phase: j.Phase}
	a.job, a.endJob = context.WithCancelCause(r.jobs)
	a.asked, a.askStop = context.WithCancel(context.Background())
	a.sending, a.endSend = context.WithCancelCause(r.calls)
	a.handed = make(chan struct{}, 1)
	r.attempts[j.Fence] = a
	r.working++
	return a
}

// drop forgets an attempt with all that is kept of it.
func (r *runner) drop(a *attempt) {
	a.endJob(nil)
	a.askStop()
	a.endSend(nil) // keeps the cause of an earlier end
	a.senders.Wait()
	if a.log != nil {
		a.log.close()
	}
	if a.events != nil {
		a.events.close()
	}
	stays := errors.Is(context.Cause(a.sending), errStopped) // the next runner in this folder sends it
	if !stays {
		r.forget(a.fence)
	}
	r.mu.Lock()
	if stays && a.journal.Launched {
		r.leaves++
	}
	delete(r.attempts, a.fence)
	r.working--
	r.closeIfIdle()
	r.mu.Unlock()
	r.again()
}

func (r *runner) forget(fence int64) {
	_ = workspace.RemoveAll(r.folder("attempts", strconv.FormatInt(fence, 10)))
}

// adopt goes on with an attempt of the runner that was in this folder before.
func (r *runner) adopt(j journal) {
	r.mu.Lock()
	a := r.newAttempt(j)
	r.mu.Unlock()
	a.adopted = j.Phase != api.PhaseAccepted
	go a.work()
}

// stop asks the job for a graceful end. It reports whether that is new.
func (a *attempt) stop() bool {
	a.r.mu.Lock()
	known := a.stopping
	a.stopping = true
	a.r.mu.Unlock()
	a.askStop()
	return !known
}

// handOver notes that the server has given a launched attempt to another session. It
// is false for an attempt that this process runs itself.
func (a *attempt) handOver() bool {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	if !a.launched {
		return false
	}
	if !a.away {
		a.away = true
		a.handed <- struct{}{}
	}
	return true
}

// lose ends the job at once; its result is not sent.
func (a *attempt) lose() {
	a.endJob(errLost)
	a.endSend(errLost)
}

func (a *attempt) lost() bool { return errors.Is(context.Cause(a.sending), errLost) }

func (a *attempt) finishing() bool {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	return a.phase == api.PhaseFinishing
}

// enter notes a phase, in the journal first.
func (a *attempt) enter(p api.JobPhase) error {
	a.journal.Phase = p
	err := a.journal.write(a.dir)
	a.r.mu.Lock()
	a.phase = p
	a.r.mu.Unlock()
	return err
}

// work is the whole attempt.
func (a *attempt) work() {
	defer a.r.drop(a)
	err := a.awaitDisk()
	if err == nil {
		err = a.openStreams()
	}
	if err != nil {
		a.finish(failed(err))
		return
	}
	if a.adopted {
		a.finish(a.interrupted())
		return
	}
	early, handled, err := a.launch()
	if handled && err == nil {
		if early != nil && !a.lost() {
			a.finish(*early)
		}
		return
	}
	var result api.JobResult
	if err == nil {
		result, err = a.run()
	}
	if a.lost() {
		return
	}
	if err != nil {
		result = failed(err)
	}
	a.finish(result)
}

func (a *attempt) openStreams() (err error) {
	if a.log, err = openLog(a); err != nil {
		return err
	}
	a.log.cleared.Store(a.journal.Cleared)
	if a.events, err = openEvents(a); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(a.sending)
	a.stopLog = cancel
	a.senders.Go(func() { _ = a.log.follow(ctx) }) // an error is met again at the end
	return nil
}

// interrupted is the result of an attempt whose runner was killed. Its processes and
// containers were ended when this one started.
func (a *attempt) interrupted() api.JobResult {
	if a.journal.Result != nil {
		return *a.journal.Result
	}
	return failed(errs.E(errs.Unavailable, "the runner %s was killed while the job ran", a.r.o.Name))
}

// failed is the result of an attempt that could not be run.
func failed(err error) api.JobResult {
	return api.JobResult{
		Status: pipeline.StatusFailed, Reason: reasonOf(err),
		Error: &api.JobError{Kind: errs.KindOf(err), Text: err.Error()},
	}
}

func reasonOf(err error) pipeline.Reason {
	if r, ok := errors.AsType[*reasonError](err); ok {
		return r.reason
	}
	return pipeline.ReasonRunnerSystemFailure
}

type reasonError struct {
	reason pipeline.Reason
	err    error
}

func (e *reasonError) Error() string { return e.err.Error() }
func (e *reasonError) Unwrap() error { return e.err }

// run asks for what the attempt needs and runs it. The error is of what came before
// the job; it is in the log too.
func (a *attempt) run() (api.JobResult, error) {
	var spec api.JobSpec
	err := a.r.retry(a.sending, func() (err error) {
		spec, err = a.r.client.Job(a.sending, a.journal.Session, a.fence)
		return err
	})
	switch {
	case api.ProblemCode(err) == api.CodeLostLease:
		a.lose()
		return api.JobResult{}, nil
	case err != nil:
		return api.JobResult{}, fmt.Errorf("ask for the job: %w", err)
	case spec.Job == nil:
		return api.JobResult{}, errs.E(errs.Internal, "the server sent no job for attempt %d", a.fence)
	}
	in := input{a: a, spec: &spec}
	defer in.close()
	err = in.prepare()
	if err == nil {
		err = a.enter(api.PhaseRunning)
	}
	switch {
	case a.asked.Err() != nil:
		return api.JobResult{Status: pipeline.StatusCanceled}, nil
	case err != nil && a.job.Err() != nil:
		return api.JobResult{}, context.Cause(a.job)
	case err != nil:
		return api.JobResult{}, in.masked(err)
	}
	done := in.run()
	if done.Err != nil && a.r.o.Settle != nil {
		a.r.o.Settle(a.sending, done.Err)
	}
	result := wireResult(done)
	if errors.Is(context.Cause(a.job), errStopped) && result.Status == pipeline.StatusCanceled && a.asked.Err() == nil {
		result = failed(errStopped)
	}
	return result, nil
}

// wireResult is the form in which a result is sent.
func wireResult(res engine.JobResult) api.JobResult {
	out := api.JobResult{
		Status: res.Status, Reason: res.Reason, ExitCode: res.ExitCode, Coverage: res.Coverage, Dotenv: res.Dotenv,
		Artifacts: res.Artifacts, LogBytes: res.Log.Bytes, LogCut: res.Log.Truncated, LogClear: res.Log.Cleared,
	}
	if res.Err != nil {
		out.Error = &api.JobError{Kind: errs.KindOf(res.Err), Text: res.Err.Error()}
	}
	return out
}

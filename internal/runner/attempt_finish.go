package runner

import (
	"fmt"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// finish sends what the attempt ended with, until the server has it or the lease is
// lost.
func (a *attempt) finish(result api.JobResult) {
	if a.log != nil && result.Error != nil && !a.adoptedResult() && result.LogBytes == 0 && !result.LogClear {
		_ = a.log.add(fmt.Appendf(nil, "the job could not be run as it should: %s\n", result.Error.Text)) // it is in the result too
	}
	a.journal.Result = &result
	a.journal.Cleared = a.log != nil && a.log.cleared.Load()
	if err := a.enter(api.PhaseFinishing); err != nil {
		a.r.o.Notice(fmt.Sprintf("attempt %d of run %d: the result is not kept on disk: %v", a.fence, a.journal.Run, err))
	}
	if a.stopLog != nil {
		a.stopLog()
	}
	var wait backoff
	noted := false
	for a.sending.Err() == nil {
		err := a.send(&result)
		switch {
		case err == nil, api.ProblemCode(err) == api.CodeLostLease, api.ProblemCode(err) == api.CodeSession:
			return
		case wait.wait == mostWait && !noted:
			noted = true
			a.r.o.Notice(fmt.Sprintf("the result of attempt %d of run %d cannot be sent, trying again: %v", a.fence, a.journal.Run, err))
		}
		wait.sleep(a.sending)
	}
}

func (a *attempt) adoptedResult() bool { return a.adopted && a.journal.Result != nil }

// send sends the rest of events and log, and the result.
func (a *attempt) send(result *api.JobResult) error {
	req := api.FinishRequest{Result: *result}
	if a.events != nil {
		if err := a.events.finish(a.sending, a.adopted); err != nil && !a.refused(err, result, "events") {
			return err
		}
	}
	if a.log != nil {
		if err := a.log.push(a.sending, api.MaxLogTail); err != nil && !a.refused(err, result, "log") {
			return err
		}
		offset, data, err := a.log.rest()
		if err != nil || len(data) > api.MaxLogTail {
			offset, data = 0, nil // the server refuses it, or the disk does
		}
		req.Log = api.LogTail{Offset: offset, Data: data, Clear: a.log.cleared.Load()}
		if req.Log.Clear {
			req.Log.Offset = 0
		}
	}
	req.Result = *result
	req.Poll = a.r.hasWithout(a)
	a.r.ending.Add(1)
	answer, err := a.r.client.Finish(a.sending, a.fence, req)
	a.r.ending.Add(-1)
	if next, ok := api.GapAt(err); ok && a.log != nil {
		a.log.goOn(next)
		return err
	}
	if err != nil {
		return err
	}
	a.r.mu.Lock()
	delete(a.r.attempts, a.fence) // its slot is free for what the answer brings
	a.r.mu.Unlock()
	a.r.handle(answer, req.Poll.Free)
	return nil
}

// refused reports whether the server does not want a part of what the attempt
// reports, whatever is tried again. Then the result says so.
func (a *attempt) refused(err error, result *api.JobResult, what string) bool {
	if mayPass(err) || api.ProblemCode(err) != "" || a.sending.Err() != nil {
		return false
	}
	if result.Error == nil {
		result.Error = &api.JobError{Kind: errs.KindOf(err), Text: fmt.Sprintf("the server does not take the %s: %v", what, err)}
		if result.Status == pipeline.StatusSuccess {
			result.Status, result.Reason = pipeline.StatusFailed, pipeline.ReasonRunnerSystemFailure
		}
	}
	return true
}

// hasWithout is what the runner has once an attempt is over.
func (r *runner) hasWithout(a *attempt) api.PollRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.attempts[a.fence]
	delete(r.attempts, a.fence)
	req := r.hasLocked()
	if known != nil {
		r.attempts[a.fence] = known
	}
	return req
}

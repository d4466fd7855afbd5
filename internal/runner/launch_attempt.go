package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

// launch has another process run the attempt. handled is false if this one is to run
// it. A result is one that this runner reports: the attempt did not get away.
func (a *attempt) launch() (result *api.JobResult, handled bool, err error) {
	l := a.r.launches
	if l == nil {
		return nil, false, nil
	}
	var spec api.LaunchSpec
	err = a.r.retry(a.sending, func() (err error) {
		spec, err = a.r.client.LaunchSpec(a.sending, a.journal.Session, a.fence)
		return err
	})
	switch {
	case api.ProblemCode(err) == api.CodeLostLease && a.journal.Launched:
		a.endSend(errLost) // the pod has it
		return nil, true, nil
	case api.ProblemCode(err) == api.CodeLostLease:
		a.lose()
		return nil, true, nil
	case err != nil:
		return nil, true, fmt.Errorf("ask how to launch the job: %w", err)
	case !l.wants(&spec):
		return nil, false, nil
	}
	want, err := launchOf(&spec)
	if err != nil {
		return nil, true, &reasonError{pipeline.ReasonRunnerUnsupported, err}
	}
	a.journal.Launched = true
	a.r.mu.Lock()
	a.launched = true
	a.r.mu.Unlock()
	if err := a.enter(api.PhaseAccepted); err != nil {
		return nil, true, err
	}
	result, err = l.run(a, want)
	return result, true, err
}

// run launches an attempt and follows it to its end.
func (l *launches) run(a *attempt, want executor.Launch) (*api.JobResult, error) {
	events, unfollow := l.events(a.fence)
	defer unfollow()
	ctx, cancel := context.WithCancel(a.sending)
	defer cancel()
	defer context.AfterFunc(a.asked, cancel)()
	if err := a.r.retry(ctx, func() error { return l.launcher.Launch(ctx, want) }); err != nil {
		switch {
		case a.sending.Err() != nil:
			return nil, nil
		case a.asked.Err() != nil:
			return l.canceled(a), nil
		}
		return nil, &reasonError{pipeline.ReasonRunnerUnsupported, err}
	}
	asked := a.asked.Done()
	for known := ""; ; {
		select {
		case <-a.r.stops: // it goes on without this runner
			a.endSend(errStopped)
			return nil, nil
		case <-a.sending.Done(): // lost before it got away
			return nil, l.remove(a)
		case <-a.handed:
			asked = nil // the one that has it hears of a cancel
			if done, err := l.handed(a); done || err != nil {
				return nil, err
			}
			a.handed = nil
		case <-asked:
			return l.canceled(a), nil
		case ev := <-events:
			if ev.ID != "" && ev.ID != known {
				if err := l.tell(a, ev.ID); err != nil {
					return nil, err
				}
				known = ev.ID
			}
			if ev.Note != "" {
				a.events.add(api.JobEvent{Kind: pipeline.ReportJobNote, Text: ev.Note})
			}
			if ev.End != nil {
				return nil, l.over(a, *ev.End)
			}
		}
	}
}

// tell says which pod may claim the attempt. If another has it, this one is not
// wanted and ends by itself.
func (l *launches) tell(a *attempt, id string) error {
	err := l.r.retry(a.sending, func() error { return l.r.client.Launched(a.sending, a.journal.Session, a.fence, id) })
	if api.ProblemCode(err) == api.CodeLostLease || errs.Is(err, errs.Conflict) || a.sending.Err() != nil {
		return nil
	}
	return err
}

// over reports an end that the pod could not report itself.
func (l *launches) over(a *attempt, end executor.LaunchEnd) error {
	a.endJob(nil)
	err := l.end(l.r.calls, a.fence, end)
	a.endSend(errLost) // it is the server's now
	return err
}

// handed finds out whether a pod has the attempt, or whether it is over.
func (l *launches) handed(a *attempt) (over bool, err error) {
	var closed []int64
	err = l.r.retry(l.r.calls, func() (err error) {
		closed, err = l.r.client.Closed(l.r.calls, []int64{a.fence})
		return err
	})
	if err != nil || len(closed) == 0 {
		return false, err
	}
	// Its pod ends by itself within the graces, and is removed by the sweep if not.
	a.endSend(errLost)
	return true, nil
}

// canceled ends what was launched and has not begun.
func (l *launches) canceled(a *attempt) *api.JobResult {
	if err := l.remove(a); err != nil {
		l.r.o.Notice(fmt.Sprintf("attempt %d of run %d: what was launched for it could not be removed: %v", a.fence, a.journal.Run, err))
	}
	return &api.JobResult{Status: pipeline.StatusCanceled}
}

// removeTime bounds the removal of what was launched; a sweep does it later.
const removeTime = 10 * time.Second

func (l *launches) remove(a *attempt) error {
	if errors.Is(context.Cause(a.sending), errStopped) {
		return nil
	}
	ctx, cancel := context.WithTimeout(l.r.calls, removeTime)
	defer cancel()
	return l.launcher.End(ctx, a.fence)
}

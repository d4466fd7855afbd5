package stackrun

import (
	"context"
	"errors"

	"refline/internal/stack"
	"refline/internal/stackview"
)

// operations shows operations on stacks as they go, and their results.
type operations struct {
	place *Place
	turns stackview.Turns
	named bool // several stacks are at work, so each line names its stack
	quiet bool // the results are written elsewhere
}

// watch shows an operation on t. It returns ErrFailed if that failed by itself. An
// operation without a result had nothing to do.
func (r *operations) watch(t *stack.Target, words stackview.Words, operate func(emit func(stack.Progress)) (*stack.Deployment, error)) error {
	view := &stackview.Live{Turns: &r.turns, Lines: r.place.Notes, Screen: r.place.Screen}
	if r.named {
		view.Name = t.StackName
	}
	d, err := operate(view.Emit)
	view.End()
	if d != nil && !r.quiet && (err == nil || d.Status != "") {
		r.turns.Do(func() { stackview.Deployment(r.place.Out, d, words) })
	}
	if err == nil && d != nil && !d.Good {
		return ErrFailed
	}
	return err
}

// watchOne shows an operation on one stack and reports its outcome.
func (p *Place) watchOne(t *stack.Target, done string, operate func(emit func(stack.Progress)) (*stack.Deployment, error)) error {
	err := (&operations{place: p}).watch(t, stackview.Words{Done: done}, operate)
	return p.outcomes([]stack.Outcome{{Target: t, Err: err}})
}

// outcomes reports what failed of many stacks and returns the error that counts
// for all of them.
func (p *Place) outcomes(list []stack.Outcome) error {
	var worst error
	for _, o := range list {
		var running *stack.StillRunningError
		switch {
		case o.Skipped != "":
			p.notef("%s: %s", o.Target.Name, o.Reason())
			continue
		case o.Err == nil:
			continue
		case errors.As(o.Err, &running):
			p.notef("%v", running)
			worst = o.Err
			continue
		case errors.Is(o.Err, ErrFailed):
		case errors.Is(o.Err, context.Canceled):
			p.Report(o.Err)
		case errors.Is(o.Err, ErrRefused):
			worst = ErrRefused
		default:
			p.Report(o.Err)
			worst = ErrRefused
		}
		if worst == nil {
			worst = o.Err
		}
	}
	return worst
}

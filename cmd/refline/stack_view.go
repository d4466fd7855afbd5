package main

import (
	"refline/internal/stack"
	"refline/internal/stackview"
)

// stackRun shows operations on stacks as they go, and what came of them.
type stackRun struct {
	e     *env
	turns stackview.Turns
	named bool // several are at work, so each line names its stack
	quiet bool // the results are printed elsewhere
}

func newStackRun(e *env, named bool) *stackRun { return &stackRun{e: e, named: named} }

// watch shows an operation on t. It returns errRed if that failed by itself. An
// operation without a result had nothing to do.
func (r *stackRun) watch(t *stack.Target, words stackview.Words, operate func(emit func(stack.Progress)) (*stack.Deployment, error)) error {
	view := &stackview.Live{Turns: &r.turns, Lines: r.e.notes()}
	if r.named {
		view.Name = t.StackName
	}
	if r.e.terminal && !r.e.quiet {
		view.Screen = r.e.stderr
	}
	d, err := operate(view.Emit)
	view.End()
	if d != nil && !r.quiet && (err == nil || d.Status != "") {
		r.turns.Do(func() { stackview.Deployment(r.e.stdout, d, words) })
	}
	if err == nil && d != nil && !d.Good {
		return errRed
	}
	return err
}

package stackrun

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stackview"
)

// DeleteOptions say how stacks are deleted.
type DeleteOptions struct {
	Retain    []string // ids of resources to leave
	Force     bool
	Confirmed string // the names of the stacks in CloudFormation; "" asks
	Jobs      int
}

// Delete deletes stacks, those first that depend on others.
func Delete(p *Place, o DeleteOptions) Operation {
	return func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		if err := p.confirmDelete(s, targets, o.Confirmed); err != nil {
			return err
		}
		run := &operations{place: p, named: len(targets) > 1}
		outcomes := s.Config.EachReverse(ctx, targets, o.Jobs, func(ctx context.Context, t *stack.Target) error {
			err := run.watch(t, stackview.Words{Done: "is deleted"}, func(emit func(stack.Progress)) (*stack.Deployment, error) {
				return s.Delete(ctx, t, stack.DeleteOptions{Retain: o.Retain, Force: o.Force, Emit: emit})
			})
			if errs.Is(err, errs.NotFound) {
				run.turns.Do(func() { fmt.Fprintf(p.Out, "%s does not exist, nothing to delete\n", t.StackName) })
				return nil
			}
			return err
		})
		return p.outcomes(outcomes)
	}
}

// confirmDelete wants the names as CloudFormation has them: they include the
// environment, which keeps the wrong one from being deleted.
func (p *Place) confirmDelete(s *stack.Session, targets []*stack.Target, got string) error {
	want := stackNames(targets)
	all := strings.Join(want, ",")
	if got == "" {
		if p.Ask == nil {
			return errs.Usage("delete asks for the stack's name, and there is no terminal to ask on; give --confirm %s", all)
		}
		var err error
		got, err = p.Ask(fmt.Sprintf("this deletes %s in account %s; to go on, type %s: ", all, s.Caller.Account, all))
		if errors.Is(err, context.Canceled) {
			return err
		}
		if err != nil {
			return errs.E(errs.Invalid, "nothing was deleted: no answer")
		}
	}
	if !stack.SameNames(got, want) {
		return errs.E(errs.Invalid, "nothing was deleted: %q is not %q", got, all)
	}
	return nil
}

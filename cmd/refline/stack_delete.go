package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stackview"
)

type stackDeleteOptions struct {
	stackOptions
	retain  []string
	force   bool
	confirm string
}

func newStackDeleteCmd(e *env) *cobra.Command {
	o := &stackDeleteOptions{}
	cmd := &cobra.Command{
		Use:   "delete STACK…",
		Short: "Delete stacks and what is in them",
		Long: `Delete stacks, those first that depend on others, and show what happens. It asks
for the stack's name in CloudFormation, or takes it from --confirm. What was
planned but never deployed goes away too. A stack that is protected from deletion
needs --force; one that failed to go can leave resources behind by --retain.

Exit codes: 0 deleted or not there, 1 error, 2 usage, 3 a deletion failed, 130 canceled.`,
		Example: `  refline stack delete landing --env dev
  refline stack delete landing --env dev --confirm landing-dev`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("delete wants a STACK; refline stack list shows them")
			}
			return nil
		},
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackDelete(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJobs(cmd)
	o.notEmpty(cmd, "confirm")
	f := cmd.Flags()
	f.StringArrayVar(&o.retain, "retain", nil, "id of a resource to leave, when a deletion failed at it")
	f.BoolVar(&o.force, "force", false, "even when it is protected; and leave what cannot be deleted")
	f.StringVar(&o.confirm, "confirm", "", "names of the stacks in CloudFormation, with commas, instead of an answer")
	return cmd
}

func runStackDelete(ctx context.Context, e *env, o *stackDeleteOptions, s *stack.Session, targets []*stack.Target) error {
	if err := o.confirmed(e, s, targets); err != nil {
		return err
	}
	run := newStackRun(e, len(targets) > 1)
	outcomes := s.Config.EachReverse(ctx, targets, o.jobs, func(ctx context.Context, t *stack.Target) error {
		err := run.watch(t, stackview.Words{Done: "is deleted"}, func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Delete(ctx, t, stack.DeleteOptions{Retain: o.retain, Force: o.force, Emit: emit})
		})
		if errs.Is(err, errs.NotFound) {
			run.turns.Do(func() { fmt.Fprintf(e.stdout, "%s does not exist, nothing to delete\n", t.StackName) })
			return nil
		}
		return err
	})
	return e.outcomes(outcomes)
}

// confirmed wants the names as CloudFormation has them: the environment is part
// of them, so that nobody deletes the wrong one.
func (o *stackDeleteOptions) confirmed(e *env, s *stack.Session, targets []*stack.Target) error {
	var want []string
	for _, t := range targets {
		want = append(want, t.StackName)
	}
	all := strings.Join(want, ",")
	got := o.confirm
	if got == "" {
		if !e.interactive {
			return usagef("delete asks for the stack's name, and nobody is here to answer; give --confirm %s", all)
		}
		var err error
		got, err = e.ask(e.stderr, fmt.Sprintf("this deletes %s in account %s; to go on, type %s: ", all, s.Caller.Account, all))
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

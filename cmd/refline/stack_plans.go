package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/stack"
	"refline/internal/stackview"
)

type stackPlansOptions struct {
	stackOptions
	prune bool
	older time.Duration
}

func newStackPlansCmd(e *env) *cobra.Command {
	o := &stackPlansOptions{}
	cmd := &cobra.Command{
		Use:   "plans [STACK…]",
		Short: "List plans that nobody executed, or clean them up",
		Long: `List the change sets that wait for somebody. With --prune those that refline made
and that are older than --older-than, or stale, are deleted, and what is left of a
stack that was planned but never deployed. Change sets of others are left alone.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack plans --env dev
  refline stack plans --env dev --prune --older-than 72h`,
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackPlans(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&o.prune, "prune", false, "delete them")
	cmd.Flags().DurationVar(&o.older, "older-than", 7*24*time.Hour, "with --prune: only plans of this age")
	o.checked(cmd, func() error {
		if o.older < 0 {
			return usagef("--older-than is 0 or more, got %s", o.older)
		}
		if cmd.Flags().Changed("older-than") && !o.prune {
			return usagef("--older-than goes with --prune")
		}
		return nil
	})
	return cmd
}

func runStackPlans(ctx context.Context, e *env, o *stackPlansOptions, s *stack.Session, targets []*stack.Target) error {
	list := s.AllPlans
	what := "waiting"
	if o.prune {
		what = "deleted"
		list = func(ctx context.Context, targets []*stack.Target) ([]stack.PendingPlan, error) {
			return s.PruneAll(ctx, targets, o.older)
		}
	}
	all, err := list(ctx, targets)
	if err != nil {
		return err
	}
	if o.json {
		return e.printJSON(all)
	}
	if err := stackview.Plans(e.stdout, all); err != nil {
		return err
	}
	e.notef("%s %s", plural(len(all), "plan"), what)
	return nil
}

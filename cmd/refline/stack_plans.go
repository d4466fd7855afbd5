package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/stack"
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
		RunE: func(cmd *cobra.Command, args []string) error { return runStackPlans(cmd.Context(), e, o, args) },
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

func runStackPlans(ctx context.Context, e *env, o *stackPlansOptions, names []string) error {
	s, targets, err := o.reach(ctx, e, names)
	if err != nil {
		return err
	}
	all := []stack.PendingPlan{}
	for _, t := range targets {
		var plans []stack.PendingPlan
		if o.prune {
			plans, err = s.Prune(ctx, t, o.older)
		} else {
			plans, err = s.Plans(ctx, t)
		}
		if err != nil {
			return err
		}
		all = append(all, plans...)
	}
	if o.json {
		return e.printJSON(all)
	}
	tab := newTable()
	for _, p := range all {
		fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", p.Created.UTC().Format("2006-01-02 15:04:05Z"), p.Name, p.State(), p.Description)
	}
	if err := tab.print(e.stdout); err != nil {
		return err
	}
	what := "waiting"
	if o.prune {
		what = "deleted"
	}
	e.notef("%s %s", plural(len(all), "plan"), what)
	return nil
}

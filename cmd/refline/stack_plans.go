package main

import (
	"time"

	"refline/internal/stackrun"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

type stackPlansOptions struct {
	stackOptions
	prune bool
	older time.Duration
}

func newStackPlansCmd(e *cli.Env) *cobra.Command {
	o := &stackPlansOptions{}
	cmd := &cobra.Command{
		Use:   "plans [STACK…]",
		Short: "List plans that were not executed, or remove them",
		Long: `List the change sets that wait for a decision. With --prune those that refline made
and that are older than --older-than, or stale, are deleted, and what is left of a
stack that was planned but never deployed. Change sets of others are left alone.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack plans --env dev
  refline stack plans --env dev --prune --older-than 72h`,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.Plans(p, o.prune, o.older) }),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&o.prune, "prune", false, "delete them")
	cmd.Flags().DurationVar(&o.older, "older-than", 7*24*time.Hour, "with --prune: only plans of this age")
	o.checked(cmd, func() error {
		if o.older < 0 {
			return cli.Usagef("--older-than is 0 or more, got %s", o.older)
		}
		if cmd.Flags().Changed("older-than") && !o.prune {
			return cli.Usagef("--older-than goes with --prune")
		}
		return nil
	})
	return cmd
}

package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stackrun"
)

func newStackStatusCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "status [STACK…]",
		Short: "Show the states of stacks, and how to leave one that is stuck",
		Long: `Show the states of an environment's stacks and the plans that wait. For each state
that needs attention it shows what it means and which command leads out of it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack status --env dev
  refline stack status landing --env prod --json`,
		RunE: o.reached(e, stackrun.Status),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

type stackEventsOptions struct {
	stackOptions
	limit  int
	follow bool
}

func newStackEventsCmd(e *cli.Env) *cobra.Command {
	o := &stackEventsOptions{}
	cmd := &cobra.Command{
		Use:   "events STACK",
		Short: "Show what happened to a stack, or follow what is happening",
		Long: `Show a stack's latest events, oldest first. With --follow the operation under way
is shown from its start to its end, nested stacks included.

Exit codes: 0 good, 1 error, 2 usage, 3 what was followed failed, 130 canceled.`,
		Example: `  refline stack events landing --env dev
  refline stack events landing --env prod --follow`,
		Args: oneStack,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation {
			if o.follow {
				return stackrun.Follow(p)
			}
			return stackrun.Events(p, o.limit)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	o.checked(cmd, func() error {
		if o.limit < 0 {
			return cli.Usagef("--limit is 0 or more, got %d", o.limit)
		}
		return nil
	})
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 50, "at most this many; 0 for all")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "follow the operation under way")
	return cmd
}

func newStackOutputsCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	key := ""
	cmd := &cobra.Command{
		Use:   "outputs STACK",
		Short: "Show a stack's outputs",
		Long: `Show the outputs of a deployed stack, or with --key the value of one alone.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack outputs network --env dev
  refline stack outputs network --env dev --key VpcId`,
		Args: oneStack,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.Outputs(p, key) }),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().StringVar(&key, "key", "", "print the value of this output alone")
	return cmd
}

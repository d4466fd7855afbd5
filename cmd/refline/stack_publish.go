package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stackrun"
)

func newStackPublishCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "publish [STACK…]",
		Short: "Stage templates in the environment's bucket",
		Long: `Write templates, nested ones too, to the environment's bucket under keys made of
their contents, encrypted and never overwritten, with commit, ref, pipeline and
author. refline stack history lists what was published, planned and deployed.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack publish --env dev
  refline stack publish landing --env dev --json`,
		RunE: o.reached(e, stackrun.Publish),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

type stackHistoryOptions struct {
	stackOptions
	limit int
}

func newStackHistoryCmd(e *cli.Env) *cobra.Command {
	o := &stackHistoryOptions{}
	cmd := &cobra.Command{
		Use:   "history [STACK…]",
		Short: "List what was published, planned and deployed, and by whom",
		Long: `List the records of stacks in the environment's bucket, newest first: who
published, planned, deployed, rolled back and deleted what, from which commit and
pipeline. Each is an object of its own that is never overwritten.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack history --env prod
  refline stack history landing --env prod -n 0 --json`,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.History(p, o.limit) }),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 20, "at most this many; 0 for all")
	return cmd
}

func oneStack(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("%s wants one STACK; refline stack list shows them", cmd.Name())
	}
	return nil
}

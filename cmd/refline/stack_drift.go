package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stackrun"
)

func newStackDriftCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	detailed := false
	cmd := &cobra.Command{
		Use:   "drift [STACK…]",
		Short: "Find what was changed by hand",
		Long: `Have AWS compare each resource with its template and show what differs. What was
changed by hand goes back with refline stack plan --revert-drift.

Exit codes: 0 good, 1 error, 2 usage, 4 a stack drifted (with
--detailed-exitcode), 130 canceled.`,
		Example: `  refline stack drift --env prod
  refline stack drift landing --env prod --detailed-exitcode`,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.Drift(p, o.jobs, detailed) }),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	o.bindJobs(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 4 when a stack drifted")
	return cmd
}

func newStackDiffCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	detailed := false
	cmd := &cobra.Command{
		Use:   "diff [STACK…]",
		Short: "Compare the repository's templates with the deployed ones",
		Long: `Compare templates, parameters and tags with what is deployed, at once and without a
change set. What a deployment would do to resources only refline stack plan knows.

Exit codes: 0 good, 1 error, 2 usage, 4 there are differences (with
--detailed-exitcode).`,
		Example: `  refline stack diff --env dev
  refline stack diff landing --env prod --detailed-exitcode`,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.Diff(p, detailed) }),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 4 when there are differences")
	return cmd
}

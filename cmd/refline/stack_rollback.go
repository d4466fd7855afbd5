package main

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/stackrun"
)

func newStackRollbackCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "rollback STACK",
		Short: "Roll back a deployment that failed and was kept, or that is under way",
		Long: `Roll a stack back to what it was before its last deployment: one that failed and
was kept (CREATE_FAILED, UPDATE_FAILED; on_failure: keep), or an update that is
still under way, which is cancelled. What was created by a deployment that failed
is removed. To continue a rollback that failed: refline stack continue.

Exit codes: 0 rolled back, 1 error, 2 usage, 3 it failed, 130 canceled.`,
		Example: "  refline stack rollback landing --env dev",
		Args:    oneStack,
		RunE:    o.reached(e, stackrun.Rollback),
	}
	o.bind(cmd)
	return cmd
}

func newStackContinueCmd(e *cli.Env) *cobra.Command {
	o := &stackOptions{}
	var skip []string
	cmd := &cobra.Command{
		Use:   "continue STACK",
		Short: "Continue a rollback that failed",
		Long: `Continue the rollback of a stack in UPDATE_ROLLBACK_FAILED, once the cause is
removed, or leaving out resources that cannot go back.

Exit codes: 0 rolled back, 1 error, 2 usage, 3 it failed again, 130 canceled.`,
		Example: `  refline stack continue landing --env dev
  refline stack continue landing --env dev --skip Database`,
		Args: oneStack,
		RunE: o.reached(e, func(p *stackrun.Place) stackrun.Operation { return stackrun.Continue(p, skip) }),
	}
	o.bind(cmd)
	cmd.Flags().StringArrayVar(&skip, "skip", nil, "id of a resource to leave as it is")
	return cmd
}

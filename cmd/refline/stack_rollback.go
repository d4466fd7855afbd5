package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/stack"
	"refline/internal/stackview"
)

func newStackRollbackCmd(e *env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "rollback STACK",
		Short: "Take a deployment back that failed and was kept, or that is under way",
		Long: `Roll a stack back to what it was before its last deployment: one that failed and
was kept (CREATE_FAILED, UPDATE_FAILED; on_failure: keep), or an update that is
still under way, which is cancelled. What was created by a deployment that failed
goes away. A rollback that failed is gone on with by refline stack continue.

Exit codes: 0 rolled back, 1 error, 2 usage, 3 it failed, 130 canceled.`,
		Example: "  refline stack rollback landing --env dev",
		Args:    oneStack,
		RunE: o.rollBack(e, func(ctx context.Context, s *stack.Session, t *stack.Target, emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Rollback(ctx, t, emit)
		}),
	}
	o.bind(cmd)
	return cmd
}

func newStackContinueCmd(e *env) *cobra.Command {
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
		RunE: o.rollBack(e, func(ctx context.Context, s *stack.Session, t *stack.Target, emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Continue(ctx, t, skip, emit)
		}),
	}
	o.bind(cmd)
	cmd.Flags().StringArrayVar(&skip, "skip", nil, "id of a resource to leave as it is")
	return cmd
}

// rollBack is a command that takes a stack back and shows what happens.
func (o *stackOptions) rollBack(e *env,
	back func(context.Context, *stack.Session, *stack.Target, func(stack.Progress)) (*stack.Deployment, error),
) func(*cobra.Command, []string) error {
	return o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
		err := newStackRun(e, false).watch(targets[0], stackview.Words{Done: "is rolled back"}, func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return back(ctx, s, targets[0], emit)
		})
		return e.outcomes([]stack.Outcome{{Target: targets[0], Err: err}})
	})
}

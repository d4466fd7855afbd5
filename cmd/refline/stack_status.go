package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stackview"
)

func newStackStatusCmd(e *env) *cobra.Command {
	o := &stackOptions{}
	cmd := &cobra.Command{
		Use:   "status [STACK…]",
		Short: "Show how stacks stand, and the way out of where they are stuck",
		Long: `Show the state of an environment's stacks, plans that wait, and for each state
that needs somebody what it means and which command leads out of it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline stack status --env dev
  refline stack status landing --env prod --json`,
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackStatus(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

func runStackStatus(ctx context.Context, e *env, o *stackOptions, s *stack.Session, targets []*stack.Target) error {
	list, err := s.StatusOf(ctx, targets)
	if err != nil {
		return err
	}
	if o.json {
		return e.printJSON(list)
	}
	return stackview.Status(e.stdout, s.Env.Name, list)
}

type stackEventsOptions struct {
	stackOptions
	limit  int
	follow bool
}

func newStackEventsCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackEvents(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	o.checked(cmd, func() error {
		if o.limit < 0 {
			return usagef("--limit is 0 or more, got %d", o.limit)
		}
		return nil
	})
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 50, "at most this many; 0 for all")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "follow the operation under way")
	return cmd
}

func runStackEvents(ctx context.Context, e *env, o *stackEventsOptions, s *stack.Session, targets []*stack.Target) error {
	if o.follow {
		r := newStackRun(e, false)
		err := r.watch(targets[0], stackview.Words{Done: "is at rest"}, func(emit func(stack.Progress)) (*stack.Deployment, error) {
			return s.Follow(ctx, targets[0], emit)
		})
		return e.outcomes([]stack.Outcome{{Target: targets[0], Err: err}})
	}
	events, err := s.Events(ctx, targets[0], o.limit)
	if err != nil {
		return err
	}
	if o.json {
		return e.printJSON(events)
	}
	return stackview.Events(e.stdout, events)
}

func newStackOutputsCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackOutputs(ctx, e, o, s, targets, key)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().StringVar(&key, "key", "", "print the value of this output alone")
	return cmd
}

func runStackOutputs(ctx context.Context, e *env, o *stackOptions, s *stack.Session, targets []*stack.Target, key string) error {
	outputs, err := s.Outputs(ctx, targets[0])
	if err != nil {
		return err
	}
	if key != "" {
		for _, x := range outputs {
			if x.Key == key {
				fmt.Fprintln(e.stdout, x.Value)
				return nil
			}
		}
		return errs.E(errs.NotFound, "stack %s has no output %q", targets[0].StackName, key)
	}
	if o.json {
		if outputs == nil {
			outputs = []stack.Output{} // a list, whoever reads it
		}
		return e.printJSON(outputs)
	}
	return stackview.Outputs(e.stdout, outputs)
}

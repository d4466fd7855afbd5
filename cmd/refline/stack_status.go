package main

import (
	"context"
	"fmt"
	"strconv"

	"refline/internal/stack/planfile"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/stack"
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
		RunE: func(cmd *cobra.Command, args []string) error { return runStackStatus(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

type stackState struct {
	Stack     string              `json:"stack"`
	StackName string              `json:"stackName"`
	Exists    bool                `json:"exists"`
	Status    stack.Status        `json:"status,omitempty"`
	Reason    string              `json:"reason,omitempty"`
	Resources int                 `json:"resources"`
	Drift     string              `json:"drift,omitempty"`
	Pending   []stack.PendingPlan `json:"pending,omitempty"`
	Recovery  *stack.Recovery     `json:"recovery,omitempty"`
}

func runStackStatus(ctx context.Context, e *env, o *stackOptions, names []string) error {
	s, targets, err := o.reach(ctx, e, names)
	if err != nil {
		return err
	}
	var list []stackState
	for _, t := range targets {
		st, err := s.Status(ctx, t)
		if err != nil {
			return err
		}
		list = append(list, stackState{Stack: t.Name, StackName: t.StackName, Exists: st.Exists, Status: st.Stack.Status,
			Reason: st.Stack.Reason, Resources: len(st.Resources), Drift: st.Stack.DriftStatus, Pending: st.Pending, Recovery: st.Recovery})
	}
	if o.json {
		return e.printJSON(list)
	}
	tab := newTable()
	for _, x := range list {
		if !x.Exists {
			fmt.Fprintf(tab, "  –\t%s\tdoes not exist\trefline stack plan %s --env %s\n", x.StackName, x.Stack, s.Env.Name)
			continue
		}
		more := plural(x.Resources, "resource")
		waiting := 0
		for _, p := range x.Pending {
			if p.Waits() {
				waiting++
			}
		}
		if waiting > 0 {
			more += ", " + plural(waiting, "plan") + " waiting"
		}
		if stale := len(x.Pending) - waiting; stale > 0 {
			more += ", " + strconv.Itoa(stale) + " stale"
		}
		if x.Drift == "DRIFTED" {
			more += ", drifted"
		}
		fmt.Fprintf(tab, "  %s\t%s\t%s\t%s\n", symbolOf(x.Status), x.StackName, x.Status, more)
	}
	if err := tab.print(e.stdout); err != nil {
		return err
	}
	for _, x := range list {
		if x.Recovery != nil {
			fmt.Fprintf(e.stdout, "%s: %s\n", x.StackName, x.Recovery)
		}
	}
	return nil
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
		RunE: func(cmd *cobra.Command, args []string) error { return runStackEvents(cmd.Context(), e, o, args) },
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

func runStackEvents(ctx context.Context, e *env, o *stackEventsOptions, names []string) error {
	ctx, cancel := e.orderly(ctx)
	defer cancel()
	s, targets, err := o.reach(ctx, e, names)
	if err != nil {
		return err
	}
	if o.follow {
		var turn turns
		view := newStackView(e, &turn, "")
		d, err := s.Follow(ctx, targets[0], view.emit)
		view.end()
		return e.outcomes([]stack.Outcome{{Target: targets[0], Err: e.deployed(&turn, false, d, err, "is at rest", "")}})
	}
	events, err := s.Events(ctx, targets[0], o.limit)
	if err != nil {
		return err
	}
	if o.json {
		return e.printJSON(events)
	}
	tab := newTable()
	for _, x := range events {
		fmt.Fprintf(tab, "%s\t%s %s\t%s\t%s\t%s\n", x.Time.UTC().Format("2006-01-02 15:04:05Z"), symbolOf(x.Status), planfile.Plain(x.LogicalID),
			planfile.Plain(x.Type), x.Status, planfile.Plain(x.Reason))
	}
	return tab.print(e.stdout)
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
		RunE: func(cmd *cobra.Command, args []string) error {
			return runStackOutputs(cmd.Context(), e, o, args, key)
		},
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().StringVar(&key, "key", "", "print the value of this output alone")
	return cmd
}

func runStackOutputs(ctx context.Context, e *env, o *stackOptions, names []string, key string) error {
	s, targets, err := o.reach(ctx, e, names)
	if err != nil {
		return err
	}
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
	tab := newTable()
	for _, x := range outputs {
		fmt.Fprintf(tab, "%s\t%s\t%s\n", planfile.Plain(x.Key), planfile.Plain(x.Value), planfile.Plain(x.Description))
	}
	return tab.print(e.stdout)
}

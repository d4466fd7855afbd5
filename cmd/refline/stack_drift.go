package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

func newStackDriftCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackDrift(ctx, e, o, s, targets, detailed)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	o.bindJobs(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 4 when a stack drifted")
	return cmd
}

func runStackDrift(ctx context.Context, e *env, o *stackOptions, s *stack.Session, targets []*stack.Target, detailed bool) error {
	var turn stackview.Turns
	found := map[string]stack.Drift{}
	outcomes := s.Config.EachAlone(ctx, targets, o.jobs, func(ctx context.Context, t *stack.Target) error {
		d, err := s.Drift(ctx, t)
		turn.Do(func() { found[t.Name] = d })
		return err
	})
	drifted := false
	for _, out := range outcomes {
		d := found[out.Target.Name]
		if out.Err != nil {
			continue
		}
		drifted = drifted || d.Drifted()
		if o.json {
			continue
		}
		if d.Failed != "" {
			e.notef("%s: not every resource could be looked at: %s", out.Target.StackName, planfile.Plain(d.Failed))
		}
		stackview.Drift(e.stdout, out.Target, d)
	}
	if o.json {
		if err := e.printJSON(found); err != nil {
			return err
		}
	}
	if err := e.outcomes(outcomes); err != nil {
		return err
	}
	if detailed && drifted {
		return errChanges
	}
	return nil
}

func newStackDiffCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackDiff(ctx, e, o, s, targets, detailed)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 4 when there are differences")
	return cmd
}

func runStackDiff(ctx context.Context, e *env, o *stackOptions, s *stack.Session, targets []*stack.Target, detailed bool) error {
	var all []*stack.TemplateDiff
	different := false
	for _, t := range targets {
		d, err := s.Diff(ctx, t)
		if err != nil {
			return err
		}
		all = append(all, d)
		different = different || !d.Same()
		if !o.json {
			stackview.Diff(e.stdout, d)
		}
	}
	if o.json {
		if err := e.printJSON(all); err != nil {
			return err
		}
	}
	if detailed && different {
		return errChanges
	}
	return nil
}

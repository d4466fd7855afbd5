package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/stack"
	"refline/internal/stackview"
)

func newStackPublishCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackPublish(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	return cmd
}

func runStackPublish(ctx context.Context, e *env, o *stackOptions, s *stack.Session, targets []*stack.Target) error {
	all := map[string]*stack.Staged{}
	for _, t := range targets {
		staged, err := s.Publish(ctx, t)
		if err != nil {
			return err
		}
		all[t.Name] = staged
		if !o.json {
			stackview.Staged(e.stdout, *staged)
		}
	}
	if o.json {
		return e.printJSON(all)
	}
	return nil
}

type stackHistoryOptions struct {
	stackOptions
	limit int
}

func newStackHistoryCmd(e *env) *cobra.Command {
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
		RunE: o.reached(e, func(ctx context.Context, s *stack.Session, targets []*stack.Target) error {
			return runStackHistory(ctx, e, o, s, targets)
		}),
	}
	o.bind(cmd)
	o.bindJSON(cmd)
	cmd.Flags().IntVarP(&o.limit, "limit", "n", 20, "at most this many; 0 for all")
	return cmd
}

func oneStack(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s wants one STACK; refline stack list shows them", cmd.Name())
	}
	return nil
}

func runStackHistory(ctx context.Context, e *env, o *stackHistoryOptions, s *stack.Session, targets []*stack.Target) error {
	records, err := s.Histories(ctx, targets, o.limit)
	if err != nil {
		return err
	}
	if o.json {
		return e.printJSON(records)
	}
	if len(records) == 0 {
		e.notef("nothing was published or planned yet: refline stack plan --env %s", s.Env.Name)
		return nil
	}
	return stackview.History(e.stdout, records)
}

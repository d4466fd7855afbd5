package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/localpipeline"
	"refline/internal/localrun"
	"refline/internal/pipeline"
	"refline/internal/runview"
)

type listOptions struct {
	pipelineOptions
	json bool

	// Of refline run --dry-run: the jobs to list, with only without what they need.
	jobs []string
	only bool
}

func newListCmd(e *cli.Env) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the jobs of the pipeline as it would be created",
		Long: `List the jobs of the pipeline as it would be created for this ref and event,
with their stage, when they run, and what they need.

Exit codes: 0 good, 1 the pipeline has errors, 2 usage.`,
		Example: `  refline list
  refline list --branch main --event schedule --json`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), e, o) },
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the jobs as JSON")
	return cmd
}

func runList(ctx context.Context, e *cli.Env, o *listOptions) error {
	c, err := localpipeline.Compile(ctx, e.Local(), &o.Options)
	if err != nil {
		return err
	}
	defer c.Close()
	p := c.Pipeline
	if len(o.jobs) > 0 {
		if p, err = selectJobs(ctx, c, &o.Options, o.jobs, o.only); err != nil {
			return err
		}
	}
	jobs := runview.List(p)
	if o.json {
		return e.PrintJSON(jobs)
	}
	if p == nil {
		e.Notef("%s", c.NoPipeline(ctx))
		return nil
	}
	runview.Jobs(e.Stdout, jobs)
	return nil
}

// selectJobs returns the pipeline of the named jobs and, without only, of what
// they need.
func selectJobs(ctx context.Context, c *localpipeline.Compiled, o *localpipeline.Options, jobs []string, only bool) (*pipeline.Pipeline, error) {
	if c.Pipeline == nil {
		return nil, c.NoPipeline(ctx)
	}
	chosen, _, known := localrun.Choose(c.Pipeline, jobs, only, nil)
	if known < len(jobs) {
		return nil, c.NotInPipeline(ctx, o, jobs[known])
	}
	return chosen, nil
}

package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/gitlabci"
	"refline/internal/localpipeline"
	"refline/internal/pipeline"
)

type showOptions struct {
	pipelineOptions
	json bool
	job  string
}

func newShowCmd(e *cli.Env) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the compiled pipeline",
		Long: `Print the pipeline with everything decided: includes, extends, references and
rules applied, a matrix unrolled. As YAML it is a pipeline again.

Exit codes: 0 good, 1 the pipeline has errors or lacks the job, 2 usage.`,
		Example: `  refline show
  refline show --job 'unit: [1.25]' --json`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runShow(cmd.Context(), e, o) },
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON, in the words of Refline's own model")
	cmd.Flags().StringVar(&o.job, "job", "", "only this job; the name of a parallel job means all of its jobs")
	return cmd
}

func runShow(ctx context.Context, e *cli.Env, o *showOptions) error {
	c, err := localpipeline.Compile(ctx, e.Local(), &o.Options)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.Pipeline == nil {
		if o.job != "" {
			return c.NotInPipeline(ctx, &o.Options, o.job)
		}
		return c.NoPipeline(ctx)
	}
	p := c.Pipeline
	if o.job != "" {
		jobs := jobsNamed(p, o.job)
		if len(jobs) == 0 {
			return c.NotInPipeline(ctx, &o.Options, o.job)
		}
		if o.json && len(jobs) == 1 {
			return e.PrintJSON(jobs[0])
		}
		if o.json {
			return e.PrintJSON(jobs)
		}
		p = &pipeline.Pipeline{Stages: []string{jobs[0].Stage}, Jobs: jobs}
	}
	if o.json {
		return e.PrintJSON(p)
	}
	text, err := gitlabci.Render(p)
	if err != nil {
		return err
	}
	_, err = e.Stdout.Write(text)
	return err
}

// jobsNamed gives the job of a name, or all of a parallel job's.
func jobsNamed(p *pipeline.Pipeline, name string) []pipeline.Job {
	if j := p.Job(name); j != nil {
		return []pipeline.Job{*j}
	}
	var jobs []pipeline.Job
	for _, j := range p.Jobs {
		if j.Base == name {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

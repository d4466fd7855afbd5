package main

import (
	"context"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

type showOptions struct {
	pipelineOptions
	json bool
	job  string
}

func newShowCmd(e *env) *cobra.Command {
	o := &showOptions{}
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the compiled pipeline",
		Long: `Print the pipeline with everything decided: includes, extends, references and
rules applied, a matrix unrolled. As YAML it is a pipeline again.

Exit codes: 0 good, 1 the pipeline has errors or lacks the job, 2 usage.`,
		Example: `  refline show
  refline show --job 'unit: [1.25]' --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runShow(cmd.Context(), e, o) },
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON, in the words of Refline's own model")
	cmd.Flags().StringVar(&o.job, "job", "", "only this job")
	return cmd
}

func runShow(ctx context.Context, e *env, o *showOptions) error {
	c, err := compile(ctx, e, &o.pipelineOptions)
	if err != nil {
		return err
	}
	defer c.close()
	if c.pipeline == nil {
		return errs.E(errs.NotFound, "no pipeline for %s: %s", c.where(), c.notCreated)
	}
	p := c.pipeline
	if o.job != "" {
		j := p.Job(o.job)
		if j == nil {
			return errs.E(errs.NotFound, "no job %q in the pipeline of %s%s; why: refline explain%s %s", o.job, c.where(), didYouMean(o.job, jobNames(p)), o.again(), shellWord(o.job))
		}
		if o.json {
			return e.printJSON(j)
		}
		p = &pipeline.Pipeline{Stages: []string{j.Stage}, Jobs: []pipeline.Job{*j}}
	}
	if o.json {
		return e.printJSON(p)
	}
	text, err := gitlabci.Render(p)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(text)
	return err
}

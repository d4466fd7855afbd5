package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/gitlabci"
	"refline/internal/localpipeline"
	"refline/internal/runview"
)

type explainOptions struct {
	pipelineOptions
	json bool
}

func newExplainCmd(e *cli.Env) *cobra.Command {
	o := &explainOptions{}
	cmd := &cobra.Command{
		Use:   "explain [JOB…]",
		Short: "Explain why a job is in the pipeline or not, and where its keys come from",
		Long: `Explain for each job why it is in the pipeline or not: each rule with the values
that were compared, and the file and line that each of its keys comes from.

Exit codes: 0 good, 1 the pipeline has errors or lacks the job, 2 usage.`,
		Example: "  refline explain deploy --branch feature/x",
		RunE: func(cmd *cobra.Command, args []string) error {
			return runExplain(cmd.Context(), e, o, args)
		},
	}
	o.bind(cmd)
	cmd.ValidArgsFunction = completeJobs(e, &o.pipelineOptions)
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}

func runExplain(ctx context.Context, e *cli.Env, o *explainOptions, names []string) error {
	c, err := localpipeline.Compile(ctx, e.Local(), &o.Options)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.Script {
		fmt.Fprintf(e.Stdout, "%s is a script: a pipeline of one job, %s, that always runs\n", c.File, c.Pipeline.Jobs[0].Name)
		return nil
	}
	var chosen []gitlabci.Explanation
	if len(names) == 0 {
		chosen = c.Result.Jobs
	}
	for _, name := range names {
		x := c.Result.Explain(name)
		if x == nil {
			return c.NotWritten(name)
		}
		chosen = append(chosen, *x)
	}
	if o.json {
		return e.PrintJSON(map[string]any{"workflow": c.Result.Workflow, "not_created": c.NotCreated, "jobs": chosen})
	}
	if c.Pipeline == nil || len(names) == 0 {
		runview.Workflow(e.Stdout, c.Where(), c.Result)
	}
	for i, x := range chosen {
		if i > 0 {
			fmt.Fprintln(e.Stdout)
		}
		runview.Explanation(e.Stdout, c.Where(), x, len(names) > 0)
	}
	return nil
}

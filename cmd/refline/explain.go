package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/gitlabci"
	"refline/internal/localpipeline"
	"refline/internal/termview"
)

type explainOptions struct {
	pipelineOptions
	json bool
}

func newExplainCmd(e *env) *cobra.Command {
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

func runExplain(ctx context.Context, e *env, o *explainOptions, names []string) error {
	c, err := localpipeline.Compile(ctx, e.local(), &o.Options)
	if err != nil {
		return err
	}
	defer c.Close()
	if c.Script {
		fmt.Fprintf(e.stdout, "%s is a script: a pipeline of one job, %s, that always runs\n", c.File, c.Pipeline.Jobs[0].Name)
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
		return e.printJSON(map[string]any{"workflow": c.Result.Workflow, "not_created": c.NotCreated, "jobs": chosen})
	}
	if c.Pipeline == nil || len(names) == 0 {
		printWorkflow(e, c)
	}
	for i, x := range chosen {
		if i > 0 {
			fmt.Fprintln(e.stdout)
		}
		printExplanation(e, c, x, len(names) > 0)
	}
	return nil
}

func didYouMean(name string, known []string) string {
	if near := diag.Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func printWorkflow(e *env, c *localpipeline.Compiled) {
	if c.Pipeline == nil {
		fmt.Fprintf(e.stdout, "no pipeline for %s: %s\n", c.Where(), c.Result.WhyNone())
	}
	if len(c.Result.Workflow) > 0 {
		fmt.Fprintln(e.stdout, "workflow")
		printRules(e, c.Result.Workflow)
		fmt.Fprintln(e.stdout)
	}
}

func printExplanation(e *env, c *localpipeline.Compiled, x gitlabci.Explanation, keys bool) {
	switch {
	case x.In:
		fmt.Fprintf(e.stdout, "%s is in the pipeline of %s, when: %s\n", x.Job, c.Where(), x.When)
	case x.Allowed: // and there is no pipeline
		fmt.Fprintf(e.stdout, "%s does not run: no pipeline is created for %s; its own rules let it in, when: %s\n", x.Job, c.Where(), x.When)
	default:
		fmt.Fprintf(e.stdout, "%s is not in the pipeline of %s\n", x.Job, c.Where())
	}
	if len(x.Rules) > 0 {
		fmt.Fprintf(e.stdout, "  rules (%s)\n", x.Rules[0].Place)
		matched := printRules(e, x.Rules)
		if !matched {
			fmt.Fprintln(e.stdout, "       no rule matched → never")
		}
	}
	if x.Only != "" {
		fmt.Fprintf(e.stdout, "  %s\n", x.Only)
	}
	if !keys || len(x.Keys) == 0 {
		return
	}
	fmt.Fprintln(e.stdout, "  where its keys come from")
	rows := make([][]string, 0, len(x.Keys))
	for _, k := range x.Keys {
		from := k.Place.String()
		if k.Via != "" {
			from = k.Via + ", " + from
		}
		for _, b := range k.Before {
			from += ", over " + b.String()
		}
		rows = append(rows, []string{"    " + k.Key, from})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.stdout, line)
	}
}

// printRules shows rules up to the one that matched, and reports whether one did.
func printRules(e *env, rules []gitlabci.RuleTrace) bool {
	var rows [][]string
	matched := false
	for i, r := range rules {
		if !r.Reached {
			rows = append(rows, []string{fmt.Sprintf("  %3d", i+1), clauseTexts(r), "", "not reached"})
			continue
		}
		if len(r.Clauses) == 0 {
			rows = append(rows, []string{fmt.Sprintf("  %3d", i+1), "always", "", yesNo(r.Matched, r.Result)})
		}
		for k, cl := range r.Clauses {
			number, result := "", yesNo(cl.True, "")
			if k == 0 {
				number = fmt.Sprintf("  %3d", i+1)
			}
			if k == len(r.Clauses)-1 && r.Matched {
				result = yesNo(true, r.Result)
			}
			rows = append(rows, []string{number, cl.Kind + ": " + cl.Text, cl.Values, result})
		}
		matched = matched || r.Matched
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.stdout, line)
	}
	return matched
}

func clauseTexts(r gitlabci.RuleTrace) string {
	texts := make([]string, len(r.Clauses))
	for i, c := range r.Clauses {
		texts[i] = c.Kind + ": " + c.Text
	}
	return strings.Join(texts, ", ")
}

func yesNo(yes bool, result string) string {
	switch {
	case !yes:
		return "no"
	case result == "":
		return "yes"
	default:
		return "yes → " + result
	}
}

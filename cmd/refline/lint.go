package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/localpipeline"
)

type lintOptions struct {
	pipelineOptions
	format string
	json   bool
	strict bool
}

func newLintCmd(e *cli.Env) *cobra.Command {
	o := &lintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "Find all mistakes of a pipeline at once",
		Long: `Check pipelines by GitLab's rules, with every include. All errors come together,
each with its place and a way out. What only the editor's schema rejects and
GitLab accepts is a warning.

Files may be in other repositories or in none: local includes are looked for in
the file's own repository, else in its folder. - reads stdin. No job runs.

Exit codes: 0 no errors, 1 errors (with --strict warnings too), 2 usage.`,
		Example: `  refline lint
  refline lint ci/*.yml --format codequality > report.json
  jsonnet pipeline.jsonnet | refline lint -`,
		RunE: func(cmd *cobra.Command, args []string) error { return runLint(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.format, "format", "text", "text, json, sarif, junit or codequality")
	cmd.Flags().BoolVar(&o.json, "json", false, "the same as --format json")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "warnings count as errors")
	return cmd
}

func runLint(ctx context.Context, e *cli.Env, o *lintOptions, files []string) error {
	if o.json {
		o.format = "json"
	}
	format := diag.Format(o.format)
	if !slices.Contains(diag.Formats(), format) {
		return cli.Usagef("--format %q is not one of text, json, sarif, junit, codequality", o.format)
	}
	found, read, err := localpipeline.Lint(ctx, e.Local(), o.Options, files)
	if err != nil {
		return err
	}
	p := e.Printer()
	p.Source = read
	if err := p.Print(e.Stdout, format, found); err != nil {
		return err
	}
	if format == diag.Text && len(found) == 0 {
		fmt.Fprintln(e.Stdout, "no errors, no warnings")
	}
	return verdictOf(found, o.strict)
}

// verdictOf is the error for the exit code of findings that were printed.
func verdictOf(found diag.List, strict bool) error {
	failed, warned := found.Count()
	if failed > 0 || strict && warned > 0 {
		return cli.ErrShown
	}
	return nil
}

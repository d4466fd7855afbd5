package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/pythonenv"
)

type lintOptions struct {
	pipelineOptions
	format string
	json   bool
	strict bool
}

func newLintCmd(e *env) *cobra.Command {
	o := &lintOptions{}
	cmd := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "Tell everything that is wrong with a pipeline, at once",
		Long: `Check pipelines by GitLab's rules, with every include. All errors come together,
each with its place and a way out. What only the editor's schema rejects and
GitLab accepts is a warning.

Exit codes: 0 no errors, 1 errors (with --strict warnings too), 2 usage.`,
		Example: `  refline lint
  refline lint ci/*.yml --format codequality > report.json`,
		RunE: func(cmd *cobra.Command, args []string) error { return runLint(cmd.Context(), e, o, args) },
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.format, "format", "text", "text, json, sarif, junit or codequality")
	cmd.Flags().BoolVar(&o.json, "json", false, "the same as --format json")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "warnings count as errors")
	return cmd
}

func runLint(ctx context.Context, e *env, o *lintOptions, files []string) error {
	if o.json {
		o.format = "json"
	}
	format := diag.Format(o.format)
	if !slices.Contains(diag.Formats(), format) {
		return usagef("--format %q is none of text, json, sarif, junit, codequality", o.format)
	}
	named := len(files) > 0
	if !named {
		files = []string{o.file}
	}
	var all diag.List
	var source func(string) ([]byte, error)
	for _, file := range files {
		opts := o.pipelineOptions
		opts.file = file
		c, err := compileAny(ctx, e, &opts)
		var usage usageError
		switch {
		case err == nil:
		case !named || errors.As(err, &usage):
			return err
		default: // the other files are still worth a look
			all, source = append(all, unreadable(file, err)...), sourceOf(err, source)
			continue
		}
		source = c.source(ctx)
		all = append(all, otherKind(c, source, fragment(c, named))...)
		defer c.close()
	}
	all = all.Sort()
	p := e.printer()
	p.Source = source
	if err := p.Print(e.stdout, format, all); err != nil {
		return err
	}
	if format == diag.Text && len(all) == 0 {
		fmt.Fprintln(e.stdout, "no errors, no warnings")
	}
	failed, warned := all.Count()
	if failed > 0 || o.strict && warned > 0 {
		return errShown
	}
	return nil
}

// unreadable makes findings of an error that kept a file from being compiled.
func unreadable(file string, err error) diag.List {
	var list *diag.Failure
	if errors.As(err, &list) {
		return list.Findings
	}
	return diag.List{{Place: diag.Place{File: file}, Level: diag.Error, Rule: "file", Message: err.Error()}}
}

// fragment makes a warning of a file without jobs that was named: it may be
// there to be included.
func fragment(c *compiled, named bool) diag.List {
	list := slices.Clone(c.result.Findings)
	for i := range list {
		if named && list[i].Rule == "no-jobs" {
			list[i].Level = diag.Warning
		}
	}
	return list
}

// otherKind looks at what the file is if it is not a configuration: findings of
// a pipeline say nothing to whoever wrote a template, and a script has metadata.
func otherKind(c *compiled, read func(string) ([]byte, error), list diag.List) diag.List {
	failed, _ := list.Count()
	if failed == 0 && !c.script {
		return list
	}
	text, err := read(c.file)
	switch {
	case err != nil:
		return list
	case c.script && c.pipeline != nil && c.pipeline.Jobs[0].Python != "":
		var wrong *pythonenv.MetadataError
		if errors.As(pythonenv.CheckMetadata(c.file, string(text)), &wrong) {
			at := diag.Place{File: c.file, Line: wrong.Line, Column: max(wrong.Column, 1)}
			list = append(list, diag.Finding{Place: at, Level: diag.Error, Rule: "metadata", Message: wrong.Text})
		}
	case failed > 0 && isTemplate(text):
		return diag.List{{
			Place: diag.Place{File: c.file, Line: 1, Column: 1}, Level: diag.Error, Rule: "file",
			Message: "this is a CloudFormation template, not a pipeline; check it: refline stack lint " + shellWord(c.file),
		}}
	}
	return list
}

// isTemplate reports whether a text looks like a CloudFormation template, in
// YAML, JSON or Jsonnet.
func isTemplate(text []byte) bool {
	return bytes.Contains(text, []byte("AWSTemplateFormatVersion")) ||
		bytes.Contains(text, []byte("Resources")) && bytes.Contains(text, []byte("AWS::"))
}

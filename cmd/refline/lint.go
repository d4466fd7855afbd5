package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"refline/internal/diag"
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
	print, ok := findingPrinters()[o.format]
	if !ok {
		return usagef("--format %q is none of text, json, sarif, junit, codequality", o.format)
	}
	if len(files) == 0 {
		files = []string{o.file}
	}
	var all diag.List
	sources := map[string][]byte{}
	for _, file := range files {
		opts := o.pipelineOptions
		opts.file = file
		c, err := compileAny(ctx, e, &opts)
		if err != nil {
			return err
		}
		all = append(all, c.result.Findings...)
		c.readSources(all, sources)
		c.close()
	}
	all = all.Sort()
	if err := print(e.stdout, all, func(file string) []byte { return sources[file] }, e.color()); err != nil {
		return err
	}
	failed, warned := all.Count()
	if failed > 0 || o.strict && warned > 0 {
		return errShown
	}
	return nil
}

// findingPrinter writes findings in one format; source gives a file's bytes.
type findingPrinter func(w io.Writer, list diag.List, source func(file string) []byte, color bool) error

func findingPrinters() map[string]findingPrinter {
	return map[string]findingPrinter{
		"text": func(w io.Writer, list diag.List, source func(string) []byte, color bool) error {
			if len(list) == 0 {
				_, err := fmt.Fprintln(w, "no errors, no warnings")
				return err
			}
			return diag.WriteText(w, list, source, color)
		},
		"json":        func(w io.Writer, l diag.List, _ func(string) []byte, _ bool) error { return diag.WriteJSON(w, l) },
		"sarif":       func(w io.Writer, l diag.List, _ func(string) []byte, _ bool) error { return diag.WriteSARIF(w, l, "refline", version) },
		"junit":       func(w io.Writer, l diag.List, _ func(string) []byte, _ bool) error { return diag.WriteJUnit(w, l) },
		"codequality": func(w io.Writer, l diag.List, _ func(string) []byte, _ bool) error { return diag.WriteCodeQuality(w, l) },
	}
}

// readSources keeps the bytes of the files that findings are about, as far as
// they are files here.
func (c *compiled) readSources(list diag.List, into map[string][]byte) {
	for _, f := range list {
		if _, known := into[f.File]; known || f.File == "" {
			continue
		}
		data, err := os.ReadFile(c.onDisk(f.File))
		if err != nil {
			data = nil
		}
		into[f.File] = data
	}
}

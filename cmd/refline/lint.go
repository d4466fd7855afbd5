package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
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

func runLint(ctx context.Context, e *env, o *lintOptions, files []string) error {
	if o.json {
		o.format = "json"
	}
	format := diag.Format(o.format)
	if !slices.Contains(diag.Formats(), format) {
		return usagef("--format %q is not one of text, json, sarif, junit, codequality", o.format)
	}
	l := linter{e: e, o: o, named: len(files) > 0, read: map[string]func() ([]byte, error){}}
	if !l.named || o.file != "" {
		files = append([]string{o.file}, files...)
	}
	for _, file := range files {
		if err := l.lint(ctx, file); err != nil {
			return err
		}
	}
	l.found = l.found.Sort()
	p := e.printer()
	p.Source = l.source
	if err := p.Print(e.stdout, format, l.found); err != nil {
		return err
	}
	if format == diag.Text && len(l.found) == 0 {
		fmt.Fprintln(e.stdout, "no errors, no warnings")
	}
	return verdictOf(l.found, o.strict)
}

// verdictOf is the error for the exit code of findings that were printed.
func verdictOf(found diag.List, strict bool) error {
	failed, warned := found.Count()
	if failed > 0 || strict && warned > 0 {
		return errShown
	}
	return nil
}

// linter checks files one after the other.
type linter struct {
	e     *env
	o     *lintOptions
	named bool // the files are arguments
	found diag.List
	read  map[string]func() ([]byte, error) // the files that findings name
}

// lint adds the findings of one file. An error ends everything.
func (l *linter) lint(ctx context.Context, file string) error {
	opts := l.o.pipelineOptions
	opts.file = file
	if err := opts.readStdin(l.e); err != nil {
		return err
	}
	if file != "" && opts.content == nil && opts.repo == "" {
		opts.dir = filepath.Dir(realFile(l.e.path(file)))
	}
	c, err := compileAny(ctx, l.e, &opts)
	var usage errs.UsageError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		defer c.close()
		read := func(name string) ([]byte, error) {
			if opts.content != nil && name == opts.file {
				return opts.content, nil
			}
			return c.source(ctx)(name)
		}
		l.add(otherKind(c, read, fragment(c, l.named)), l.outside(ctx, c, opts.dir), read)
	case !l.named || errors.As(err, &usage):
		return err
	default: // the other files are still checked
		l.add(unreadable(file, err), "", sourceOf(err, nil))
	}
	return nil
}

// outside is the way from the current folder to the root of the working tree of a
// file, "" if the current folder is in it: then paths are relative to the root, as
// reports for a merge request want them.
func (l *linter) outside(ctx context.Context, c *compiled, dir string) string {
	if dir == "" || c.root == "" {
		return ""
	}
	if w, err := git.Open(ctx, l.e.dir, l.e.environ()); err == nil && git.RealPath(w.Root) == git.RealPath(c.root) {
		return ""
	}
	way, err := filepath.Rel(git.RealPath(l.e.dir), git.RealPath(c.root))
	if err != nil || strings.HasPrefix(way, filepath.Join("..", "..")) {
		return filepath.ToSlash(c.root)
	}
	return filepath.ToSlash(way)
}

// add takes findings over. prefix leads to the root that paths of the project are
// relative to; read gives the files by their names in the findings.
func (l *linter) add(list diag.List, prefix string, read func(string) ([]byte, error)) {
	for _, f := range list {
		name := f.Place.File
		shown := name
		if prefix != "" && !strings.Contains(name, ":") { // not of another project
			shown = path.Join(prefix, name)
		}
		f.Place.File = shown
		if read != nil && l.read[shown] == nil {
			l.read[shown] = sync.OnceValues(func() ([]byte, error) { return read(name) })
		}
		l.found = append(l.found, f)
	}
}

// source reads a file that findings name, for the line under them.
func (l *linter) source(file string) ([]byte, error) {
	if read := l.read[file]; read != nil {
		return read()
	}
	return nil, errs.E(errs.NotFound, "no file %s", file)
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

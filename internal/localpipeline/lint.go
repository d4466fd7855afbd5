package localpipeline

import (
	"bytes"
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pythonenv"
	"refline/internal/termview"
)

// Lint checks files one after the other and returns their findings, and what reads
// the files that they name. Without files it checks that of the options. With
// several an error of one is a finding.
func Lint(ctx context.Context, p *Place, o Options, files []string) (diag.List, func(file string) ([]byte, error), error) {
	l := linter{place: p, options: o, named: len(files) > 0, read: map[string]func() ([]byte, error){}}
	if !l.named || o.File != "" {
		files = append([]string{o.File}, files...)
	}
	for _, file := range files {
		if err := l.lint(ctx, file); err != nil {
			return nil, nil, err
		}
	}
	return l.found.Sort(), l.source, nil
}

// linter checks files one after the other.
type linter struct {
	place   *Place
	options Options
	named   bool // the files are arguments
	found   diag.List
	read    map[string]func() ([]byte, error) // the files that findings name
}

// lint adds the findings of one file. An error ends everything.
func (l *linter) lint(ctx context.Context, file string) error {
	opts := l.options
	opts.File = file
	if err := opts.readStdin(l.place); err != nil {
		return err
	}
	if file != "" && opts.Content == nil && opts.Repo == "" {
		opts.Dir = filepath.Dir(realFile(l.place.path(file)))
	}
	c, err := CompileAny(ctx, l.place, &opts)
	var usage errs.UsageError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil:
		defer c.Close()
		read := func(name string) ([]byte, error) {
			if opts.Content != nil && name == opts.File {
				return opts.Content, nil
			}
			return c.Source(ctx)(name)
		}
		l.add(otherKind(c, read, fragment(c, l.named)), l.outside(ctx, c, opts.Dir), read)
	case !l.named || errors.As(err, &usage):
		return err
	default: // the other files are still checked
		l.add(Unreadable(file, err), "", diag.SourceOf(err, nil))
	}
	return nil
}

// outside is the way from the current folder to the root of the working tree of a
// file, "" if the current folder is in it: then paths are relative to the root, as
// reports for a merge request want them.
func (l *linter) outside(ctx context.Context, c *Compiled, dir string) string {
	if dir == "" || c.Root == "" {
		return ""
	}
	if w, err := git.Open(ctx, l.place.Dir, l.place.Environ()); err == nil && git.RealPath(w.Root) == git.RealPath(c.Root) {
		return ""
	}
	way, err := filepath.Rel(git.RealPath(l.place.Dir), git.RealPath(c.Root))
	if err != nil || strings.HasPrefix(way, filepath.Join("..", "..")) {
		return filepath.ToSlash(c.Root)
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

// Unreadable makes findings of an error that kept a file from being compiled.
func Unreadable(file string, err error) diag.List {
	var list *diag.Failure
	if errors.As(err, &list) {
		return list.Findings
	}
	return diag.List{{Place: diag.Place{File: file}, Level: diag.Error, Rule: "file", Message: err.Error()}}
}

// fragment makes a warning of a file without jobs that was named: it may be
// there to be included.
func fragment(c *Compiled, named bool) diag.List {
	list := slices.Clone(c.Result.Findings)
	for i := range list {
		if named && list[i].Rule == "no-jobs" {
			list[i].Level = diag.Warning
		}
	}
	return list
}

// otherKind looks at what the file is if it is not a configuration: findings of
// a pipeline say nothing to whoever wrote a template, and a script has metadata.
func otherKind(c *Compiled, read func(string) ([]byte, error), list diag.List) diag.List {
	failed, _ := list.Count()
	if failed == 0 && !c.Script {
		return list
	}
	text, err := read(c.File)
	switch {
	case err != nil:
		return list
	case c.Script && c.Pipeline != nil && c.Pipeline.Jobs[0].Python != "":
		var wrong *pythonenv.MetadataError
		if errors.As(pythonenv.CheckMetadata(c.File, string(text)), &wrong) {
			at := diag.Place{File: c.File, Line: wrong.Line, Column: max(wrong.Column, 1)}
			list = append(list, diag.Finding{Place: at, Level: diag.Error, Rule: "metadata", Message: wrong.Text})
		}
	case failed > 0 && isTemplate(text):
		return diag.List{{
			Place: diag.Place{File: c.File, Line: 1, Column: 1}, Level: diag.Error, Rule: "file",
			Message: "this is a CloudFormation template, not a pipeline; check it: refline stack lint " + termview.ShellWord(c.File),
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

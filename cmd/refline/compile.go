package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/checkout"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/source"
)

// compiled is a pipeline and what its jobs start from.
type compiled struct {
	*definition.Definition
	project   source.Project // the working tree, or a commit of a repository
	checkout  checkout.Checkout
	pretence  *source.Pretence // nil: the code is that of the ref
	root      string           // of the working tree; empty with --repo
	named     []string         // jobs of the command line
	inputs    map[string]any
	variables []secret.Variable // of the project

	// Of the definition, for commands that show it.
	file       string
	result     *gitlabci.Result
	pipeline   *pipeline.Pipeline
	notCreated string
	script     bool
}

// forRun is what a run adds to the options of a pipeline.
type forRun struct {
	number   int64
	words    []string            // of the command line: jobs, or a file before them
	secrets  []pipeline.Variable // --secret
	withheld []string            // variables of the project that jobs do not get
}

// compile makes the pipeline that the options mean; its errors are the error.
func compile(ctx context.Context, e *env, o *pipelineOptions) (*compiled, error) {
	return compileRun(ctx, e, o, nil)
}

// compileRun is compile for a run, whose jobs get the values of masked variables.
func compileRun(ctx context.Context, e *env, o *pipelineOptions, run *forRun) (*compiled, error) {
	c, err := compileFor(ctx, e, *o, run)
	if err != nil {
		return nil, err
	}
	if err := c.result.Findings.Err(); err != nil {
		c.close()
		return nil, withSource(err, c.source(ctx))
	}
	return c, nil
}

// compileAny is compile for those who want the findings themselves.
func compileAny(ctx context.Context, e *env, o *pipelineOptions) (*compiled, error) {
	return compileFor(ctx, e, *o, nil)
}

func compileFor(ctx context.Context, e *env, o pipelineOptions, run *forRun) (*compiled, error) {
	o.includes = o.includes.withDefaults(e.getenv)
	if err := o.readStdin(e); err != nil {
		return nil, err
	}
	request, err := o.request(e)
	if err != nil {
		return nil, err
	}
	c := &compiled{}
	if err := c.openSource(ctx, e, &o, run); err != nil {
		return nil, err
	}
	if err := c.compile(ctx, e, &o, request, run); err != nil {
		c.close()
		return nil, withSource(err, c.source(ctx))
	}
	return c, nil
}

// readStdin takes the configuration from stdin for -f -.
func (o *pipelineOptions) readStdin(e *env) error {
	const most = 8 << 20 // far above what a configuration may have
	if o.file != "-" || o.content != nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(e.stdin, most+1))
	switch {
	case err != nil:
		return errs.E(errs.Unavailable, "-f -: stdin cannot be read: %w", err)
	case len(data) > most:
		return errs.E(errs.Invalid, "-f -: stdin has more than %d MiB", most>>20)
	case len(data) == 0:
		return errs.E(errs.Invalid, "-f -: stdin is empty; pipe a pipeline into it")
	}
	o.file, o.content = "stdin.yml", data
	return nil
}

// request is what the flags alone say about a pipeline.
func (o *pipelineOptions) request(e *env) (r definition.Request, err error) {
	r = definition.Request{Content: o.content, Created: e.now(), Changed: o.changed}
	if r.Trigger, err = eventNamed(o.event); err != nil {
		return r, err
	}
	if o.target != "" && r.Trigger != pipeline.TriggerMergeRequest {
		return r, usagef("--target %s is for --event merge_request", o.target)
	}
	r.Target, r.Registry = o.target, e.getenv("REFLINE_REGISTRY")
	if err = o.checkBefore(); err != nil {
		return r, err
	}
	if r.Variables.Pipeline, err = o.pipelineVariables(e); err != nil {
		return r, err
	}
	r.Inputs, err = o.inputValues()
	return r, err
}

func (c *compiled) openSource(ctx context.Context, e *env, o *pipelineOptions, run *forRun) error {
	if o.repo == "" && o.commit != "" {
		if w, err := git.Open(ctx, e.dir, e.environ()); err == nil && !w.InRepository() {
			return errs.E(errs.Invalid, "--commit %s: %s is not in a git repository; name one: --repo URL", o.commit, w.Root)
		}
		o.repo = "." // a commit of this repository
	}
	if o.repo != "" {
		r, files, err := checkout.OpenCommit(ctx, checkoutPlace(e, o), o.repo, o.namedRef(), o.depth)
		if err != nil {
			return err
		}
		c.project, c.checkout = r, files
		return nil
	}
	file := o.file
	if file == "" && run != nil && len(run.words) > 0 {
		file = run.words[0]
	}
	t, files, err := openWorkingTree(ctx, e, o, file)
	if err != nil {
		return err
	}
	c.project, c.checkout, c.root = t, files, t.Git().Root
	if run != nil {
		t.Prefetch()
	}
	// A ref of the environment may be one that a shallow clone does not have.
	if p := t.Pretence(ctx); p != nil && (o.branch+o.tag+o.ref != "" || p.Commit != "") {
		c.pretence = p
	}
	return nil
}

// compile finds the file, adds the project's variables, and compiles.
func (c *compiled) compile(ctx context.Context, e *env, o *pipelineOptions, r definition.Request, run *forRun) error {
	var err error
	if r.File, err = c.findFile(ctx, e, o); err != nil {
		return err
	}
	v, err := e.secrets().Variables(ctx, secretsource.Variables{File: o.variables, Repo: o.repo})
	if err != nil {
		return err
	}
	r.Source, c.variables = c.project, v.File.Variables
	r.Variables.Project, r.Variables.Protected = v.File.Variables, v.Protected
	if run != nil {
		r.PipelineID, r.Variables.Job = run.number, run.secrets
		r.Variables.Withheld, r.Variables.Reveal = run.withheld, true
		if r.File, c.named, err = c.takeFile(ctx, e, o, r, run.words); err != nil {
			return err
		}
	}
	c.inputs = r.Inputs
	if c.Definition, err = definition.Compile(ctx, r); err != nil {
		return err
	}
	d := c.Definition
	c.file, c.result, c.pipeline, c.notCreated, c.script = d.File, d.Result, d.Pipeline, d.NotCreated, d.Script
	return nil
}

// findFile gives the path of the file that -f names from the root of the
// repository; "" for the default.
func (c *compiled) findFile(ctx context.Context, e *env, o *pipelineOptions) (string, error) {
	if o.file == "" || o.content != nil {
		return o.file, nil
	}
	name, where := o.file, c.project.At()
	if c.root != "" {
		rel, err := filepath.Rel(git.RealPath(c.root), realFile(e.path(name)))
		if err != nil || !filepath.IsLocal(rel) {
			return "", errs.E(errs.Invalid, "-f %s is outside of %s; jobs run at the root of one repository", o.file, c.root)
		}
		name, where = filepath.ToSlash(rel), c.project.Name()
	}
	name = strings.TrimPrefix(name, "./")
	if info, err := os.Stat(filepath.Join(c.root, filepath.FromSlash(name))); c.root != "" && err == nil && !info.Mode().IsRegular() {
		return "", errs.E(errs.Invalid, "%s is no regular file; name the pipeline or script: -f FILE", o.file)
	}
	found, err := c.project.Exists(ctx, name)
	if err == nil && !found {
		err = errs.E(errs.NotFound, "no file %s in %s", name, where)
	}
	return name, err
}

// takeFile takes the first word of the command line as the file to run, if no
// option names one, it is a file, and no job of the default pipeline has this
// name.
func (c *compiled) takeFile(ctx context.Context, e *env, o *pipelineOptions, r definition.Request, words []string) (file string, jobs []string, err error) {
	if o.file != "" || o.content != nil || len(words) == 0 {
		return r.File, words, nil
	}
	named := *o
	named.file = words[0]
	if file, err = c.findFile(ctx, e, &named); err != nil {
		if _, missing := os.Stat(e.path(words[0])); errs.Is(err, errs.Invalid) && missing == nil && strings.ContainsRune(words[0], filepath.Separator) {
			return "", nil, err
		}
		return r.File, words, nil // a job, or a mistake that is reported as one
	}
	if d, err := definition.Compile(ctx, r); err == nil && d.Explain(words[0]) != nil {
		return r.File, words, nil
	}
	return file, words[1:], nil
}

// realFile follows the links of a path, but not that of a configuration itself: as
// on GitLab, such a link is a file that holds its target.
func realFile(path string) string {
	if gitlabci.IsPipelineFile(path) {
		return filepath.Join(git.RealPath(filepath.Dir(path)), filepath.Base(path))
	}
	return git.RealPath(path)
}

// source reads the files that findings name, for the line under them.
func (c *compiled) source(ctx context.Context) func(file string) ([]byte, error) {
	loader := c.project.Loader(gitlabci.Facts{})
	return func(file string) ([]byte, error) {
		data, _, err := loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: file})
		return data, err
	}
}

func (c *compiled) close() { c.checkout.Close() }

// what names the commit and how many files differ from it.
func (c *compiled) what() string {
	at := c.project.At()
	if c.pretence != nil {
		kind := "branch"
		if c.Facts.Tag != "" {
			kind = "tag"
		}
		at = fmt.Sprintf("as if on %s %s (code of %s %s)", kind, c.Ref(), c.pretence.Code, short(c.Facts.SHA))
	}
	if n := c.checkout.ChangedFiles(); n > 0 {
		return at + " + " + plural(n, "changed file")
	}
	return at
}

// notePretence names the command that runs the ref itself, if it exists.
func (c *compiled) notePretence(e *env, o pipelineOptions) {
	if c.pretence == nil || c.pretence.Commit == "" {
		return
	}
	o.repo = "."
	e.notef("%s is at %s here; to run its own code: refline run%s", c.Ref(), short(c.pretence.Commit), o.again())
}

// where names the ref and event.
func (c *compiled) where() string { return c.Where() }

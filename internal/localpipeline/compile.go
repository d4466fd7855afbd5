package localpipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/checkout"
	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/secretsource"
	"refline/internal/source"
	"refline/internal/termview"
)

// Compiled is a pipeline and what its jobs start from.
type Compiled struct {
	*definition.Definition
	Project          source.Project // the working tree, or a commit of a repository
	Checkout         checkout.Checkout
	Pretence         *source.Pretence // nil: the code is that of the ref
	Root             string           // of the working tree; empty with a repository
	Named            []string         // jobs of the command line
	Inputs           map[string]any
	ProjectVariables []secret.Variable
}

// Run is what a run adds to the options of a pipeline.
type Run struct {
	Number   int64
	Words    []string            // of the command line: jobs, or a file before them
	Secrets  []pipeline.Variable // --secret
	Withheld []string            // variables of the project that jobs do not get
}

// Compile makes the pipeline that the options mean. Errors of the configuration are
// the error.
func Compile(ctx context.Context, p *Place, o *Options) (*Compiled, error) {
	return CompileRun(ctx, p, o, nil)
}

// CompileRun is [Compile] for a run, whose jobs get the values of masked variables.
func CompileRun(ctx context.Context, p *Place, o *Options, run *Run) (*Compiled, error) {
	c, err := compileFor(ctx, p, *o, run)
	if err != nil {
		return nil, err
	}
	if err := c.Result.Findings.Err(); err != nil {
		c.Close()
		return nil, diag.WithSource(err, c.Source(ctx))
	}
	return c, nil
}

// CompileAny is [Compile], with the findings in the result.
func CompileAny(ctx context.Context, p *Place, o *Options) (*Compiled, error) {
	return compileFor(ctx, p, *o, nil)
}

func compileFor(ctx context.Context, p *Place, o Options, run *Run) (*Compiled, error) {
	o.Includes = o.Includes.withDefaults(p.Getenv)
	if err := o.readStdin(p); err != nil {
		return nil, err
	}
	request, err := o.request(p)
	if err != nil {
		return nil, err
	}
	c := &Compiled{}
	if err := c.openSource(ctx, p, &o, run); err != nil {
		return nil, err
	}
	if err := c.compile(ctx, p, &o, request, run); err != nil {
		c.Close()
		return nil, diag.WithSource(err, c.Source(ctx))
	}
	return c, nil
}

// readStdin takes the configuration from stdin for -f -.
func (o *Options) readStdin(p *Place) error {
	const most = 8 << 20 // far above what a configuration may have
	if o.File != "-" || o.Content != nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(p.Stdin, most+1))
	switch {
	case err != nil:
		return errs.E(errs.Unavailable, "-f -: stdin cannot be read: %w", err)
	case len(data) > most:
		return errs.E(errs.Invalid, "-f -: stdin has more than %d MiB", most>>20)
	case len(data) == 0:
		return errs.E(errs.Invalid, "-f -: stdin is empty; pipe a pipeline into it")
	}
	o.File, o.Content = "stdin.yml", data
	return nil
}

// request is what the flags alone say about a pipeline.
func (o *Options) request(p *Place) (r definition.Request, err error) {
	r = definition.Request{Content: o.Content, Created: p.Now(), Changed: o.Changed}
	if r.Trigger, err = eventNamed(o.Event); err != nil {
		return r, err
	}
	if o.Target != "" && r.Trigger != pipeline.TriggerMergeRequest {
		return r, errs.Usage("--target %s is for --event merge_request", o.Target)
	}
	r.Target, r.Registry = o.Target, p.Getenv("REFLINE_REGISTRY")
	if r.Variables.Pipeline, err = o.pipelineVariables(p); err != nil {
		return r, err
	}
	r.Inputs, err = o.inputValues()
	return r, err
}

func (c *Compiled) openSource(ctx context.Context, p *Place, o *Options, run *Run) error {
	if err := o.resolveBefore(ctx, p); err != nil {
		return err
	}
	if o.Repo == "" && o.Commit != "" {
		if w, err := git.Open(ctx, p.Dir, p.Environ()); err == nil && !w.InRepository() {
			return errs.E(errs.Invalid, "--commit %s: %s is not in a git repository; name one: --repo URL", o.Commit, w.Root)
		}
		o.Repo = "." // a commit of this repository
	}
	if o.Repo != "" {
		r, files, err := checkout.OpenCommit(ctx, o.checkoutPlace(p), o.Repo, o.namedRef(), o.Depth)
		if err != nil {
			return err
		}
		c.Project, c.Checkout = r, files
		return nil
	}
	file := o.File
	if file == "" && run != nil && len(run.Words) > 0 {
		file = run.Words[0]
	}
	t, files, err := openWorkingTree(ctx, p, o, file)
	if err != nil {
		return err
	}
	c.Project, c.Checkout, c.Root = t, files, t.Git().Root
	if run != nil {
		t.Prefetch()
	}
	// A ref of the environment may be one that a shallow clone does not have.
	if p := t.Pretence(ctx); p != nil && (o.Branch+o.Tag+o.Ref != "" || p.Commit != "") {
		c.Pretence = p
	}
	return nil
}

// compile finds the file, adds the project's variables, and compiles.
func (c *Compiled) compile(ctx context.Context, p *Place, o *Options, r definition.Request, run *Run) error {
	var err error
	if r.File, err = c.findFile(ctx, p, o); err != nil {
		return err
	}
	v, err := p.Secrets.Variables(ctx, secretsource.Variables{File: o.Variables, Repo: o.Repo})
	if err != nil {
		return err
	}
	r.Source, c.ProjectVariables = c.Project, v.File.Variables
	r.Variables.Project, r.Variables.Protected = v.File.Variables, v.Protected
	if run != nil {
		r.PipelineID, r.Variables.Job = run.Number, run.Secrets
		r.Variables.Withheld, r.Variables.Reveal = run.Withheld, true
		if r.File, c.Named, err = c.takeFile(ctx, p, o, r, run.Words); err != nil {
			return err
		}
	}
	c.Inputs = r.Inputs
	c.Definition, err = definition.Compile(ctx, r)
	return err
}

// findFile gives the path of the file that -f names from the root of the
// repository, with the flow that it names; "" for the default.
func (c *Compiled) findFile(ctx context.Context, p *Place, o *Options) (string, error) {
	if o.File == "" || o.Content != nil {
		return o.File, nil
	}
	named, flow := definition.SplitFlow(o.File)
	name, where := named, c.Project.At()
	if c.Root != "" {
		rel, err := filepath.Rel(git.RealPath(c.Root), realFile(p.path(name)))
		if err != nil || !filepath.IsLocal(rel) {
			return "", errs.E(errs.Invalid, "-f %s is outside of %s; jobs run at the root of one repository", o.File, c.Root)
		}
		name, where = filepath.ToSlash(rel), c.Project.Name()
	}
	name = strings.TrimPrefix(name, "./")
	if err := c.checkRegular(named, filepath.Join(c.Root, filepath.FromSlash(name))); err != nil {
		return "", err
	}
	found, err := c.Project.Exists(ctx, name)
	if err == nil && !found {
		err = errs.E(errs.NotFound, "no file %s in %s%s", name, where, c.nearFile(p, named))
	}
	return definition.JoinFlow(name, flow), err
}

// checkRegular refuses what cannot be read as a file of the working tree.
func (c *Compiled) checkRegular(shown, path string) error {
	if c.Root == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errs.E(errs.Invalid, "%s is not a regular file; name the pipeline or script: -f FILE", shown)
	}
	if target, lerr := os.Readlink(path); err != nil && lerr == nil {
		return errs.E(errs.Invalid, "%s is a symbolic link to %s, which does not exist; mend the link, or name another file: -f FILE", shown, target)
	}
	return nil
}

// realFile follows the links of a path, but not that of a configuration itself: as
// on GitLab, such a link is a file that holds its target.
func realFile(path string) string {
	if gitlabci.IsPipelineFile(path) {
		return filepath.Join(git.RealPath(filepath.Dir(path)), filepath.Base(path))
	}
	return git.RealPath(path)
}

// Source reads the files that findings name, for the line under them.
func (c *Compiled) Source(ctx context.Context) func(file string) ([]byte, error) {
	loader := c.Project.Loader(gitlabci.Facts{})
	return func(file string) ([]byte, error) {
		data, _, err := loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: file})
		return data, err
	}
}

// Close ends the use of the code.
func (c *Compiled) Close() { c.Checkout.Close() }

// What names the commit and how many files differ from it.
func (c *Compiled) What() string {
	at := c.Project.At()
	if c.Pretence != nil {
		kind := "branch"
		if c.Facts.Tag != "" {
			kind = "tag"
		}
		at = fmt.Sprintf("as if on %s %s (code of %s %s)", kind, c.Ref(), c.Pretence.Code, Short(c.Facts.SHA))
	}
	if n := c.Checkout.ChangedFiles(); n > 0 {
		return at + " + " + termview.Count(n, "changed file")
	}
	return at
}

// PretenceNote says of a pipeline that only pretends to be on a ref how to run the
// code of the ref itself, or that there is no such ref; "" if nothing is pretended.
func (c *Compiled) PretenceNote(o Options) string {
	switch {
	case c.Pretence == nil:
		return ""
	case c.Pretence.Commit == "":
		return fmt.Sprintf("%s is not in this repository: rules and variables are those of such a ref, the code is that of %s", c.Ref(), c.Pretence.Code)
	}
	o.Repo = "."
	return fmt.Sprintf("%s is at %s here; to run its own code: refline run%s", c.Ref(), Short(c.Pretence.Commit), o.Again())
}

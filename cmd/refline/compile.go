package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"refline/internal/diag"
	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/jsonnet"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/source"
	"refline/internal/variable"
)

// compiled is a pipeline and what it was made from.
type compiled struct {
	project    source.Project // the working tree, or a commit of a repository
	checkout   checkout
	loader     gitlabci.Loader
	file       string
	event      pipeline.Trigger
	facts      gitlabci.Facts
	input      gitlabci.Input
	result     *gitlabci.Result
	pipeline   *pipeline.Pipeline
	notCreated string
	root       string // of the working tree; empty with --repo
	script     bool   // the file is a script, not a configuration
	secrets    *mask.Set
	masked     []pipeline.Variable // --secret
	kept       keptVariables
}

// compile makes the pipeline that the options mean; its errors are the error.
func compile(ctx context.Context, e *env, o *pipelineOptions) (*compiled, error) {
	c, err := compileAny(ctx, e, o)
	if err != nil {
		return nil, err
	}
	if err := c.result.Findings.Err(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// compileAny is compile for those who want the findings themselves.
func compileAny(ctx context.Context, e *env, o *pipelineOptions) (*compiled, error) {
	event, err := eventNamed(o.event)
	if err != nil {
		return nil, err
	}
	if err := o.checkBefore(); err != nil {
		return nil, err
	}
	o.includes = o.includes.withDefaults(e.getenv)
	c := &compiled{event: event, secrets: &mask.Set{}}
	if err := c.openCode(ctx, e, o); err != nil {
		return nil, err
	}
	e.source = func(file string) ([]byte, error) { return c.source(ctx, file) }
	c.loader = c.project.Loader(c.facts)
	if err := c.read(ctx, e, o); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *compiled) openCode(ctx context.Context, e *env, o *pipelineOptions) error {
	if o.repo != "" {
		began := time.Now()
		r, err := openRepository(ctx, e, o)
		if err != nil {
			return err
		}
		c.project, c.checkout = r, &repositoryCheckout{e: e, from: r, began: began}
		return nil
	}
	if o.commit != "" {
		return usagef("--commit needs --repo; for a commit of this repository: --repo . --commit %s", o.commit)
	}
	t, err := openWorkingTree(ctx, e, o)
	if err != nil {
		return err
	}
	c.project, c.checkout, c.root = t, &worktreeCheckout{e: e, from: t}, t.Git().Root
	if o.runNumber > 0 {
		t.Prefetch()
	}
	return nil
}

// read finds the file, gathers what decides the pipeline, and compiles.
func (c *compiled) read(ctx context.Context, e *env, o *pipelineOptions) error {
	var err error
	if c.file, err = c.findFile(ctx, e, o); err != nil {
		return err
	}
	if c.facts, err = c.project.Facts(ctx); err != nil {
		return err
	}
	if err := c.loadVariables(ctx, e, o); err != nil {
		return err
	}
	c.facts.Trigger, c.facts.ConfigPath, c.facts.PipelineID = c.event, c.file, max(o.runNumber, 1)
	c.facts.Created = e.now()
	if c.event == pipeline.TriggerMergeRequest {
		title, _, _ := strings.Cut(c.facts.Message, "\n")
		c.facts.MergeRequest = &gitlabci.MergeRequest{
			IID: 1, Title: title, SourceBranch: c.facts.Branch, TargetBranch: c.facts.DefaultBranch, SourceSHA: c.facts.SHA,
		}
	}
	if c.event != pipeline.TriggerPush || c.facts.Tag != "" {
		c.facts.BeforeSHA = "" // only a push to a branch has one
	}
	c.loader = c.project.Loader(c.facts)
	c.input = gitlabci.Input{
		Root: gitlabci.Source{Kind: gitlabci.SourceLocal, Path: c.file}, Content: o.content, Loader: c.loader,
		Predefined: gitlabci.Predefined(c.facts), Project: c.kept.of(""), ProjectFor: c.kept.of,
		Changed: c.project.Changed(ctx, c.facts),
	}
	if len(o.changed) > 0 {
		c.input.Changed = gitlabci.Changed{
			Known: true, Files: o.changed,
			CompareTo: func(string) ([]string, error) { return o.changed, nil },
		}
	}
	if c.input.Pipeline, err = o.pipelineVariables(e); err != nil {
		return err
	}
	if c.input.Inputs, err = o.inputValues(); err != nil {
		return err
	}
	return c.compileFile(ctx)
}

// findFile gives the configuration's path from the root of the repository.
func (c *compiled) findFile(ctx context.Context, e *env, o *pipelineOptions) (string, error) {
	if o.content != nil {
		return o.file, nil
	}
	if o.file == "" {
		for _, name := range []string{".gitlab-ci.yml", ".gitlab-ci.jsonnet"} {
			if c.project.Exists(ctx, name) {
				return name, nil
			}
		}
		if near := ".gitlab-ci.yaml"; c.project.Exists(ctx, near) {
			return "", errs.E(errs.NotFound, "no .gitlab-ci.yml in %s, but %s, which GitLab does not look at: rename it, or name it: -f %s", c.place(), near, near)
		}
		return "", errs.E(errs.NotFound, "no .gitlab-ci.yml in %s; name the pipeline or script: -f FILE", c.place())
	}
	name := o.file
	if c.root != "" {
		rel, err := filepath.Rel(source.RealPath(c.root), source.RealPath(e.path(name)))
		if err != nil || !filepath.IsLocal(rel) {
			return "", errs.E(errs.Invalid, "-f %s is outside of %s; jobs run at the root of one repository", o.file, c.root)
		}
		name = filepath.ToSlash(rel)
	}
	name = strings.TrimPrefix(name, "./")
	if info, err := os.Stat(filepath.Join(c.root, filepath.FromSlash(name))); c.root != "" && err == nil && !info.Mode().IsRegular() {
		return "", errs.E(errs.Invalid, "%s is no regular file; name the pipeline or script: -f FILE", o.file)
	}
	if !c.project.Exists(ctx, name) {
		return "", errs.E(errs.NotFound, "no file %s in %s", name, c.place())
	}
	return name, nil
}

// place is where files are looked for: the working tree, or a commit of a
// repository.
func (c *compiled) place() string {
	if c.root == "" {
		return c.project.At()
	}
	return c.project.Name()
}

func (c *compiled) compileFile(ctx context.Context) error {
	var err error
	switch {
	case strings.HasSuffix(c.file, ".jsonnet"):
		err = c.evaluate(ctx)
	case c.input.Content == nil && !strings.HasSuffix(c.file, ".yml") && !strings.HasSuffix(c.file, ".yaml"):
		done, err := c.compileScript(ctx)
		if done || err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if c.result, err = gitlabci.Compile(ctx, c.input); err != nil {
		return err
	}
	c.pipeline, c.notCreated = c.result.Pipeline, c.result.NotCreated
	return nil
}

// evaluate turns a Jsonnet configuration into the tree that YAML would give.
// The predefined variables and those of the run are its external variables.
func (c *compiled) evaluate(ctx context.Context) error {
	in := jsonnet.Input{File: c.file, Read: func(path string) ([]byte, error) {
		data, _, err := c.input.Loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: path})
		return data, err
	}}
	for _, v := range pipeline.Merge(c.input.Predefined, c.input.Pipeline) {
		in.External = append(in.External, jsonnet.Binding{Name: v.Name, Value: v.Value})
	}
	res, err := jsonnet.Evaluate(ctx, in)
	var failure *diag.Failure
	if errors.As(err, &failure) {
		for i := range failure.Findings { // here a variable is given by another flag
			failure.Findings[i].Hint = pipelineHint(failure.Findings[i].Hint)
		}
	}
	if err != nil {
		return err
	}
	c.input.Content = []byte(res.Text)
	// Finding the places is a second evaluation: only when one is wanted.
	places := sync.OnceValue(func() jsonnet.Locations {
		l, err := jsonnet.Locate(ctx, in, res)
		if err != nil {
			return jsonnet.Locations{"": {File: in.File, Line: 1}}
		}
		return l
	})
	c.input.Positions = func(path []string) (diag.Place, bool) {
		pointer := ""
		for _, step := range path {
			pointer += "/" + jsonnet.Escape(step)
		}
		return places().At(pointer), true
	}
	return nil
}

// pipelineHint turns advice of the render command into that of a pipeline's.
func pipelineHint(hint string) string {
	if strings.Contains(hint, "--max-stack") {
		return "the recursion does not end"
	}
	return strings.ReplaceAll(hint, "--ext-str ", "--var ")
}

// compileScript makes a pipeline of one job when the file is a script.
func (c *compiled) compileScript(ctx context.Context) (bool, error) {
	data, _, err := c.loader.Read(ctx, c.input.Root)
	if err != nil {
		return false, err
	}
	inputs := make(map[string]string, len(c.input.Inputs))
	for k, v := range c.input.Inputs {
		inputs[k] = fmt.Sprint(v)
	}
	if !engine.IsScript(c.file, data) {
		c.input.Content = data
		return false, nil
	}
	p, err := engine.ScriptPipeline(c.file, data, inputs)
	if err != nil {
		return false, err
	}
	c.script = true
	c.pipeline = p
	c.result = &gitlabci.Result{Pipeline: p, Files: []gitlabci.Source{c.input.Root}}
	return true, nil
}

// variables are a job's, below and above those that are written in the
// configuration; see GitLab's order of precedence.
func (c *compiled) variables(j *pipeline.Job) (below, above []pipeline.Variable) {
	below = append(append(below, c.input.Predefined...), gitlabci.PipelineVariables(c.pipeline)...)
	below = append(below, gitlabci.JobVariables(j)...)
	above = pipeline.Merge(c.input.Instance, c.input.Group, c.kept.of(c.environmentOf(j)), c.input.Pipeline, c.masked)
	return below, above
}

// addSecrets takes --secret NAME and NAME=@FILE.
func (c *compiled) addSecrets(e *env, specs []string) error {
	for _, spec := range specs {
		name, from, ok := strings.Cut(spec, "=")
		value := ""
		switch {
		case !variable.ValidName(name):
			return usagef("--secret wants NAME or NAME=@FILE")
		case !ok:
			value = e.getenv(name)
			if value == "" {
				return errs.E(errs.NotFound, "--secret %s: the environment has no such variable, or an empty one; give a file instead: --secret %s=@FILE", name, name)
			}
		case strings.HasPrefix(from, "@"):
			data, err := os.ReadFile(e.path(from[1:]))
			if err != nil {
				return errs.E(errs.NotFound, "--secret %s: %w", name, err)
			}
			value = string(data)
		default:
			return usagef("--secret %s=…: a value on the command line would show in process lists; give it as NAME from the environment, or NAME=@FILE", name)
		}
		if err := c.secrets.Add(name, []byte(value)); err != nil {
			return errs.E(errs.Invalid, "--secret %s: %w", name, err)
		}
		e.noteWeak(name, []byte(value))
		c.masked = append(c.masked, pipeline.Variable{Name: name, Value: value, Masked: true, Raw: true})
	}
	return nil
}

func (c *compiled) close() { c.checkout.close() }

// what names the commit and how many files differ from it.
func (c *compiled) what() string {
	if n := c.checkout.changedFiles(); n > 0 {
		return c.project.At() + " + " + plural(n, "changed file")
	}
	return c.project.At()
}

func (c *compiled) tree(ctx context.Context, dir string, o *runOptions) (*engine.Tree, error) {
	if o.inPlace {
		if c.root == "" {
			return nil, usagef("--in-place needs a working tree; it excludes --repo")
		}
		return nil, nil
	}
	return c.checkout.tree(ctx, dir, o.checkoutOptions(pipeline.Merge(c.pipeline.Variables, c.input.Project, c.input.Pipeline)))
}

// ref is the branch or tag, for people.
func (c *compiled) ref() string {
	if c.facts.Tag != "" {
		return c.facts.Tag
	}
	return c.facts.Branch
}

// where names the ref and event: "branch main, event push".
func (c *compiled) where() string {
	switch {
	case c.facts.Tag != "":
		return fmt.Sprintf("tag %s, event %s", c.facts.Tag, c.event)
	case c.facts.Branch != "":
		return fmt.Sprintf("branch %s, event %s", c.facts.Branch, c.event)
	default:
		return fmt.Sprintf("no branch, event %s", c.event)
	}
}

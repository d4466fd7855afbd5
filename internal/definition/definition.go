// Package definition turns a trigger, a file of a source, inputs and variables
// into a compiled pipeline that is ready to run: [Compile]. A scheduler, a local
// run and every command that shows a pipeline call it, so that each rule is
// there once: which file is the pipeline, what a script becomes, which variables
// a job gets, and what a child pipeline takes from its parent.
//
// It reads through the source alone, changes nothing that it is given, and does
// not know where jobs run.
package definition

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"refline/internal/diag"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/pythoninputs"
	"refline/internal/secret"
	"refline/internal/source"
)

// Request says which pipeline is wanted.
type Request struct {
	Source source.Project
	// File is the path in the repository; "" for the default, see [DefaultFile]. Of a
	// Python file with several flows it may name one: FILE:FLOW.
	File    string
	Content []byte // the configuration itself; then File only names it

	Trigger    pipeline.Trigger
	Target     string // branch of a merge request; "" for the default branch
	PipelineID int64  // CI_PIPELINE_ID
	Created    time.Time
	Registry   string         // CI_REGISTRY; "" for that of gitlab.com's projects
	Inputs     map[string]any // for spec:inputs, or of a script
	Variables  Variables
	// Changed, when not empty, replaces the files that the source says changed.
	Changed []string
	// Unproven says that nobody vouches for the ref of the source, as in an image:
	// it is not protected, whatever it is called.
	Unproven bool
}

// Variables are those from outside of the configuration, by scope.
type Variables struct {
	Instance, Group []pipeline.Variable
	Project         []secret.Variable
	Protected       secret.ProtectedRefs // refs beside the default branch that get protected variables
	Pipeline        []pipeline.Variable  // of this pipeline: --var, trigger, schedule
	Job             []pipeline.Variable  // above all others; jobs get them, rules do not see them
	// Withheld names variables of the project that rules see and jobs do not
	// get: those that hold a key or token which jobs only use.
	Withheld []string
	// Reveal gives masked variables their values. Who only shows a pipeline
	// does not need them.
	Reveal bool
}

// Definition is a compiled pipeline and what it was made from.
type Definition struct {
	// Result is never nil; its Pipeline is, when there are errors or when no
	// pipeline is created.
	*gitlabci.Result
	File    string
	Trigger pipeline.Trigger
	Facts   gitlabci.Facts
	Script  bool   // File is a script, not a configuration
	Flow    string // the flow of a Python file that the request names
	// OtherInputs says that it takes inputs that are not declared.
	OtherInputs bool

	variables Variables
	input     gitlabci.Input
	loader    gitlabci.Loader // without the artifacts of a parent
	depth     int             // of child pipelines; 0 for a root
	command   string          // of a script, without inputs
	script    []pythoninputs.Input
}

// Compile makes the pipeline that the request means. Errors of the
// configuration are findings of the result, except those of Jsonnet.
func Compile(ctx context.Context, r Request) (*Definition, error) {
	d := &Definition{Trigger: r.Trigger, variables: r.Variables}
	d.File, d.Flow = SplitFlow(r.File)
	var err error
	if d.File == "" {
		if d.File, err = DefaultFile(ctx, r.Source); err != nil {
			return nil, err
		}
	}
	if d.Facts, err = r.Source.Facts(ctx); err != nil {
		return nil, err
	}
	d.completeFacts(ctx, r)
	d.takeSource(ctx, r)
	if err := d.compile(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Resume makes the definition of a run again from what it has kept, to compile
// the pipelines that its trigger jobs start. The request's source is at the run's
// commit; of the rest of it only the variables count.
func Resume(ctx context.Context, r Request, kept RunFacts, p *pipeline.Pipeline) *Definition {
	r.Variables.Pipeline = kept.Variables
	d := &Definition{File: kept.Facts.ConfigPath, Trigger: kept.Facts.Trigger, Facts: kept.Facts, variables: r.Variables, depth: kept.Depth}
	d.takeSource(ctx, r)
	d.Result = &gitlabci.Result{Pipeline: p}
	return d
}

// takeSource prepares to read what the request names.
func (d *Definition) takeSource(ctx context.Context, r Request) {
	d.loader = r.Source.Loader(d.Facts)
	d.input = gitlabci.Input{
		Root: gitlabci.Source{Kind: gitlabci.SourceLocal, Path: d.File}, Content: r.Content, Loader: d.loader,
		Predefined: gitlabci.Predefined(d.Facts), Instance: r.Variables.Instance, Group: r.Variables.Group,
		Project: d.projectVariables("", nil), Pipeline: r.Variables.Pipeline,
		ProjectFor: func(environment string) []pipeline.Variable { return d.projectVariables(environment, nil) },
		Inputs:     r.Inputs, Changed: r.Source.Changed(ctx, d.Facts),
	}
	if len(r.Changed) > 0 {
		d.input.Changed = gitlabci.Changed{
			Known: true, Files: r.Changed,
			CompareTo: func(string) ([]string, error) { return r.Changed, nil },
		}
	}
}

// completeFacts adds to what the source knows what only the request does.
func (d *Definition) completeFacts(ctx context.Context, r Request) {
	f := &d.Facts
	protected := r.Variables.Protected
	f.Protected = f.Protected && !protected.Only || f.Branch != "" && protected.Branch(f.Branch) || f.Tag != "" && protected.Tag(f.Tag)
	f.Protected = f.Protected && !r.Unproven
	f.ConfigPath, f.PipelineID, f.Created = d.File, max(r.PipelineID, 1), r.Created
	*f = f.As(r.Trigger)
	if m := f.MergeRequest; m != nil {
		m.TargetBranch = cmp.Or(r.Target, m.TargetBranch)
		if base, err := r.Source.MergeBase(ctx, m.TargetBranch); err == nil {
			m.BaseSHA = base
		}
		// As in GitLab, both branches are, or the merge request is not.
		f.Protected = f.Protected && (m.TargetBranch == f.DefaultBranch && !protected.Only || protected.Branch(m.TargetBranch))
	}
	f.Registry = r.Registry
}

// compile makes the pipeline of the file: a script, Jsonnet or YAML.
func (d *Definition) compile(ctx context.Context) error {
	switch {
	case isJsonnet(d.File):
		if err := d.evaluate(ctx); err != nil {
			return err
		}
	case d.input.Content == nil && !strings.HasSuffix(d.File, ".yml") && !strings.HasSuffix(d.File, ".yaml"):
		if done, err := d.compileScript(ctx); done || err != nil {
			return err
		}
	}
	var err error
	d.Result, err = gitlabci.Compile(ctx, d.input)
	return err
}

// compileScript makes a pipeline of one job if the file is a script.
func (d *Definition) compileScript(ctx context.Context) (bool, error) {
	data, _, err := d.input.Loader.Read(ctx, d.input.Root)
	if err != nil {
		return false, err
	}
	if !isScript(d.File, data) {
		d.input.Content = data
		return false, nil
	}
	inputs := make(map[string]string, len(d.input.Inputs))
	for k, v := range d.input.Inputs {
		inputs[k] = pipeline.InputText(v)
	}
	var script pythonScript
	if isPython(d.File, data) {
		if script, err = readPython(ctx, d.File, d.Flow, data); err != nil {
			return false, err
		}
	}
	p, err := scriptPipeline(d.File, data, inputs, script)
	if err != nil {
		return false, err
	}
	d.command = strings.Join(scriptCommand(path.Clean(d.File), data), " ")
	if d.Flow != "" {
		d.command = strings.Join(flowCommand(d.File, d.Flow, data), " ")
	}
	d.Script, d.script, d.OtherInputs, d.Result = true, script.inputs, !script.typed || script.any, &gitlabci.Result{Pipeline: p, Files: []gitlabci.Source{d.input.Root}}
	if script.finding != nil {
		d.Findings = diag.List{*script.finding}
	}
	if d.Findings.HasErrors() {
		d.Pipeline = nil
		return true, nil
	}
	if wrong := script.check(d.File, inputs); len(wrong) > 0 {
		d.Pipeline, d.Findings = nil, wrong
	}
	return true, nil
}

// ReadFile reads a file that findings name.
func (d *Definition) ReadFile(ctx context.Context, path string) ([]byte, error) {
	data, _, err := d.loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: path})
	return data, err
}

// Ref is the branch or tag, for people.
func (d *Definition) Ref() string {
	if d.Facts.Tag != "" {
		return d.Facts.Tag
	}
	return d.Facts.Branch
}

// Where names the ref and event: "branch main, event push".
func (d *Definition) Where() string {
	switch {
	case d.Facts.Tag != "":
		return fmt.Sprintf("tag %s, event %s", d.Facts.Tag, d.Trigger)
	case d.Facts.Branch != "":
		return fmt.Sprintf("branch %s, event %s", d.Facts.Branch, d.Trigger)
	default:
		return fmt.Sprintf("no branch, event %s", d.Trigger)
	}
}

package gitlabci

import (
	"context"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// Compile reads the root file of in with everything it includes and decides which
// jobs the pipeline has. All mistakes in the files are in the Findings of the
// result. It returns an error only when ctx ends or the loader itself fails.
func Compile(ctx context.Context, in Input) (*Result, error) {
	f := &findings{}
	conditions := newEvaluator(ctx, &in)
	l := newLoading(ctx, in, conditions, f)
	cfg, err := l.load(in)
	if err != nil {
		return nil, err
	}
	r, err := compile(ctx, &in, cfg, conditions, f)
	if r != nil {
		r.Inputs = l.inputs
	}
	return r, err
}

// compiler turns a resolved configuration into a pipeline.
type compiler struct {
	ctx        context.Context
	in         *Input
	f          *findings
	root       *node
	complete   bool // false: missing names may be in a file that could not be read
	partial    *partial
	conditions *evaluator
	seen       map[string]bool
	result     Result

	defaults         defaults
	hasWorkflowRules bool
	stages           []string
	rootVariables    []pipeline.Variable
	workflowRule     *node // the one that matched, or nil
	trigger          trigger

	jobs       []*parsedJob
	byName     map[string]*parsedJob
	byInstance map[string]*instance
	names      []string // see jobNames
}

func compile(ctx context.Context, in *Input, cfg *config, conditions *evaluator, f *findings) (*Result, error) {
	if cfg == nil { // only the findings of loading are known
		return &Result{Findings: f.sorted()}, nil
	}
	c := &compiler{
		ctx: ctx, in: in, f: f, root: cfg.root, complete: cfg.complete, conditions: conditions,
		seen:   make(map[string]bool),
		result: Result{Files: cfg.files},
		byName: make(map[string]*parsedJob), byInstance: make(map[string]*instance),
	}
	if c.root == nil {
		c.root = &node{kind: mapNode}
	}
	if !c.complete {
		c.partial = &partial{root: c.root}
	}
	var created bool
	if c.root.kind == mapNode {
		w := c.read()
		created = c.decide(&w)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	c.result.Findings = f.sorted()
	if c.result.Findings.HasErrors() || !created {
		c.result.Pipeline = nil
	}
	return &c.result, nil
}

func (c *compiler) reader(job string) reader {
	return reader{f: c.f, job: job, seen: c.seen, partial: c.partial}
}

// read decodes everything and checks whatever does not depend on rules.
func (c *compiler) read() workflow {
	c.stages = c.readStages()
	c.rootVariables = c.reader("").readVariables(c.root.get("variables"), "variables",
		"value", "description", "expand", "options")
	w := c.readWorkflow()
	c.hasWorkflowRules = w.hasRules
	c.defaults = c.readDefaults()
	visible := false
	for i := range c.root.keys {
		f := &c.root.keys[i]
		switch {
		case strings.HasPrefix(f.name, "."):
			c.checkHidden(f)
		case slices.Contains(rootKeywords, f.name):
		default:
			visible = true
			if job := c.readJob(f); job != nil {
				c.jobs = append(c.jobs, job)
				c.byName[job.name] = job
			}
		}
	}
	if !visible {
		c.noJobs()
	}
	for _, job := range c.jobs {
		job.expand()
		for _, in := range job.instances {
			c.byInstance[in.name] = in
		}
	}
	for _, job := range c.jobs {
		c.checkStage(job)
	}
	c.checkNeeds()
	c.checkOnStop()
	return w
}

// noJobs refuses files without a job, unless an unreadable file may have one.
func (c *compiler) noJobs() {
	if !c.complete {
		return
	}
	at := diag.Place{File: c.result.Files[0].label(), Line: 1, Column: 1}
	if len(c.root.keys) == 0 {
		c.f.errorf(at, "", "no-jobs", "the configuration is empty")
	} else {
		c.f.errorf(at, "", "no-jobs", "the configuration has no visible job")
	}
	c.f.hint("write a job: a name that does not begin with a dot, and below it a script")
}

// checkHidden checks keys that begin with a dot. They may hold anything, but
// GitLab refuses empty ones.
func (c *compiler) checkHidden(f *field) {
	n := f.value
	empty := n.kind == nullNode || n.kind == stringNode && strings.TrimSpace(n.text) == "" ||
		n.kind == seqNode && len(n.items) == 0 || n.kind == mapNode && len(n.keys) == 0 ||
		n.kind == boolNode && !n.truth
	if empty {
		c.f.errorf(f.at, "", "value", "%s must not be empty", quote(f.name))
		c.f.underline(f.name)
		c.f.hint("leave it out, or put something in it")
	}
}

// decide evaluates rules and fills the pipeline. It reports whether there is
// one; jobs are explained either way.
func (c *compiler) decide(w *workflow) bool {
	outer := &scope{outside: c.conditions.outside}
	c.trigger = newTrigger(outer)
	created := c.decideWorkflow(w)
	c.result.Jobs = make([]Explanation, 0, len(c.jobs))
	for _, job := range c.jobs {
		for _, in := range job.instances {
			c.decideInstance(in)
		}
		c.result.Jobs = append(c.result.Jobs, c.explain(job))
	}
	created = created && c.assemble(w)
	for i := range c.result.Jobs {
		x := &c.result.Jobs[i]
		x.In = created && x.Allowed
	}
	return created
}

// assemble makes the pipeline of the jobs that their rules let in, and reports
// whether there is one.
func (c *compiler) assemble(w *workflow) bool {
	p := &pipeline.Pipeline{Variables: c.rootVariables, AutoCancel: w.autoCancel}
	p.Name = strings.TrimSpace((&scope{outside: c.conditions.outside, local: c.rootVariables}).expandAll(w.name))
	c.dropOptionalNeeds()
	c.fill(p)
	switch {
	case len(p.Jobs) == 0:
		c.result.NotCreated = "rules exclude every job"
		return false
	case !slices.ContainsFunc(p.Jobs, func(j pipeline.Job) bool { return j.Stage != preStage && j.Stage != postStage }):
		c.result.NotCreated = "all jobs are in the stages .pre and .post"
		return false
	}
	c.result.Pipeline = p
	return true
}

// fill adds the jobs in the order of their stages, then as written.
func (c *compiler) fill(p *pipeline.Pipeline) {
	byStage := make([][]*instance, len(c.stages))
	count := 0
	for _, job := range c.jobs {
		if i := c.stageIndex(job.job.Stage); i >= 0 {
			for _, in := range job.instances {
				if in.outcome.in && c.byInstance[in.name] == in {
					byStage[i] = append(byStage[i], in)
					count++
				}
			}
		}
	}
	p.Jobs = make([]pipeline.Job, 0, count)
	for i, instances := range byStage {
		if len(instances) == 0 {
			continue
		}
		p.Stages = append(p.Stages, c.stages[i])
		for _, in := range instances {
			p.Jobs = append(p.Jobs, in.job)
		}
	}
}

func (c *compiler) instanceNamed(name string) *instance { return c.byInstance[name] }

// jobNames are the names to suggest from, at most 500.
func (c *compiler) jobNames() []string {
	const most = 500
	if c.names == nil {
		for _, w := range c.jobs[:min(most, len(c.jobs))] {
			c.names = append(c.names, w.name)
		}
	}
	return c.names
}

func isError(f diag.Finding) bool { return f.Level == diag.Error }

package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// outcome is what rules, or only and except, say about one instance.
type outcome struct {
	in    bool
	when  pipeline.When
	rules []RuleTrace
	only  string
	needs []resolved // what it needs, as far as rules decide
	dag   bool
}

// decideInstance evaluates the rules of one job and fills in what they change.
func (c *compiler) decideInstance(in *instance) {
	w := in.of
	job := w.job
	job.Name, job.Index, job.Total = in.name, in.index, in.total
	job.Dependencies = in.dependencies
	all := override(c.variablesOf(w), in.matrix)
	c.nameEnvironment(&job, w, all)
	seen := &scope{outside: c.conditions.outsideOf(&job), local: all, job: JobVariables(&job)}
	out := &in.outcome
	out.in, out.when = true, job.When
	mirrors := w.bridge && slices.ContainsFunc(w.needs, needSpec.upstream)
	out.needs, out.dag = in.needs, w.hasNeeds && !mirrors
	// allow_failure of a manual job is true only when the job itself says
	// manual; a rule that says it makes a job that blocks.
	if absent(w.node.get("allow_failure")) {
		job.AllowFailure = job.When == pipeline.WhenManual
	}
	if w.hasRules {
		c.applyRules(in, &job, &all, seen)
	} else {
		out.in, out.only = c.admits(w, seen)
	}
	job.When = out.when
	job.Variables = all
	c.nameEnvironment(&job, w, all) // again, with the variables of rules
	in.job = job
	if out.in {
		c.checkVariables(in)
	}
}

// variablesOf are the yaml variables that all instances of a job have.
func (c *compiler) variablesOf(w *parsedJob) []pipeline.Variable {
	if !w.hasMerged {
		w.merged = override(inherited(c.rootVariables, w.inherit), w.variables)
		w.hasMerged = true
	}
	return w.merged
}

// override lays high over low; where there is nothing to lay, low itself is the
// result, which nobody changes.
func override(low, high []pipeline.Variable) []pipeline.Variable {
	if len(high) == 0 {
		return slices.Clip(low)
	}
	return pipeline.Merge(low, high)
}

// nameEnvironment puts the variables of a job into the name of its environment.
func (c *compiler) nameEnvironment(job *pipeline.Job, w *parsedJob, variables []pipeline.Variable) {
	e := w.job.Environment
	if e == nil {
		return
	}
	job.Environment = nil
	s := &scope{outside: c.conditions.outside, local: variables, job: JobVariables(job)}
	named := *e
	named.Name = s.expandAll(e.Name)
	job.Environment = &named
}

// applyRules lets the first rule that matches change the job. A job whose rules
// all fail is not in the pipeline.
func (c *compiler) applyRules(in *instance, job *pipeline.Job, variables *[]pipeline.Variable, s *scope) {
	w, out := in.of, &in.outcome
	v := c.evaluate(w.r, w.rules, s)
	out.rules = v.trace
	u := v.matched
	if u == nil {
		out.in, out.when = false, pipeline.WhenNever
		return
	}
	in.rule = u.node
	if u.when != "" {
		out.when = u.when
	}
	if out.when == pipeline.WhenNever {
		out.in = false
		return
	}
	job.StartIn = u.startIn
	if u.allowFailure != nil {
		job.AllowFailure, job.AllowFailureCodes = *u.allowFailure, nil
	}
	if u.interruptible != nil {
		job.Interruptible = *u.interruptible
	}
	*variables = override(*variables, u.variables)
	if u.needs != nil {
		out.needs = c.resolveNeeds(in, u.needs)
		out.dag = out.dag || len(out.needs) > 0
	}
}

// dropOptionalNeeds drops what is optional and not there from the needs of the jobs
// in the pipeline, and reports what is needed and not there.
func (c *compiler) dropOptionalNeeds() {
	for _, w := range c.jobs {
		for _, in := range w.instances {
			if in.outcome.in {
				c.dropOptional(in)
			}
		}
	}
}

func (c *compiler) dropOptional(in *instance) {
	job, w := &in.job, in.of
	job.DAG = in.outcome.dag
	local := 0
	for _, need := range in.outcome.needs {
		if need.Project != "" || need.Pipeline != "" {
			job.Needs = append(job.Needs, need.Need)
			continue
		}
		if local++; local == maxNeeds+1 && c.complete { // else rules may leave some out
			w.r.errorf(need.node, "limit", "needs", "may name at most %d jobs", maxNeeds)
		}
		other := c.instanceNamed(need.Job)
		switch {
		case other != nil && other.outcome.in:
			job.Needs = append(job.Needs, need.Need)
		case need.Optional || other == nil || !c.complete: // what is not written at all is told by checkNeeds
		case !w.r.again(w.at, "needs", other.of.name):
			c.f.errorf(need.node.at, w.name, "needs", "job %s needs %s, which is not in this pipeline", quote(in.name), quote(need.Job))
			c.f.underline(need.node.text)
			c.f.hint("its rules leave it out; add optional: true to the need, or give both the same rules")
		}
	}
	if job.Dependencies != nil {
		kept := []string{}
		for _, name := range *job.Dependencies {
			if other := c.instanceNamed(name); other != nil && other.outcome.in {
				kept = append(kept, name)
			}
		}
		job.Dependencies = &kept
	}
}

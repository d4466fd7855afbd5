package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// outcome is what rules, or only and except, decide for one instance.
type outcome struct {
	in    bool
	when  pipeline.When
	rules []RuleTrace
	only  string
	needs []resolved // what it needs, as far as rules decide
	dag   bool
}

// decideInstance evaluates the rules of one instance and applies what they change.
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
	// A job with when: manual may fail by default. A job that a rule makes manual
	// blocks.
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

// variablesOf returns the YAML variables that all instances of a job share.
func (c *compiler) variablesOf(w *parsedJob) []pipeline.Variable {
	if !w.hasMerged {
		w.merged = override(inherited(c.rootVariables, w.inherit), w.variables)
		w.hasMerged = true
	}
	return w.merged
}

// override returns low with the variables of high over it. Without any it returns
// low itself; callers do not change the result.
func override(low, high []pipeline.Variable) []pipeline.Variable {
	if len(high) == 0 {
		return slices.Clip(low)
	}
	return pipeline.Merge(low, high)
}

// nameEnvironment expands the variables of a job in the name of its environment.
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

// applyRules applies the first rule that matches. Without one the job is not in
// the pipeline.
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
	job.StartIn = pipeline.Duration(u.startIn)
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

// dropOptionalNeeds removes optional needs that are not in the pipeline, and
// reports needs that are required and not in it.
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
		if local++; local == maxNeeds+1 && c.complete { // otherwise rules may remove some
			w.r.errorf(need.node, "limit", "needs", "may name at most %d jobs", maxNeeds)
		}
		other := c.instanceNamed(need.Job)
		switch {
		case other != nil && other.outcome.in:
			job.Needs = append(job.Needs, need.Need)
		case need.Optional || other == nil || !c.complete: // checkNeeds reports names that no job has
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

package gitlabci

import (
	"slices"
	"strings"
)

// checkNeeds checks the names in needs, dependencies and triggers of all jobs, in
// the pipeline or not.
func (c *compiler) checkNeeds() {
	for _, w := range c.jobs {
		c.checkNeedTypes(w)
		for _, in := range w.instances {
			in.needs = c.resolveNeeds(in, w.needs)
			in.dependencies = c.resolveDependencies(w)
			c.checkNeedNames(in, in.needs, "needs")
			for _, rule := range w.rules {
				if rule.needs != nil {
					c.checkNeedNames(in, c.resolveNeeds(in, rule.needs), "rules:needs")
				}
			}
		}
		c.checkDependencies(w)
		if t := w.job.Downstream; t != nil {
			for _, include := range t.Include {
				if include.Job != "" {
					c.checkNeighbour(w, w.node.get("trigger"), include.Job, "trigger:include:job")
				}
			}
		}
	}
	c.checkCycles()
}

// checkNeedTypes refuses needs that a kind of job cannot have.
func (c *compiler) checkNeedTypes(w *parsedJob) {
	for _, n := range w.needs {
		switch {
		case n.upstream() && !w.bridge:
			w.r.errorf(n.node, "needs", "needs", "names a pipeline without a job, which is allowed only in a job without a script")
		case !n.local() && !n.upstream() && w.bridge:
			w.r.errorf(n.node, "needs", "needs", "takes artifacts of another pipeline, which a trigger job cannot do")
		}
	}
}

// checkNeedNames checks the resolved needs of one instance.
func (c *compiler) checkNeedNames(in *instance, needs []resolved, path string) {
	seen := make(map[string]bool, len(needs))
	for _, need := range needs {
		if need.Project != "" || need.Pipeline != "" {
			continue
		}
		if seen[need.Job] {
			in.of.r.errorf(need.node, "needs", path, "names %s twice", quote(need.Job))
		}
		seen[need.Job] = true
		switch {
		case need.Job == "", need.Optional && c.instanceNamed(need.Job) == nil:
		case need.Job == in.name:
			in.of.r.errorf(need.node, "needs", path, "names the job itself")
		default:
			c.checkNeighbour(in.of, need.node, need.Job, path)
		}
	}
}

// checkNeighbour checks that a job exists and is not in a later stage.
func (c *compiler) checkNeighbour(w *parsedJob, at *node, name, path string) {
	other := c.instanceNamed(name)
	if other == nil {
		if base := c.byName[name]; base != nil { // a matrix without combinations
			return
		}
		if c.complete && !w.r.again(at.at, "needs", path, name) {
			c.f.errorf(at.at, w.name, "needs", "job %s %s %s, which is not a job", quote(w.name), verb(path), quote(name))
			c.f.underline(at.text)
			c.f.hint(didYouMean(name, c.jobNames()))
		}
		return
	}
	if !c.complete && (!c.knowsStages() || absent(w.node.get("stage")) || absent(other.of.node.get("stage"))) {
		return // the missing part may set another stage
	}
	mine, its := c.stageIndex(w.job.Stage), c.stageIndex(other.of.job.Stage)
	if mine >= 0 && its > mine {
		w.r.errorf(at, "needs", path, "names %s, whose stage %s comes after %s", quote(name),
			quote(other.of.job.Stage), quote(w.job.Stage))
	}
}

func verb(path string) string {
	switch path {
	case "dependencies":
		return "depends on"
	case "trigger:include:job":
		return "takes a pipeline from"
	default:
		return "needs"
	}
}

// checkDependencies checks dependencies:, which must be part of needs.
func (c *compiler) checkDependencies(w *parsedJob) {
	if w.job.Dependencies == nil {
		return
	}
	list := w.node.get("dependencies")
	local := slices.ContainsFunc(w.needs, needSpec.local)
	for i, name := range *w.job.Dependencies {
		at := list.items[i]
		switch {
		case len(w.needs) > 0 && !local:
			w.r.errorf(at, "needs", "dependencies", "cannot be combined with needs of other pipelines")
			return
		case local && !slices.ContainsFunc(w.needs, func(n needSpec) bool { return n.local() && n.need.Job == name }):
			if w.r.errorf(at, "needs", "dependencies", "names %s, which is not among its needs", quote(name)) {
				c.f.hint("add it to needs, or leave it out here")
			}
		}
	}
	if len(w.instances) > 0 {
		for _, name := range *w.instances[0].dependencies {
			at := list
			if i := slices.Index(*w.job.Dependencies, name); i >= 0 {
				at = list.items[i]
			}
			c.checkNeighbour(w, at, name, "dependencies")
		}
	}
}

// checkCycles looks for jobs that wait for each other. Stages cannot make a
// cycle, so only needs are followed.
func (c *compiler) checkCycles() {
	const visiting, done = 1, 2
	state := make(map[*instance]int, len(c.byInstance))
	var path []*instance
	var visit func(in *instance)
	visit = func(in *instance) {
		state[in] = visiting
		path = append(path, in)
		for _, need := range in.needs {
			other := c.instanceNamed(need.Job)
			if need.Project != "" || need.Pipeline != "" || other == nil || other == in {
				continue
			}
			switch state[other] {
			case visiting:
				c.cycle(path[slices.Index(path, other):])
			case 0:
				visit(other)
			}
		}
		path = path[:len(path)-1]
		state[in] = done
	}
	for _, w := range c.jobs {
		for _, in := range w.instances {
			if state[in] == 0 {
				visit(in)
			}
		}
	}
}

func (c *compiler) cycle(jobs []*instance) {
	names := make([]string, 0, len(jobs)+1)
	for _, in := range jobs {
		names = append(names, in.name)
	}
	names = append(names, jobs[0].name)
	last := jobs[len(jobs)-1].of
	last.r.errorf(last.node.get("needs"), "needs", "needs", "form a cycle: %s", strings.Join(names, " needs "))
}

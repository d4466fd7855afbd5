package pipeline

import "slices"

// Select returns a pipeline of the named jobs alone or, with needs, also of the
// jobs whose results they use: their needs and, for a job without needs, every
// job of earlier stages whose artifacts it takes. Needs of jobs that are left out
// are removed.
func Select(p *Pipeline, names []string, needs bool) *Pipeline {
	keep := make(map[string]bool, len(names))
	var add func(name string)
	add = func(name string) {
		j := p.Job(name)
		if j == nil || keep[name] {
			return
		}
		keep[name] = true
		if !needs {
			return
		}
		for _, before := range p.sources(j) {
			add(before)
		}
	}
	for _, n := range names {
		add(n)
	}
	out := *p
	out.Jobs, out.Stages = nil, nil
	for _, j := range p.Jobs {
		if !keep[j.Name] {
			continue
		}
		j.Needs = slices.DeleteFunc(slices.Clone(j.Needs), func(n Need) bool {
			return n.Project == "" && n.Pipeline == "" && !keep[n.Job]
		})
		out.Jobs = append(out.Jobs, j)
	}
	for _, s := range p.Stages {
		if slices.ContainsFunc(out.Jobs, func(j Job) bool { return j.Stage == s }) {
			out.Stages = append(out.Stages, s)
		}
	}
	return &out
}

// sources returns the names of the jobs whose results a job uses.
func (p *Pipeline) sources(j *Job) []string {
	var out []string
	for _, k := range p.Before(j) {
		before := &p.Jobs[k]
		if !j.DAG {
			if before.When == WhenManual {
				continue
			}
			if d := j.Dependencies; d != nil && !slices.Contains(*d, before.Name) && !slices.Contains(*d, before.Base) {
				continue
			}
		}
		out = append(out, before.Name)
	}
	return out
}

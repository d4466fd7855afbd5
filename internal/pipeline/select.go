package pipeline

import "slices"

// Select returns a pipeline of the named jobs alone or, with needs, also of the
// jobs whose results they use: their needs and, for a job without needs, every
// job of earlier stages whose artifacts it takes. Needs of jobs that are left out
// are removed.
func Select(p *Pipeline, names []string, needs bool) *Pipeline {
	s := selection{p: p, at: p.positions(), stage: map[string]int{}, bases: map[string][]int{}, keep: make([]bool, len(p.Jobs)), needs: needs}
	for i := len(p.Jobs) - 1; i >= 0; i-- {
		job := &p.Jobs[i]
		s.stage[job.Stage] = i
		if job.Base != job.Name {
			s.bases[job.Base] = append(s.bases[job.Base], i)
		}
	}
	for _, name := range names {
		if i, ok := s.at[name]; ok {
			s.add(i)
		}
	}
	out := *p
	out.Jobs, out.Stages = nil, nil
	used := make(map[string]bool, len(p.Stages))
	for i, j := range p.Jobs {
		if !s.keep[i] {
			continue
		}
		j.Needs = slices.DeleteFunc(slices.Clone(j.Needs), func(n Need) bool {
			k, ok := s.at[n.Job]
			return n.Local() && !(ok && s.keep[k])
		})
		out.Jobs = append(out.Jobs, j)
		used[j.Stage] = true
	}
	out.Stages = slices.DeleteFunc(slices.Clone(p.Stages), func(stage string) bool { return !used[stage] })
	return &out
}

// selection collects the jobs of a [Select].
type selection struct {
	p     *Pipeline
	at    map[string]int
	stage map[string]int   // stage → its first job
	bases map[string][]int // base name → the instances of a parallel job
	keep  []bool           // by position
	needs bool             // follow needs and stages
	whole int              // all jobs before this position are in, except manual ones
}

// add adds a job and, if asked for, the jobs whose results it uses.
func (s *selection) add(i int) {
	if s.keep[i] {
		return
	}
	s.keep[i] = true
	job := &s.p.Jobs[i]
	switch {
	case !s.needs:
	case job.DAG:
		for _, n := range job.Needs {
			if k, ok := s.at[n.Job]; ok && n.Local() {
				s.add(k)
			}
		}
	case job.Dependencies != nil:
		for _, name := range *job.Dependencies {
			if k, ok := s.at[name]; ok {
				s.addEarlier(k, job.Stage)
			}
			for _, k := range s.bases[name] {
				s.addEarlier(k, job.Stage)
			}
		}
	default:
		for s.whole < s.stage[job.Stage] {
			s.whole++
			s.addEarlier(s.whole-1, job.Stage)
		}
	}
}

// addEarlier adds job k unless it is manual or not in a stage before the given one.
func (s *selection) addEarlier(k int, stage string) {
	if k < s.stage[stage] && s.p.Jobs[k].When != WhenManual {
		s.add(k)
	}
}

package pipeline

import "slices"

// Before returns the positions of the jobs that job j waits for: its needs, or
// every job of the stages before its own.
func (p *Pipeline) Before(j *Job) []int {
	var out []int
	if j.DAG {
		for _, n := range j.Needs {
			if n.Project != "" || n.Pipeline != "" {
				continue
			}
			if k := slices.IndexFunc(p.Jobs, func(b Job) bool { return b.Name == n.Job }); k >= 0 {
				out = append(out, k)
			}
		}
		return out
	}
	stage := slices.Index(p.Stages, j.Stage)
	for k := range p.Jobs {
		if slices.Index(p.Stages, p.Jobs[k].Stage) < stage {
			out = append(out, k)
		}
	}
	return out
}

// SkipCause explains why the job at position i was skipped, by the first job
// before it that is the cause; "" if there is none.
func (p *Pipeline) SkipCause(s State, i int) string {
	job := &p.Jobs[i]
	skipped := ""
	for _, k := range p.Before(job) {
		name := p.Jobs[k].Name
		switch st := s.Jobs[k]; {
		case st.Status == StatusFailed && !st.AllowFailure:
			return name + " failed"
		case st.Status == StatusCanceled:
			return name + " was canceled"
		case st.Status == StatusManual && (job.DAG || !st.AllowFailure):
			return name + " was not played"
		case st.Status == StatusSkipped && job.DAG && skipped == "":
			skipped = name + " was skipped"
		}
	}
	if skipped == "" && job.When == WhenOnFailure {
		return "no earlier job failed"
	}
	return skipped
}

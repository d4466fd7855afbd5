package pipeline

// SkipCauses explains for each job of p why it was skipped, by the first job before
// it that is the cause. The text is "" for a job that was not skipped, or if there
// is no such cause, also before the pipeline is created.
func SkipCauses(p *Pipeline, s State) []string {
	causes := make([]string, len(p.Jobs))
	if len(s.Jobs) != len(p.Jobs) {
		return causes
	}
	at := p.positions()
	byStage := stageCauses(p, s)
	for i := range p.Jobs {
		job := &p.Jobs[i]
		if s.Jobs[i].Status != StatusSkipped {
			continue
		}
		if job.DAG {
			causes[i] = needsCause(p, s, at, job)
		} else {
			causes[i] = byStage[job.Stage]
		}
		if causes[i] == "" && job.When == WhenOnFailure {
			causes[i] = "no earlier job failed"
		}
	}
	return causes
}

// stageCauses returns, for each stage, the first cause in the stages before it.
func stageCauses(p *Pipeline, s State) map[string]string {
	inStage := make(map[string]string, len(p.Stages))
	for i := range p.Jobs {
		if stage := p.Jobs[i].Stage; inStage[stage] == "" {
			inStage[stage] = cause(p.Jobs[i].Name, s.Jobs[i], false)
		}
	}
	before := make(map[string]string, len(p.Stages))
	first := ""
	for _, stage := range p.Stages {
		before[stage] = first
		if first == "" {
			first = inStage[stage]
		}
	}
	return before
}

// needsCause returns the first cause among the needs of a job.
func needsCause(p *Pipeline, s State, at map[string]int, job *Job) string {
	skipped := ""
	for _, need := range job.Needs {
		k, ok := at[need.Job]
		if !ok || !need.Local() {
			continue
		}
		if text := cause(need.Job, s.Jobs[k], true); text != "" {
			return text
		}
		if s.Jobs[k].Status == StatusSkipped && skipped == "" {
			skipped = need.Job + " was skipped"
		}
	}
	return skipped
}

// cause explains how a job in this state makes the jobs after it skipped; "" if it
// does not. needed is true for a need of theirs, false for a job of an earlier
// stage.
func cause(name string, j JobState, needed bool) string {
	switch {
	case j.Status == StatusFailed && !j.AllowFailure:
		return name + " failed"
	case j.Status == StatusCanceled:
		return name + " was canceled"
	case j.Status == StatusManual && (needed || !j.AllowFailure):
		return name + " was not played"
	default:
		return ""
	}
}

// positions returns the position of each job by its name.
func (p *Pipeline) positions() map[string]int {
	at := make(map[string]int, len(p.Jobs))
	for i := range p.Jobs {
		at[p.Jobs[i].Name] = i
	}
	return at
}

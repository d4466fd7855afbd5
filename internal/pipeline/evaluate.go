package pipeline

import "slices"

// evaluate decides every created job whose predecessors have ended, and returns
// the status of the pipeline and of its stages. One pass is enough, because it
// visits a job after all jobs that it can depend on.
func (t *transition) evaluate(before State) (Status, []Status) {
	t.grant()
	g := t.g
	stages := make([]Status, len(g.stages))
	kinds := make([]kind, len(t.jobs))
	var earlier kind // all jobs of the stages before
	for stage, jobs := range g.stages {
		byStage := earlier.composite()
		var here kind
		for _, i := range jobs {
			if t.jobs[i].Status == StatusCreated {
				previous := byStage
				if g.p.Jobs[i].DAG {
					previous = needed(kinds, g.needs[i]).compositeNeeds()
				}
				if previous.Done() {
					t.decideJob(i, previous)
				}
			}
			kinds[i] = kindOf(t.jobs[i])
			here |= kinds[i]
		}
		earlier |= here
		stages[stage] = here.composite()
		if stage < len(before.Stages) {
			stages[stage] = nextStage(before.Stages[stage], stages[stage])
		}
	}
	return nextPipeline(before.Status, earlier.composite()), stages
}

// needed is the set of the kinds of a job's needs.
func needed(kinds []kind, needs []int) kind {
	var all kind
	for _, n := range needs {
		all |= kinds[n]
	}
	return all
}

// decideJob decides a created job. previous is the composite status of the jobs
// that it waited for.
func (t *transition) decideJob(i int, previous Status) {
	job := &t.g.p.Jobs[i]
	switch {
	case !job.accepts(previous):
		t.set(i, StatusSkipped)
	case t.jobs[i].Asked:
		t.enqueue(i)
	case job.When == WhenDelayed:
		t.set(i, StatusScheduled)
	case job.When == WhenManual:
		t.set(i, StatusManual)
	default:
		t.enqueue(i)
	}
}

// accepts reports whether a job runs if the jobs that it waited for ended with the
// composite status previous. Canceled predecessors skip every job, even with
// when: always.
func (j *Job) accepts(previous Status) bool {
	switch j.When {
	case WhenOnSuccess, WhenManual, WhenDelayed, "":
		return previous == StatusSuccess || previous == StatusSkipped && !j.DAG
	case WhenOnFailure:
		return previous == StatusFailed
	case WhenAlways:
		return previous == StatusSuccess || previous == StatusFailed || previous == StatusSkipped
	default:
		return false
	}
}

// enqueue makes a job pending, or waiting if its resource group is taken.
func (t *transition) enqueue(i int) {
	if group := t.g.p.Jobs[i].ResourceGroup; group != "" && t.taken(group) {
		t.set(i, StatusWaitingForResource)
		return
	}
	t.set(i, StatusPending)
}

// grant gives free resource groups to the jobs that wait for them.
func (t *transition) grant() {
	for _, i := range t.g.grouped {
		if t.jobs[i].Status == StatusWaitingForResource && !t.taken(t.g.p.Jobs[i].ResourceGroup) {
			t.set(i, StatusPending)
		}
	}
}

// taken reports whether a job of this pipeline or of another one has the group.
func (t *transition) taken(group string) bool {
	if slices.Contains(t.busyGroups, group) {
		return true
	}
	for _, i := range t.g.groups[group] {
		switch t.jobs[i].Status {
		case StatusPreparing, StatusPending, StatusRunning, StatusCanceling:
			return true
		}
	}
	return false
}

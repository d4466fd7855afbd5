package pipeline

// kind is one status as it counts for the jobs after it, a bit in a set.
// Besides the statuses there are two: a failure that is allowed, and a manual
// job that nobody has to play.
type kind uint16

const (
	isCreated kind = 1 << iota
	isWaiting
	isPreparing
	isPending
	isRunning
	isSuccess
	isFailed
	isCanceling
	isCanceled
	isSkipped
	isManual
	isScheduled
	isWarned  // failed or canceled, and allowed to
	isIgnored // manual, and allowed to stay so
)

func kindOf(j JobState) kind {
	switch j.Status {
	case StatusWaitingForResource:
		return isWaiting
	case StatusPreparing:
		return isPreparing
	case StatusPending:
		return isPending
	case StatusRunning:
		return isRunning
	case StatusSuccess:
		return isSuccess
	case StatusFailed:
		if j.AllowFailure {
			return isWarned
		}
		return isFailed
	case StatusCanceling:
		return isCanceling
	case StatusCanceled:
		if j.AllowFailure {
			return isWarned
		}
		return isCanceled
	case StatusSkipped:
		return isSkipped
	case StatusManual:
		if j.AllowFailure {
			return isIgnored
		}
		return isManual
	case StatusScheduled:
		return isScheduled
	default:
		return isCreated
	}
}

func (k kind) any(of kind) bool  { return k&of != 0 }
func (k kind) only(of kind) bool { return k&^of == 0 }

// composite is the one status that stands for a set of jobs: of a stage, of a
// pipeline, of all stages before a job. The order of the questions is GitLab's
// and matters. Nothing at all counts as success.
func (k kind) composite() Status {
	const passed = isWarned | isIgnored
	switch {
	case k == 0:
		return StatusSuccess
	case k.only(isSkipped | isIgnored):
		return StatusSkipped
	case k.only(isSuccess | isSkipped | passed):
		return StatusSuccess
	case k.only(isCreated | passed):
		return StatusCreated
	case k.only(isPreparing | passed):
		return StatusPreparing
	case k.only(isCanceled | isSuccess | isSkipped | passed):
		return StatusCanceled
	case k.only(isPending | isCreated | isSkipped | passed):
		return StatusPending
	case k.any(isRunning | isPending):
		return StatusRunning
	case k.any(isWaiting):
		return StatusWaitingForResource
	case k.any(isManual):
		return StatusManual
	case k.any(isScheduled):
		return StatusScheduled
	case k.any(isPreparing):
		return StatusPreparing
	case k.any(isCreated):
		return StatusRunning
	case k.any(isCanceling):
		return StatusCanceling
	default:
		return StatusFailed
	}
}

// compositeNeeds is the status of a job's needs. It differs from [composite]
// in that one need that does not run is enough to call all of them skipped.
func (k kind) compositeNeeds() Status {
	const ended = isSuccess | isFailed | isCanceled | isSkipped | isWarned
	switch {
	case k.any(isSkipped | isIgnored):
		return StatusSkipped
	case !k.only(ended):
		return StatusPending
	default:
		return k.composite()
	}
}

// Composite is the one status that stands for several jobs, by GitLab's rules:
// an allowed failure counts as success, a manual job that may be left alone
// counts as nothing. It is success for no jobs at all.
func Composite(jobs ...JobState) Status {
	var all kind
	for _, j := range jobs {
		all |= kindOf(j)
	}
	return all.composite()
}

// StageStatus is the status of the stage of that name.
func StageStatus(p *Pipeline, s State, stage string) (Status, error) {
	for i, name := range p.Stages {
		if name == stage && i < len(s.Stages) {
			return s.Stages[i], nil
		}
	}
	return "", errNoStage(stage)
}

// PipelineStatus is the status of the whole pipeline, created before its first
// event.
func PipelineStatus(_ *Pipeline, s State) Status {
	if s.Status == "" {
		return StatusCreated
	}
	return s.Status
}

// nextStage is what a stage becomes when its jobs' composite status is now c.
func nextStage(old, c Status) Status {
	if c == StatusCreated && old != "" {
		return old
	}
	return c
}

// nextPipeline is what a pipeline becomes when its jobs' composite status is
// now c: what ran once runs again, it is not pending a second time.
func nextPipeline(old, c Status) Status {
	switch {
	case old == "":
		return c
	case c == StatusCreated:
		return old
	case c == StatusPending && (old == StatusRunning || old == StatusSuccess || old == StatusFailed || old == StatusCanceling || old == StatusCanceled):
		return StatusRunning
	default:
		return c
	}
}

package pipeline

// kind is a set of statuses, one bit each, as they count for the jobs after them.
// Two bits are not statuses: an allowed failure, and a manual job that does not
// block.
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
	isWarned  // failed or canceled, and allowed to fail
	isIgnored // manual, and allowed to fail: does not block
)

// kindOf returns the bit of a job's state.
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

func (k kind) any(of kind) bool  { return k&of != 0 }  // has one of these
func (k kind) only(of kind) bool { return k&^of == 0 } // has no other than these

// composite is the one status for a set of jobs: those of a stage, of a pipeline,
// or of all stages before a job. The order of the cases is GitLab's and matters.
// The empty set is success.
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

// compositeNeeds is the one status for a job's needs. Unlike composite, it is
// skipped as soon as one of them does not run.
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

// nextStage is the new status of a stage whose jobs have the composite status c.
// It does not return to created.
func nextStage(old, c Status) Status {
	if c == StatusCreated && old != "" {
		return old
	}
	return c
}

// nextPipeline is the new status of a pipeline whose jobs have the composite
// status c. It does not return to created, and after it has run it does not
// return to pending.
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

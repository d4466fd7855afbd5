package localrun

import (
	"strconv"
	"sync"

	"refline/internal/engine"
)

// jobsOfRun is how many jobs one run has at most, children and further attempts
// included, without an id (CI_JOB_ID) of the next run.
const jobsOfRun = 100_000

// numbers gives attempts their ids, for a run and its children together, and the
// slots that they run in.
type numbers struct {
	engine.Slots
	mu  sync.Mutex
	job int64 // the last id
}

func (n *numbers) jobID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.job++
	return strconv.FormatInt(n.job, 10)
}

package localrun

import (
	"slices"
	"strconv"
	"sync"
)

// jobsOfRun is how many jobs one run has at most, children and further attempts
// included, without an id (CI_JOB_ID) of the next run.
const jobsOfRun = 100_000

// numbers gives attempts their ids, for a run and its children together. It also
// gives jobs that run at the same time different small numbers, and a job that
// runs alone always the same.
type numbers struct {
	mu    sync.Mutex
	taken []bool
	job   int64 // the last id
}

func (n *numbers) jobID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.job++
	return strconv.FormatInt(n.job, 10)
}

// take gives the lowest number that is free, from 0.
func (n *numbers) take() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.taken, false)
	if i < 0 {
		i = len(n.taken)
		n.taken = append(n.taken, false)
	}
	n.taken[i] = true
	return i
}

func (n *numbers) free(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken[i] = false
}

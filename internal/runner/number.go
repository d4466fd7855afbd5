package runner

import (
	"slices"
	"sync"
)

// numbers gives jobs that run at the same time different small numbers, and a job
// that runs alone always the same.
type numbers struct {
	mu    sync.Mutex
	taken []bool
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

package engine

import (
	"slices"
	"sync"
)

// Slots gives jobs that run at the same time different small numbers, and a job
// that runs alone always the same: see JobInput.Slot. The zero value is ready.
type Slots struct {
	mu    sync.Mutex
	taken []bool
}

// Take gives the lowest number that is free, from 0.
func (s *Slots) Take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.taken, false)
	if i < 0 {
		i = len(s.taken)
		s.taken = append(s.taken, false)
	}
	s.taken[i] = true
	return i
}

// Free gives a number back.
func (s *Slots) Free(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[i] = false
}

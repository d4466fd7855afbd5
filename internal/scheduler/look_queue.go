package scheduler

import (
	"context"
	"sync"
	"time"
)

// looksAtOnce is how many projects are looked at at the same time.
const looksAtOnce = 8

// LookQueue runs looks: a few at once, and of a project one at a time. Whatever is
// asked while one runs makes one more, so a burst of deliveries costs two looks.
type LookQueue struct {
	look func(ctx context.Context, project int64)

	mu      sync.Mutex
	again   map[int64]bool // projects that are looked at → asked for again
	waiting []int64
	wake    chan struct{}
}

// NewLookQueue makes a queue for a function that looks at a project.
func NewLookQueue(look func(ctx context.Context, project int64)) *LookQueue {
	return &LookQueue{look: look, again: map[int64]bool{}, wake: make(chan struct{}, 1)}
}

// Ask wants a look at a project that begins after the call. It does not wait.
func (q *LookQueue) Ask(project int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, busy := q.again[project]; busy {
		q.again[project] = true
		return
	}
	q.again[project] = true
	q.waiting = append(q.waiting, project)
	q.signal()
}

// AskIn is Ask after a delay; see [LookDelay].
func (q *LookQueue) AskIn(project int64, delay time.Duration) {
	if delay <= 0 {
		q.Ask(project)
		return
	}
	time.AfterFunc(delay, func() { q.Ask(project) })
}

// Busy reports whether a look at a project runs or waits.
func (q *LookQueue) Busy(project int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, busy := q.again[project]
	return busy
}

func (q *LookQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run runs looks until the context ends; those that run are waited for.
func (q *LookQueue) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	space := make(chan struct{}, looksAtOnce)
	for {
		project, ok := q.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-q.wake:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case space <- struct{}{}:
		}
		all.Go(func() {
			defer func() { <-space }()
			q.look(ctx, project)
			q.done(project)
		})
	}
}

// take returns the next project; from now on it counts as looked at.
func (q *LookQueue) take() (int64, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return 0, false
	}
	project := q.waiting[0]
	q.waiting = q.waiting[1:]
	q.again[project] = false
	return project, true
}

func (q *LookQueue) done(project int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.again[project] {
		delete(q.again, project)
		return
	}
	q.waiting = append(q.waiting, project)
	q.signal()
}

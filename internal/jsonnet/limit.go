package jsonnet

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"refline/internal/diag"
)

// Limits bound what an evaluation may use. A field that is 0 is the default; one
// below 0 is no limit.
type Limits struct {
	Memory int64         // bytes beyond what the program used before; 4 GiB by default
	Time   time.Duration // 10 minutes by default
}

const (
	defaultMemory = 4 << 30
	defaultTime   = 10 * time.Minute
	// mostStack is the memory of stacks at which recursion ends: a stack that
	// would double once more ends the whole program.
	mostStack = 500 << 20
	// checkEvery is the time between two looks at what is used.
	checkEvery = time.Millisecond
	// grace is how long the machine has to ask; once it was told to stop it has
	// longer, to unwind a deep stack.
	grace      = 500 * time.Millisecond
	graceToEnd = 30 * time.Second
)

// guard watches over one evaluation. The machine asks it before each function.
type guard struct {
	limits   Limits
	main     string
	base     int64 // bytes in use at the start
	deadline time.Time
	last     atomic.Int64 // time of the last look, in nanoseconds
	stopping atomic.Bool  // the machine was told to stop
}

func newGuard(in Input) *guard {
	g := &guard{limits: in.Limits, main: in.File}
	if g.main == "" {
		g.main = in.Name
	}
	if g.limits.Memory == 0 {
		g.limits.Memory = defaultMemory
	}
	if g.limits.Time == 0 {
		g.limits.Time = defaultTime
	}
	g.base, _ = used()
	g.deadline = time.Now().Add(g.limits.Time)
	return g
}

// used are the bytes of objects and of stacks in the whole program. Garbage does
// not count: objects are those that the last collection found alive, or half of
// all there are, as the heap doubles between two collections.
func used() (heap, stacks int64) {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	bytes := func(i int) int64 { return int64(samples[i].Value.Uint64()) } //nolint:gosec // far below 2^63
	return max(bytes(0), bytes(1)/2), bytes(2)
}

// ask is check for the machine, which stops at an error.
func (g *guard) ask() error {
	if g.stopping.Load() {
		return errOver
	}
	err := g.check()
	if err != nil {
		g.stopping.Store(true)
	}
	return err
}

// errOver ends what still runs after the first error.
var errOver = errors.New("the evaluation is over its limits")

// check returns what is over its limit.
func (g *guard) check() error {
	now := time.Now()
	if last := g.last.Load(); now.UnixNano()-last < int64(checkEvery) || !g.last.CompareAndSwap(last, now.UnixNano()) {
		return nil
	}
	heap, stacks := used()
	if stacks > mostStack {
		runtime.GC() // the stack may be that of an evaluation that has ended
		heap, stacks = used()
	}
	switch {
	case stacks > mostStack:
		return fmt.Errorf("calls are nested too deep here: does a function call itself without end?")
	case g.limits.Time > 0 && now.After(g.deadline):
		return fmt.Errorf("the evaluation takes longer than %s", g.limits.Time)
	case g.limits.Memory > 0 && heap-g.base > g.limits.Memory:
		return fmt.Errorf("the evaluation uses more than %d MiB of memory", g.limits.Memory>>20)
	}
	return nil
}

// watch sends what is over its limit when the machine did not stop for it: a
// standard function over a huge array asks nobody. It ends with done.
func (g *guard) watch(done <-chan struct{}) <-chan error {
	out := make(chan error, 1)
	go func() {
		tick := time.NewTicker(grace / 10)
		defer tick.Stop()
		var over time.Time
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			g.last.Store(0)
			err := g.check()
			switch {
			case err == nil:
				over = time.Time{}
			case over.IsZero():
				over = time.Now()
				g.last.Store(0) // the machine looks for itself
			case time.Since(over) > grace && !g.stopping.Load(), time.Since(over) > graceToEnd:
				out <- diag.List{{Place: diag.Place{File: g.main}, Level: diag.Error, Message: err.Error()}}.Err()
				return
			}
		}
	}()
	return out
}

package scheduler_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"refline/internal/scheduler"
	"refline/internal/store/storetest"
)

// soak is how much longer than in the gate tests of invariants go on.
func soak() time.Duration {
	d, _ := time.ParseDuration(os.Getenv("REFLINE_SOAK"))
	return d
}

// cluster is n servers on one database, one only if the database takes no more.
func cluster(t *testing.T, address string, n int, set ...func(*fixture)) []*fixture {
	t.Helper()
	first := newFixture(t, address, set...)
	list := []*fixture{first}
	if !strings.HasPrefix(address, "postgres") {
		return list
	}
	for range n - 1 {
		other := &fixture{t: t, store: storetest.Open(t, address), project: first.project}
		for _, s := range set {
			s(other)
		}
		other.start()
		t.Cleanup(func() { other.stop() })
		list = append(list, other)
	}
	return list
}

// restart ends a server and starts it again, while others use it. Its runners
// lose their polls.
func (f *fixture) restart() {
	f.stop()
	f.swap.Lock()
	defer f.swap.Unlock()
	f.start()
}

// current is the scheduler that is at work now, for goroutines beside restart.
func (f *fixture) current() *scheduler.Scheduler {
	f.swap.Lock()
	defer f.swap.Unlock()
	return f.s
}

// checkSlots looks for slots with more holders than places.
func (f *fixture) checkSlots() {
	f.t.Helper()
	broken, err := f.store.Check(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, line := range broken {
		if strings.Contains(line, "more holders") {
			f.t.Error(line)
		}
	}
}

package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

func one(names ...string) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Stages: []string{"test"}}
	for _, name := range names {
		jobs(p, pipeline.Job{Name: name})
	}
	return p
}

func (f *fixture) createRun(n scheduler.NewRun) store.Run {
	f.t.Helper()
	n.Project = f.project
	r, err := f.s.Create(f.t.Context(), n)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// take polls once without waiting.
func (f *fixture) take(session int64, free int) []scheduler.Assignment {
	f.t.Helper()
	a, err := f.s.Poll(f.t.Context(), session, free, nil, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return a.Jobs
}

func (f *fixture) finish(session, fence int64, status pipeline.Status) {
	f.t.Helper()
	if err := f.s.Finish(f.t.Context(), session, fence, scheduler.Result{Status: status, Digest: "d"}); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) act(run int64, kind pipeline.EventKind, job string) {
	f.t.Helper()
	if err := f.s.Act(f.t.Context(), run, pipeline.Event{Kind: kind, Job: job}); err != nil {
		f.t.Fatal(err)
	}
}

// until waits for a run to be as wanted.
func (f *fixture) until(id int64, what string, ok func(store.Run) bool) store.Run {
	f.t.Helper()
	for range 3000 {
		if r := f.row(id); ok(r) {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("run %d is not %s: %+v", id, what, f.row(id))
	return store.Run{}
}

func (f *fixture) untilStatus(id int64, want pipeline.Status) store.Run {
	f.t.Helper()
	return f.until(id, string(want), func(r store.Run) bool { return r.Status == want })
}

func (f *fixture) why(run int64, pos int) string {
	f.t.Helper()
	text, err := f.s.Why(f.t.Context(), run, pos)
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// TestFlowLimit: a flow with a limit has no more runs under way, and the next one
// begins when one ends, waits for a person or is canceled.
func TestFlowLimit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		session := f.session()
		limited := scheduler.NewRun{Flow: 7, Concurrency: 1, Pipeline: one("x")}
		first, second, third := f.createRun(limited), f.createRun(limited), f.createRun(limited)
		if second.Status != pipeline.StatusWaitingForResource || len(second.Held) != 1 {
			t.Errorf("second: %+v, want it held", second)
		}
		if got, want := f.why(second.ID, -1), fmt.Sprintf("waits for its flow, which runs 1 at a time, held by run %d", first.ID); got != want {
			t.Errorf("why: got %q, want %q", got, want)
		}
		f.check()
		a := f.take(session, 5)
		if len(a) != 1 || a[0].Run != first.ID {
			t.Fatalf("got %+v, want the job of run %d alone", a, first.ID)
		}
		f.act(second.ID, pipeline.EventCancel, "")
		if got := f.row(second.ID); got.Status != pipeline.StatusCanceled || len(got.Held) != 0 {
			t.Errorf("second: %+v, want it canceled", got)
		}
		f.check()
		f.finish(session, a[0].Fence, pipeline.StatusFailed)
		f.untilStatus(third.ID, pipeline.StatusPending)
		f.check()
		// A retry needs the slot too.
		f.act(first.ID, pipeline.EventRetry, "")
		if got := f.row(first.ID); len(got.Held) != 1 || !got.Finished.IsZero() || got.Result != "" {
			t.Errorf("retried: %+v, want it held", got)
		}
		f.check()
		a = f.take(session, 5)
		if len(a) != 1 || a[0].Run != third.ID {
			t.Fatalf("got %+v, want the job of run %d alone", a, third.ID)
		}
		f.finish(session, a[0].Fence, pipeline.StatusSuccess)
		f.until(first.ID, "going on", func(r store.Run) bool { return len(r.Held) == 0 })
		if a = f.take(session, 5); len(a) != 1 || a[0].Run != first.ID || a[0].Attempt != 2 {
			t.Fatalf("got %+v, want attempt 2 of run %d", a, first.ID)
		}
		f.finish(session, a[0].Fence, pipeline.StatusSuccess)
		f.check()
	})
}

func TestBusyPolicies(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		session := f.session()
		skip := scheduler.NewRun{Flow: 1, Concurrency: 1, WhenBusy: scheduler.BusySkip, Pipeline: one("x")}
		first, second := f.createRun(skip), f.createRun(skip)
		if second.Status != pipeline.StatusSkipped || second.Finished.IsZero() || !strings.Contains(second.Note, fmt.Sprintf("run %d", first.ID)) {
			t.Errorf("skip: %+v, want it skipped with a note", second)
		}
		// A person may start it all the same; it then waits.
		f.act(second.ID, pipeline.EventRetry, "")
		if got := f.row(second.ID); len(got.Held) != 1 {
			t.Errorf("a skipped run that is retried: %+v, want it held", got)
		}
		f.check()

		old := scheduler.NewRun{Flow: 2, Concurrency: 1, WhenBusy: scheduler.BusyCancelOld, Pipeline: one("x")}
		first = f.createRun(old)
		a := f.take(session, 5)
		fence := int64(0)
		for _, job := range a {
			if job.Run == first.ID {
				fence = job.Fence
			}
		}
		second = f.createRun(old)
		f.untilStatus(first.ID, pipeline.StatusCanceling)
		third := f.createRun(old)
		f.untilStatus(second.ID, pipeline.StatusCanceled)
		f.check()
		f.finish(session, fence, pipeline.StatusCanceled)
		f.untilStatus(third.ID, pipeline.StatusPending)
		if got := f.row(first.ID); got.Status != pipeline.StatusCanceled || !strings.Contains(got.Note, fmt.Sprintf("run %d", second.ID)) && !strings.Contains(got.Note, fmt.Sprintf("run %d", third.ID)) {
			t.Errorf("first: %+v, want it canceled with a note", got)
		}
		f.check()
		if _, err := f.s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: one("x"), WhenBusy: "panic"}); !errs.Is(err, errs.Invalid) {
			t.Errorf("unknown policy: got %v, want invalid", err)
		}
	})
}

// TestNamedSlots: a run takes all its slots or none, so one that needs less passes
// one that still waits, and no slot stays free that somebody waits for.
func TestNamedSlots(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		if err := f.s.SetSlot(t.Context(), store.Slot{SlotKey: store.SlotKey{Scope: store.ScopeNamed, Name: "warehouse"}, Max: 2}); err != nil {
			t.Fatal(err)
		}
		run := func(priority int, slots ...string) store.Run {
			return f.createRun(scheduler.NewRun{Pipeline: one("x"), Slots: slots, Priority: priority})
		}
		a, b := run(0, "warehouse"), run(0, "warehouse", "licence")
		both := run(0, "warehouse", "licence")
		low, high := run(0, "warehouse"), run(9, "warehouse")
		for _, r := range []store.Run{both, low, high} {
			if len(f.row(r.ID).Held) == 0 {
				t.Errorf("run %d is not held", r.ID)
			}
		}
		if got, want := f.why(both.ID, -1), fmt.Sprintf("waits for slot warehouse, held by runs %d, %d; and for slot licence, held by run %d", a.ID, b.ID, b.ID); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		free := func(r store.Run) bool { return len(r.Held) == 0 }
		f.act(a.ID, pipeline.EventCancel, "")
		f.until(high.ID, "free: both lacks the licence, low the priority", free)
		f.check()
		f.act(b.ID, pipeline.EventCancel, "")
		f.until(both.ID, "free", free)
		f.check()
		if len(f.row(low.ID).Held) == 0 {
			t.Error("low is not held any more")
		}
		if err := f.s.SetSlot(t.Context(), store.Slot{SlotKey: store.SlotKey{Scope: store.ScopeNamed, Name: "warehouse"}, Max: 3}); err != nil {
			t.Fatal(err)
		}
		f.until(low.ID, "free after the slot has one more place", free)
		f.check()
	})
}

// TestResourceGroups: of the runs of a project one job has a group at a time, and
// who comes next is decided by the process mode.
func TestResourceGroups(t *testing.T) {
	t.Parallel()
	for mode, want := range map[pipeline.ResourceMode]string{
		pipeline.ResourceModeUnordered:        "1 2 3",
		pipeline.ResourceModeOldestFirst:      "1 2 3",
		pipeline.ResourceModeNewestReadyFirst: "1 3 2",
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, address string) {
				f := newFixture(t, address)
				if err := f.s.SetSlot(t.Context(), store.Slot{SlotKey: store.SlotKey{Scope: store.GroupScope(f.project), Name: "prod"}, Max: 1, Policy: string(mode)}); err != nil {
					t.Fatal(err)
				}
				session := f.session()
				number := map[int64]string{}
				for i := range 3 {
					r := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "deploy", ResourceGroup: "prod"}))
					number[r.ID] = fmt.Sprint(i + 1)
					if want := pipeline.StatusWaitingForResource; i > 0 && r.Status != want {
						t.Errorf("run %d is %s, want %s", i+1, r.Status, want)
					}
				}
				f.check()
				var order []string
				for range 3 {
					var a []scheduler.Assignment
					for range 100 {
						if a = f.take(session, 5); len(a) > 0 {
							break
						}
						time.Sleep(5 * time.Millisecond)
					}
					if len(a) != 1 {
						t.Fatalf("got %+v, want one job", a)
					}
					order = append(order, number[a[0].Run])
					f.finish(session, a[0].Fence, pipeline.StatusSuccess)
				}
				if got := strings.Join(order, " "); got != want {
					t.Errorf("order %s, want %s", got, want)
				}
				f.check()
			})
		})
	}
}

// TestGroupWithinRun: two jobs of a run share the group with other runs; between
// them the older run's second job does not starve the other.
func TestGroupWithinRun(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		session := f.session()
		two := func() store.Run {
			return f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "a", ResourceGroup: "g", Retry: pipeline.Retry{Max: 1}}, pipeline.Job{Name: "b", ResourceGroup: "g"}))
		}
		first, second := two(), two()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running, most int
		var mu sync.Mutex
		go func() {
			_ = f.runner(ctx, session, 4, func(a scheduler.Assignment) scheduler.Result {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				running--
				mu.Unlock()
				if a.Attempt == 1 && a.Job.Name == "a" {
					return scheduler.Result{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure}
				}
				return success(a)
			})
		}()
		if got := f.wait(first.ID); got.Status != pipeline.StatusSuccess {
			t.Errorf("first %s", got.Status)
		}
		if got := f.wait(second.ID); got.Status != pipeline.StatusSuccess {
			t.Errorf("second %s", got.Status)
		}
		if most != 1 {
			t.Errorf("%d at a time, want 1", most)
		}
		f.check()
	})
}

// TestRandomSlots is invariant 7: with random limits, servers that restart and
// runners that die, a slot never has more holders than places, and at rest
// nothing waits for one that is free.
func TestRandomSlots(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 3, func(f *fixture) { f.lease = 2 * time.Second })
		f := servers[0]
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+soak())
		defer cancel()
		for i, name := range []string{"s0", "s1", "s2"} {
			if err := f.s.SetSlot(ctx, store.Slot{SlotKey: store.SlotKey{Scope: store.ScopeNamed, Name: name}, Max: i + 1}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 6 {
			random := rand.New(rand.NewPCG(uint64(i), 9))
			go func() {
				for ctx.Err() == nil {
					servers[i%len(servers)].unreliable(ctx, random, func(scheduler.Assignment) {})
				}
			}()
		}
		random := rand.New(rand.NewPCG(3, 4))
		begin := time.Now()
		for round := 0; round == 0 || time.Since(begin) < soak(); round++ {
			var runs []store.Run
			for i := range 40 {
				on := servers[random.IntN(len(servers))]
				n := scheduler.NewRun{Project: f.project, Priority: random.IntN(3), Pipeline: randomPipeline(random)}
				for k := range 3 {
					if random.IntN(3) == 0 {
						n.Slots = append(n.Slots, fmt.Sprint("s", k))
					}
				}
				if random.IntN(2) == 0 {
					n.Flow = int64(1 + random.IntN(3))
					n.Concurrency = int(n.Flow)
					n.WhenBusy = []scheduler.WhenBusy{scheduler.BusyQueue, scheduler.BusySkip, scheduler.BusyCancelOld}[n.Flow-1]
				}
				for k := range n.Pipeline.Jobs {
					if random.IntN(4) == 0 {
						n.Pipeline.Jobs[k].ResourceGroup = fmt.Sprint("g", random.IntN(2))
					}
				}
				r, err := on.s.Create(ctx, n)
				if err != nil {
					t.Fatal(err)
				}
				runs = append(runs, r)
				switch random.IntN(6) {
				case 0:
					_ = on.s.Act(ctx, runs[random.IntN(len(runs))].ID, pipeline.Event{Kind: pipeline.EventCancel})
				case 1:
					_ = on.s.Act(ctx, runs[random.IntN(len(runs))].ID, pipeline.Event{Kind: pipeline.EventRetry})
				}
				if i%10 == 5 {
					on.restart()
				}
				f.checkSlots()
			}
			for _, r := range runs {
				f.until(r.ID, "over", func(r store.Run) bool { return !r.Finished.IsZero() })
			}
			f.check()
		}
	})
}

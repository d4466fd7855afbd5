package scheduler_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// applied is what advanced a run, in one commit.
type applied struct {
	version int64
	events  []pipeline.Event
}

// TestStoredIsAdvanced is invariant 5: what is stored of a run is what Advance says
// over its events, on several servers whose memory is emptied at random.
func TestStoredIsAdvanced(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		var mu sync.Mutex
		log := map[int64][]applied{}
		servers := cluster(t, address, 3, func(f *fixture) {
			f.lease = 2 * time.Second
			f.prepare = func(s *scheduler.Scheduler) {
				s.Applied(func(run, version int64, events []pipeline.Event) {
					mu.Lock()
					defer mu.Unlock()
					log[run] = append(log[run], applied{version, events})
				})
			}
		})
		f := servers[0]
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+soak())
		defer cancel()
		for i := range 6 {
			random := rand.New(rand.NewPCG(uint64(i), 11))
			go func() {
				for ctx.Err() == nil {
					servers[i%len(servers)].unreliable(ctx, random, func(scheduler.Assignment) {})
				}
			}()
		}
		random := rand.New(rand.NewPCG(6, 7))
		begin := time.Now()
		for round := 0; round == 0 || time.Since(begin) < soak(); round++ {
			pipelines := map[int64]*pipeline.Pipeline{}
			var runs []store.Run
			for range 25 {
				on := servers[random.IntN(len(servers))]
				p := randomPipeline(random)
				for k := range p.Jobs {
					if random.IntN(6) == 0 {
						p.Jobs[k].ResourceGroup = "g"
					}
				}
				r := on.createRun(scheduler.NewRun{Pipeline: p})
				runs, pipelines[r.ID] = append(runs, r), p
				on.s.ForgetRuns()
				kind := []pipeline.EventKind{pipeline.EventCancel, pipeline.EventRetry, "", ""}[random.IntN(4)]
				if kind != "" {
					_ = on.s.Act(ctx, runs[random.IntN(len(runs))].ID, pipeline.Event{Kind: kind})
				}
			}
			for _, r := range runs {
				f.until(r.ID, "over", func(r store.Run) bool { return !r.Finished.IsZero() })
			}
			f.check()
			mu.Lock()
			for id, p := range pipelines {
				if got, want := f.stored(id, len(p.Jobs)), replay(t, p, log[id]); got != want {
					t.Errorf("run %d: stored %s\nadvanced %s", id, got, want)
				}
			}
			mu.Unlock()
		}
	})
}

// stored writes a run's state as it is in the database.
func (f *fixture) stored(id int64, n int) string {
	f.t.Helper()
	rows, err := f.store.RunJobs(f.t.Context(), id)
	if err != nil {
		f.t.Fatal(err)
	}
	jobs := make([]pipeline.JobState, n)
	for i := range jobs {
		jobs[i].Status, jobs[i].Attempt = pipeline.StatusCreated, 1
	}
	for _, j := range rows {
		jobs[j.Pos] = j.JobState
	}
	r := f.row(id)
	return fmt.Sprintf("%s %s %v %+v", r.Status, r.Result, r.Stages, jobs)
}

// replay advances a run from its first event on.
func replay(t *testing.T, p *pipeline.Pipeline, log []applied) string {
	t.Helper()
	g, err := pipeline.NewGraph(p)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(log, func(a, b applied) int { return cmp.Compare(a.version, b.version) })
	var s pipeline.State
	for _, a := range log {
		s.BusyGroups = []string{"g"}
		if s, _, err = g.Advance(s, a.events...); err != nil {
			t.Fatalf("%+v: %v", a.events, err)
		}
	}
	return fmt.Sprintf("%s %s %v %+v", s.Status, pipeline.ResultOf(s), s.Stages, s.Jobs)
}

// TestNoLostWake is invariant 10: servers that give each other no hints still find
// each other's jobs, cancels, messages and timers, and never wait for each other.
func TestNoLostWake(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 3, withChildren(always(one("x"))), func(f *fixture) {
			f.prepare = func(s *scheduler.Scheduler) { s.NoHints() }
		})
		f, last := servers[0], servers[len(servers)-1]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		session, err := last.s.OpenSession(ctx, 1, []string{"rare"}, false)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = last.runner(ctx, session, 2, success) }()
		time.Sleep(20 * time.Millisecond)
		begin := time.Now()
		// The lane is new, the runner stands at another server.
		p := jobs(&pipeline.Pipeline{Stages: []string{"a", "b", "c", "d"}},
			pipeline.Job{Name: "new lane", Stage: "a", Tags: []string{"rare"}},
			pipeline.Job{Name: "delayed", Stage: "b", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(10 * time.Millisecond)},
			pipeline.Job{Name: "child", Stage: "c", Downstream: &pipeline.Downstream{Strategy: "depend"}},
			pipeline.Job{Name: "group", Stage: "d", ResourceGroup: "g"})
		var runs []store.Run
		for i := range 12 {
			runs = append(runs, servers[i%len(servers)].createRun(scheduler.NewRun{Pipeline: p, Slots: []string{fmt.Sprint("s", i%2)}}))
		}
		for _, r := range runs {
			f.untilStatus(r.ID, pipeline.StatusSuccess)
		}
		if took := time.Since(begin); took > 60*time.Second {
			t.Errorf("it took %s: somebody waits for a timeout", took)
		}
		f.check()
	})
}

// TestWatch: a reader hears of each change, a slow one of the last; changes of
// another server come too.
func TestWatch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 2)
		f, other := servers[0], servers[len(servers)-1]
		all := f.s.Watch(0)
		defer all.Close()
		r := other.create(chain(2))
		one := f.s.Watch(r.ID)
		session := f.session()
		version, heard := map[int64]int64{}, map[int64]int64{} // what is known, and what a change said
		read := func(w *scheduler.Watch, want int64) {
			t.Helper()
			deadline := time.After(10 * time.Second)
			for version[r.ID] < want {
				select {
				case <-w.Ready:
				case <-deadline:
					t.Fatalf("version %d was not heard of, only %d", want, version[r.ID])
				}
				list, missed := w.Take()
				if missed {
					version[r.ID] = max(version[r.ID], f.row(r.ID).Version)
				}
				for _, c := range list {
					if c.Version <= heard[c.Run] {
						t.Errorf("version %d after %d", c.Version, heard[c.Run])
					}
					heard[c.Run] = c.Version
					version[c.Run] = max(version[c.Run], c.Version) // the store may have said it before
				}
			}
		}
		read(all, 1)
		for range 2 {
			f.work(session, pipeline.StatusSuccess)
		}
		last := f.row(r.ID).Version
		read(all, last)
		version[r.ID], heard[r.ID] = 0, 0
		read(one, last)
		one.Close()
		other.create(chain(1))
		f.stop()
		select {
		case <-all.Ready:
			for range all.Ready { // until it is closed
			}
		case <-time.After(5 * time.Second):
			t.Error("the watch does not end with the scheduler")
		}
	})
}

// TestRetention: old runs go with what they started, the last good one of a ref
// and what has not ended stay.
func TestRetention(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address, withChildren(always(one("x"))))
		session := f.session()
		end := func(status pipeline.Status, flow int64) store.Run {
			r := f.createRun(scheduler.NewRun{Pipeline: one("x"), Flow: flow, Ref: "main", Facts: []byte("f")})
			f.work(session, status)
			return f.untilStatus(r.ID, status)
		}
		good := end(pipeline.StatusSuccess, 1)
		for range 60 {
			end(pipeline.StatusFailed, 1)
		}
		newest := end(pipeline.StatusFailed, 1)
		family := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "t", Downstream: &pipeline.Downstream{Strategy: "depend"}}))
		child := f.childOf(family.ID, 1)
		f.work(session, pipeline.StatusSuccess)
		f.untilStatus(family.ID, pipeline.StatusSuccess)
		open := f.create(one("x"))
		n, err := f.s.Retain(t.Context(), store.Retention{Project: f.project, Count: 2, KeepLastGood: true})
		if err != nil || n != 60 {
			t.Errorf("removed %d, %v; want 60", n, err)
		}
		left := func() []int64 {
			list, err := f.store.Runs(t.Context(), store.RunFilter{Limit: 200})
			if err != nil {
				t.Fatal(err)
			}
			var ids []int64
			for _, r := range list {
				ids = append(ids, r.ID)
			}
			slices.Sort(ids)
			return ids
		}
		want := []int64{good.ID, newest.ID, family.ID, child.ID, open.ID}
		slices.Sort(want)
		if got := left(); !slices.Equal(got, want) {
			t.Errorf("left %v, want %v", got, want)
		}
		f.check()
		time.Sleep(5 * time.Millisecond)
		if _, err := f.s.Retain(t.Context(), store.Retention{Project: f.project, Age: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		if got := left(); !slices.Equal(got, []int64{open.ID}) {
			t.Errorf("left %v, want %d alone", got, open.ID)
		}
		if n, err := f.s.Retain(t.Context(), store.Retention{Project: f.project}); err != nil || n != 0 {
			t.Errorf("without limits: removed %d, %v", n, err)
		}
		if rows, err := f.store.RunJobs(t.Context(), child.ID); err != nil || len(rows) > 0 {
			t.Errorf("jobs of a removed run: %v, %v", rows, err)
		}
		f.check()
	})
}

package scheduler_test

import (
	"context"
	"errors"
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

// fixture is a scheduler at work on a store.
type fixture struct {
	t       testing.TB
	store   *store.Store
	s       *scheduler.Scheduler
	project int64
	stop    func()
	lease   time.Duration // 0: the default
	starter scheduler.Starter
	now     func() time.Time
	prepare func(*scheduler.Scheduler)
	swap    sync.Mutex // of s, where a server is started again beside its use
}

func newFixture(t testing.TB, address string, set ...func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: storetest.Open(t, address)}
	for _, s := range set {
		s(f)
	}
	ids, err := f.store.NewIDs(t.Context(), "project", 1)
	if err != nil {
		t.Fatal(err)
	}
	f.project = ids[0]
	err = f.store.Update(t.Context(), func(tx *store.Tx) error {
		return tx.AddProject(t.Context(), store.Project{ID: f.project, Name: fmt.Sprint("p", f.project), Created: time.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *fixture) start() {
	ctx, cancel := context.WithCancel(context.Background())
	now := f.now
	if now == nil {
		now = time.Now
	}
	f.s = scheduler.New(f.store, now)
	if f.lease > 0 {
		f.s.Lease = f.lease
	}
	f.s.Starter = f.starter
	if f.prepare != nil {
		f.prepare(f.s)
	}
	done := make(chan error, 1)
	go func() { done <- f.s.Run(ctx) }()
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
}

func (f *fixture) create(p *pipeline.Pipeline) store.Run {
	f.t.Helper()
	r, err := f.s.Create(f.t.Context(), scheduler.NewRun{Project: f.project, Pipeline: p, Source: pipeline.TriggerPush, Ref: "main"})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fixture) session(tags ...string) int64 {
	f.t.Helper()
	id, err := f.s.OpenSession(f.t.Context(), 1, tags, false)
	if err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) check() {
	f.t.Helper()
	broken, err := f.store.Check(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	if len(broken) > 0 {
		f.t.Errorf("the database is not consistent:\n%s", strings.Join(broken, "\n"))
	}
}

// row returns a run as it is stored.
func (f *fixture) row(id int64) store.Run {
	f.t.Helper()
	var list []store.Run
	err := f.store.Update(f.t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.LockRuns(f.t.Context(), []int64{id})
		return err
	})
	if err != nil || len(list) != 1 {
		f.t.Fatalf("run %d: %v, %v", id, list, err)
	}
	return list[0]
}

func jobs(p *pipeline.Pipeline, list ...pipeline.Job) *pipeline.Pipeline {
	for _, j := range list {
		if j.Stage == "" {
			j.Stage = "test"
		}
		if j.When == "" {
			j.When = pipeline.WhenOnSuccess
		}
		p.Jobs = append(p.Jobs, j)
	}
	return p
}

func chain(n int) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Stages: []string{"test"}}
	for i := range n {
		j := pipeline.Job{Name: fmt.Sprint("j", i), DAG: true}
		if i > 0 {
			j.Needs = []pipeline.Need{{Job: fmt.Sprint("j", i-1)}}
		}
		jobs(p, j)
	}
	return p
}

// runner works like a runner that needs no time, until ctx is done. outcome says
// what becomes of an attempt.
func (f *fixture) runner(ctx context.Context, session int64, free int, outcome func(scheduler.Assignment) scheduler.Result) error {
	for ctx.Err() == nil {
		a, err := f.s.Poll(ctx, session, free, nil, 10*time.Second)
		if err != nil {
			return err
		}
		for _, job := range a.Jobs {
			err := f.s.Finish(ctx, session, job.Fence, outcome(job))
			if err != nil && !errs.Is(err, errs.Conflict) {
				return err
			}
		}
	}
	return ctx.Err()
}

func success(scheduler.Assignment) scheduler.Result {
	return scheduler.Result{Status: pipeline.StatusSuccess}
}

// wait returns when a run has ended.
func (f *fixture) wait(id int64) store.Run {
	f.t.Helper()
	for range 3000 {
		if r := f.row(id); r.Status.Done() {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("run %d has not ended: %+v", id, f.row(id))
	return store.Run{}
}

func TestRunToItsEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = f.runner(ctx, f.session(), 4, success) }()
		r := f.create(chain(20))
		if r.Number != 1 {
			t.Errorf("number %d, want 1", r.Number)
		}
		if got := f.wait(r.ID); got.Status != pipeline.StatusSuccess {
			t.Errorf("status %s, want success", got.Status)
		}
		again := f.create(chain(20))
		if again.Number != 2 || again.Pipeline != r.Pipeline {
			t.Errorf("number %d, pipeline %d; want 2 and the same pipeline %d", again.Number, again.Pipeline, r.Pipeline)
		}
		f.wait(again.ID)
		f.check()
	})
}

// TestQueue: what is pending while no runner waits is found by the next that asks,
// by tags and priority.
func TestQueue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		p := &pipeline.Pipeline{Stages: []string{"test"}}
		f.create(jobs(p, pipeline.Job{Name: "any"}, pipeline.Job{Name: "gpu", Tags: []string{"gpu"}}))
		_, err := f.s.Create(t.Context(), scheduler.NewRun{Project: f.project, Priority: 5,
			Pipeline: jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "urgent"})})
		if err != nil {
			t.Fatal(err)
		}
		f.check()
		plain, gpu := f.session("linux"), f.session("linux", "gpu")
		take := func(session int64, free int) string {
			t.Helper()
			a, err := f.s.Poll(t.Context(), session, free, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, j := range a.Jobs {
				names = append(names, j.Job.Name)
			}
			return strings.Join(names, " ")
		}
		if got := take(plain, 1); got != "urgent" {
			t.Errorf("first: got %q, want urgent", got)
		}
		if got := take(gpu, 5); got != "any gpu" {
			t.Errorf("with tag gpu: got %q, want any gpu", got)
		}
		if got := take(plain, 5); got != "urgent" {
			t.Errorf("not confirmed: got %q, want urgent again", got)
		}
		f.check()
	})
}

// TestLateResults: an attempt starts and ends once, whatever is sent again or late.
func TestLateResults(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		r := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x"}))
		first, second := f.session(), f.session()
		poll := func(session int64, have ...scheduler.Have) scheduler.Answer {
			t.Helper()
			a, err := f.s.Poll(ctx, session, 1, have, 0)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		lost := poll(first).Jobs[0]
		poll(first, scheduler.Have{Fence: lost.Fence})
		if err := f.s.EndSession(ctx, first); err != nil {
			t.Fatal(err)
		}
		f.check()
		if err := f.s.Finish(ctx, first, lost.Fence, scheduler.Result{Status: pipeline.StatusSuccess}); err == nil {
			t.Error("a result after the end of its session was taken")
		}
		if got := f.row(r.ID).Status; got != pipeline.StatusFailed {
			t.Errorf("status %s, want failed", got)
		}
		if err := f.s.Act(ctx, r.ID, pipeline.Event{Kind: pipeline.EventRetry, Job: "x"}); err != nil {
			t.Fatal(err)
		}
		a := poll(second).Jobs[0]
		if a.Attempt != 2 {
			t.Errorf("attempt %d, want 2", a.Attempt)
		}
		ok := scheduler.Result{Status: pipeline.StatusSuccess, Digest: "d1"}
		for i := range 3 {
			if err := f.s.Finish(ctx, second, a.Fence, ok); err != nil {
				t.Errorf("the same result, time %d: %v", i+1, err)
			}
		}
		if err := f.s.Finish(ctx, second, a.Fence, scheduler.Result{Status: pipeline.StatusFailed, Digest: "d2"}); !errs.Is(err, errs.Conflict) {
			t.Errorf("another result: got %v, want a conflict", err)
		}
		if err := f.s.Finish(ctx, second, a.Fence, scheduler.Result{Status: pipeline.StatusRunning, Digest: "d3"}); !errs.Is(err, errs.Conflict) {
			t.Errorf("no end at all: got %v, want a conflict", err)
		}
		if err := f.s.Finish(ctx, second, 999999, ok); !errs.Is(err, errs.NotFound) {
			t.Errorf("no such attempt: got %v, want not found", err)
		}
		if got := poll(second, scheduler.Have{Fence: a.Fence}).Gone; len(got) != 1 {
			t.Errorf("gone %v, want the attempt that ended", got)
		}
		if got := f.row(r.ID).Status; got != pipeline.StatusSuccess {
			t.Errorf("status %s, want success", got)
		}
		f.check()
	})
}

// TestUnconfirmed: an attempt that its runner never had does not count.
func TestUnconfirmed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x"}))
		dead, alive := f.session(), f.session()
		if a, err := f.s.Poll(t.Context(), dead, 1, nil, 0); err != nil || len(a.Jobs) != 1 {
			t.Fatal(a, err)
		}
		if err := f.s.EndSession(t.Context(), dead); err != nil {
			t.Fatal(err)
		}
		f.check()
		a, err := f.s.Poll(t.Context(), alive, 1, nil, 0)
		if err != nil || len(a.Jobs) != 1 || a.Jobs[0].Attempt != 1 {
			t.Errorf("got %+v, %v; want attempt 1 again", a, err)
		}
		if _, err := f.s.Poll(t.Context(), dead, 1, nil, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("the ended session: got %v, want not found", err)
		}
		f.check()
	})
}

// TestCancel: a standing poll hears at once of a job that is to end.
func TestCancel(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		r := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x"}))
		session := f.session()
		a, err := f.s.Poll(t.Context(), session, 1, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		fence := a.Jobs[0].Fence
		heard := make(chan scheduler.Answer, 1)
		go func() {
			a, err := f.s.Poll(t.Context(), session, 1, []scheduler.Have{{Fence: fence}}, 20*time.Second)
			if err != nil {
				t.Error(err)
			}
			heard <- a
		}()
		time.Sleep(50 * time.Millisecond)
		if err := f.s.Act(t.Context(), r.ID, pipeline.Event{Kind: pipeline.EventCancel}); err != nil {
			t.Fatal(err)
		}
		if a := <-heard; len(a.Cancel) != 1 || a.Cancel[0] != fence {
			t.Errorf("got %+v, want cancel of %d", a, fence)
		}
		if err := f.s.Finish(t.Context(), session, fence, scheduler.Result{Status: pipeline.StatusSuccess}); err != nil {
			t.Fatal(err)
		}
		if got := f.row(r.ID).Status; got != pipeline.StatusCanceled {
			t.Errorf("status %s, want canceled", got)
		}
		f.check()
	})
}

// TestDelayed: a delayed job starts by its timer, after a restart too.
func TestDelayed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		r := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(300 * time.Millisecond)}))
		f.check()
		f.stop()
		f.start()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = f.runner(ctx, f.session(), 1, success) }()
		if got := f.wait(r.ID); got.Status != pipeline.StatusSuccess {
			t.Errorf("status %s, want success", got.Status)
		}
		f.check()
	})
}

// TestRandom runs random graphs with runners that fail, die and answer twice, on
// up to three schedulers of one database, and then looks whether all ended and
// the database is consistent.
func TestRandom(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		servers := []*fixture{f}
		if strings.HasPrefix(address, "postgres") {
			for range 2 {
				other := &fixture{t: t, store: storetest.Open(t, address), project: f.project}
				other.start()
				t.Cleanup(func() { other.stop() })
				servers = append(servers, other)
			}
		}
		count := 60
		if testing.Short() {
			count = 15
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		var mu sync.Mutex
		started := map[string]int{}
		for i := range 6 {
			on := servers[i%len(servers)]
			random := rand.New(rand.NewPCG(uint64(i), 7))
			go func() {
				for ctx.Err() == nil {
					on.unreliable(ctx, random, func(a scheduler.Assignment) {
						mu.Lock()
						defer mu.Unlock()
						started[fmt.Sprintf("run %d job %d attempt %d", a.Run, a.Position, a.Attempt)]++
					})
				}
			}()
		}
		random := rand.New(rand.NewPCG(1, 2))
		var runs []store.Run
		for i := range count {
			on := servers[i%len(servers)]
			runs = append(runs, on.create(randomPipeline(random)))
			if random.IntN(5) == 0 {
				_ = on.s.Act(ctx, runs[random.IntN(len(runs))].ID, pipeline.Event{Kind: pipeline.EventCancel})
			}
		}
		for _, r := range runs {
			f.wait(r.ID)
		}
		mu.Lock()
		for what, n := range started {
			if n > 1 {
				t.Errorf("%s was confirmed and finished %d times", what, n)
			}
		}
		mu.Unlock()
		f.check()
	})
}

// unreliable is one session of a runner that sometimes dies.
func (f *fixture) unreliable(ctx context.Context, random *rand.Rand, ended func(scheduler.Assignment)) {
	s := f.current()
	session, err := s.OpenSession(ctx, 1, nil, false)
	if err != nil {
		sleep(ctx)
		return
	}
	for ctx.Err() == nil {
		a, err := s.Poll(ctx, session, 1+random.IntN(4), nil, time.Second)
		if err != nil {
			return
		}
		for _, job := range a.Jobs {
			if random.IntN(30) == 0 { // died: somebody notices
				_ = s.EndSession(ctx, session)
				_ = s.Finish(ctx, session, job.Fence, scheduler.Result{Status: pipeline.StatusSuccess, Digest: "late"})
				return
			}
			result := scheduler.Result{Status: pipeline.StatusSuccess, Digest: "ok"}
			if random.IntN(10) == 0 {
				result = scheduler.Result{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 1, Digest: "red"}
			}
			err := s.Finish(ctx, session, job.Fence, result)
			if err == nil {
				ended(job)
			} else if errs.Is(err, errs.Unavailable) {
				return // the server was stopped, with what the runner has
			} else if !errs.Is(err, errs.Conflict) && !errors.Is(err, context.Canceled) && ctx.Err() == nil {
				f.t.Error(err)
			}
			if random.IntN(5) == 0 {
				_ = s.Finish(ctx, session, job.Fence, result)
			}
		}
	}
}

// sleep waits a moment before the next try.
func sleep(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Millisecond):
	}
}

func randomPipeline(random *rand.Rand) *pipeline.Pipeline {
	p := &pipeline.Pipeline{Stages: []string{"a", "b", "c"}}
	for _, stage := range p.Stages {
		for range 1 + random.IntN(5) {
			j := pipeline.Job{Name: fmt.Sprintf("j%d", len(p.Jobs)), Stage: stage, AllowFailure: random.IntN(4) == 0}
			if random.IntN(3) == 0 {
				j.Retry.Max = 1 + random.IntN(2)
			}
			switch random.IntN(8) {
			case 0:
				j.When = pipeline.WhenAlways
			case 1:
				j.When = pipeline.WhenOnFailure
			case 2:
				j.When, j.StartIn = pipeline.WhenDelayed, pipeline.Duration(random.IntN(30))*pipeline.Duration(time.Millisecond)
			}
			if random.IntN(2) == 0 {
				j.DAG = true
				for range random.IntN(3) {
					if len(p.Jobs) > 0 {
						j.Needs = append(j.Needs, pipeline.Need{Job: p.Jobs[random.IntN(len(p.Jobs))].Name})
					}
				}
			}
			jobs(p, j)
		}
	}
	return p
}

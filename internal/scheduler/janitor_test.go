package scheduler_test

import (
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store/storetest"
)

// shortLease is long for a runner that polls all the time, on a busy machine too.
const shortLease = time.Second

func withLease(f *fixture) { f.lease = shortLease }

// TestSilentSession is invariant 3: the lease of a runner that is silent ends on
// every server, whatever the wall clock does, and what it reports afterwards
// changes nothing. One that polls keeps its lease.
func TestSilentSession(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		var jump atomic.Int64
		servers := cluster(t, address, 2, withLease, func(f *fixture) {
			f.now = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
		})
		f := servers[0]
		ctx := t.Context()
		p := jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "kept"}, pipeline.Job{Name: "lost"}, pipeline.Job{Name: "never"})
		r := f.create(p)
		alive, dead := f.session(), f.session()
		kept := f.take(alive, 1)[0]
		given := f.take(dead, 2)
		if len(given) != 2 {
			t.Fatalf("got %+v, want 2 jobs", given)
		}
		if _, err := f.s.Poll(ctx, dead, 0, []scheduler.Have{{Fence: given[0].Fence}}, 0); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		ended := time.Duration(0)
		for i := 0; time.Since(begin) < 3*shortLease; i++ {
			jump.Store(int64(time.Hour) * int64(i%3-1))
			if _, err := servers[i%len(servers)].s.Poll(ctx, alive, 0, []scheduler.Have{{Fence: kept.Fence}}, 0); err != nil {
				t.Fatalf("the session that polls: %v", err)
			}
			if ended == 0 {
				open, err := f.store.OpenSessions(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if len(open) == 1 {
					ended = time.Since(begin)
				}
			}
			time.Sleep(shortLease / 20)
		}
		if ended < shortLease*8/10 || ended == 0 {
			t.Errorf("the silent session ended after %s, want about %s", ended, shortLease)
		}
		stop := f.keepAlive(alive, kept.Fence)
		defer stop()
		f.untilStatuses(r.ID, "running failed pending")
		rows, err := f.store.RunJobs(ctx, r.ID)
		if err != nil || rows[1].Reason != pipeline.ReasonRunnerSystemFailure || rows[1].Note == "" || rows[2].Attempt != 1 {
			t.Errorf("got %+v, %v", rows, err)
		}
		f.check()
		for _, a := range given {
			if err := f.s.Finish(ctx, dead, a.Fence, scheduler.Result{Status: pipeline.StatusSuccess, Digest: "late"}); !errs.Is(err, errs.Conflict) {
				t.Errorf("a late result: got %v, want a conflict", err)
			}
		}
		if got := f.statuses(r.ID); got != "running failed pending" {
			t.Errorf("after late results %s", got)
		}
		if _, err := f.s.Poll(ctx, dead, 1, nil, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("a poll of the ended session: got %v, want not found", err)
		}
		f.check()
	})
}

// keepAlive polls for a session until it is stopped.
func (f *fixture) keepAlive(session, fence int64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(shortLease / 20):
				_, _ = f.s.Poll(f.t.Context(), session, 0, []scheduler.Have{{Fence: fence}}, 0)
			}
		}
	}()
	return func() { close(done); <-ended }
}

// TestRestartGrantsLease: a server that starts does not know how long a session was
// silent, so it grants a whole lease.
func TestRestartGrantsLease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address, withLease)
		session := f.session()
		f.stop()
		time.Sleep(2 * shortLease)
		f.start()
		time.Sleep(shortLease / 2)
		if _, err := f.s.Poll(t.Context(), session, 1, nil, 0); err != nil {
			t.Errorf("half a lease after the start: %v", err)
		}
	})
}

// TestDrain: a runner that drains takes no more jobs, hears of it at once, and
// finishes what it has.
func TestDrain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 2)
		f, ctx := servers[0], t.Context()
		session := f.session()
		heard := make(chan scheduler.Answer, 1)
		go func() {
			a, err := f.s.Poll(ctx, session, 1, nil, 20*time.Second)
			if err != nil {
				t.Error(err)
			}
			heard <- a
		}()
		time.Sleep(50 * time.Millisecond)
		if err := servers[len(servers)-1].s.Drain(ctx, session, true); err != nil {
			t.Fatal(err)
		}
		select {
		case a := <-heard:
			if !a.Drain {
				t.Errorf("got %+v, want drain", a)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the standing poll does not hear of it")
		}
		r := f.create(one("x"))
		if a, err := f.s.Poll(ctx, session, 1, nil, 0); err != nil || len(a.Jobs) > 0 || !a.Drain {
			t.Errorf("got %+v, %v; want no job and drain", a, err)
		}
		if got := f.why(r.ID, 0); got != "every runner that fits is draining" {
			t.Errorf("why: %q", got)
		}
		if err := f.s.Drain(ctx, session, false); err != nil {
			t.Fatal(err)
		}
		a := f.take(session, 1)
		if len(a) != 1 {
			t.Fatalf("got %+v, want the job", a)
		}
		next := f.create(one("y"))
		answer, err := f.s.FinishAndPoll(ctx, session, a[0].Fence, scheduler.Result{Status: pipeline.StatusSuccess}, 1, nil)
		if err != nil || len(answer.Jobs) != 1 || answer.Jobs[0].Run != next.ID {
			t.Errorf("a result with a poll: got %+v, %v; want the next job", answer, err)
		}
		if err := f.s.Drain(ctx, 999, true); !errs.Is(err, errs.NotFound) {
			t.Errorf("no such session: got %v, want not found", err)
		}
		f.check()
	})
}

// TestSeveralServersOneRunner: a runner behind a balancer reaches any server with
// each call; what one gave it the others know.
func TestSeveralServersOneRunner(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 3)
		f, ctx := servers[0], t.Context()
		on := func(i int) *scheduler.Scheduler { return servers[i%len(servers)].s }
		session := f.session()
		r := f.create(chain(6))
		for i := range 6 {
			var a scheduler.Answer
			for range 200 {
				var err error
				if a, err = on(i).Poll(ctx, session, 1, nil, 0); err != nil {
					t.Fatal(err)
				}
				if len(a.Jobs) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if len(a.Jobs) != 1 {
				t.Fatalf("job %d: got %+v", i, a)
			}
			fence := a.Jobs[0].Fence
			a, err := on(i+1).Poll(ctx, session, 0, []scheduler.Have{{Fence: fence}}, 0)
			if err != nil || len(a.Gone) > 0 || len(a.Jobs) > 0 {
				t.Errorf("on another server: got %+v, %v; want nothing to change", a, err)
			}
			if err := on(i+2).Finish(ctx, session, fence, scheduler.Result{Status: pipeline.StatusSuccess, Digest: "d"}); err != nil {
				t.Fatal(err)
			}
			a, err = on(i).Poll(ctx, session, 0, []scheduler.Have{{Fence: fence}}, 0)
			if err != nil || len(a.Gone) != 1 {
				t.Errorf("after the end: got %+v, %v; want it gone", a, err)
			}
		}
		f.untilStatus(r.ID, pipeline.StatusSuccess)
		// A cancel on one server reaches the poll that stands on another.
		r = f.create(one("x"))
		a := f.take(session, 1)
		heard := make(chan scheduler.Answer, 1)
		go func() {
			a, err := on(1).Poll(ctx, session, 0, []scheduler.Have{{Fence: a[0].Fence}}, 20*time.Second)
			if err != nil {
				t.Error(err)
			}
			heard <- a
		}()
		time.Sleep(50 * time.Millisecond)
		begin := time.Now()
		f.act(r.ID, pipeline.EventCancel, "")
		if got := <-heard; len(got.Cancel) != 1 || time.Since(begin) > 5*time.Second {
			t.Errorf("got %+v after %s, want the cancel", got, time.Since(begin))
		}
		f.check()
	})
}

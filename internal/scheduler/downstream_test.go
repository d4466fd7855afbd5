package scheduler_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// starter makes runs of pipelines that a test gives.
type starter struct {
	of    func() *scheduler.Scheduler
	child func(scheduler.ChildStart) (*pipeline.Pipeline, error)
	flow  func(scheduler.FlowStart) (*pipeline.Pipeline, error)
	calls atomic.Int64

	project int64
}

func (x *starter) StartChild(ctx context.Context, start scheduler.ChildStart) (store.Run, error) {
	x.calls.Add(1)
	p, err := x.child(start)
	if err != nil {
		return store.Run{}, err
	}
	return x.of().Create(ctx, scheduler.NewRun{
		Project: start.Run.Project, Pipeline: p, Source: pipeline.TriggerParent, Ref: start.Run.Ref, SHA: start.Run.SHA,
		Parent: start.Run.ID, ParentPos: start.Pos, ParentAttempt: start.Attempt, Key: start.Key,
	})
}

func (x *starter) StartFlow(ctx context.Context, start scheduler.FlowStart) (store.Run, error) {
	x.calls.Add(1)
	p, err := x.flow(start)
	if err != nil {
		return store.Run{}, err
	}
	return x.of().Create(ctx, scheduler.NewRun{Project: x.project, Flow: start.Flow, Pipeline: p, Source: start.Trigger, Key: start.Key, Actor: start.Actor})
}

// withChildren makes servers that start a pipeline for each trigger job.
func withChildren(child func(scheduler.ChildStart) (*pipeline.Pipeline, error)) func(*fixture) {
	return func(f *fixture) {
		f.starter = &starter{of: f.current, child: child}
	}
}

func always(p *pipeline.Pipeline) func(scheduler.ChildStart) (*pipeline.Pipeline, error) {
	return func(scheduler.ChildStart) (*pipeline.Pipeline, error) { return p, nil }
}

func triggers(strategy string) *pipeline.Pipeline {
	return jobs(&pipeline.Pipeline{Stages: []string{"a", "b"}},
		pipeline.Job{Name: "t", Stage: "a", Downstream: &pipeline.Downstream{Strategy: strategy}},
		pipeline.Job{Name: "after", Stage: "b", Tags: []string{"none"}})
}

// childOf waits for the run that a trigger job starts.
func (f *fixture) childOf(parent int64, attempt int) store.Run {
	f.t.Helper()
	for range 1000 {
		list, err := f.store.Runs(f.t.Context(), store.RunFilter{Parent: parent})
		if err != nil {
			f.t.Fatal(err)
		}
		for _, r := range list {
			if r.ParentAttempt == attempt {
				return r
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("run %d has no child of attempt %d: %+v", parent, attempt, f.row(parent))
	return store.Run{}
}

// statuses are those of the jobs of a run.
func (f *fixture) statuses(run int64) string {
	f.t.Helper()
	rows, err := f.store.RunJobs(f.t.Context(), run)
	if err != nil {
		f.t.Fatal(err)
	}
	var list []string
	for _, j := range rows {
		list = append(list, string(j.Status))
	}
	return strings.Join(list, " ")
}

func (f *fixture) untilStatuses(run int64, want string) {
	f.t.Helper()
	for range 1000 {
		if f.statuses(run) == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("the jobs of run %d are %s, want %s", run, f.statuses(run), want)
}

// work lets the next job end.
func (f *fixture) work(session int64, status pipeline.Status) scheduler.Assignment {
	f.t.Helper()
	for range 1000 {
		if a := f.take(session, 1); len(a) > 0 {
			f.finish(session, a[0].Fence, status)
			return a[0]
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatal("no job to do")
	return scheduler.Assignment{}
}

// TestChild: how a trigger job follows the run that it starts.
func TestChild(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		strategy string
		child    pipeline.Status // of its job
		early    string          // of the parent while the child runs
		want     string          // of the parent after it
	}{
		{"", pipeline.StatusFailed, "success pending", "success pending"},
		{"depend", pipeline.StatusSuccess, "running", "success pending"},
		{"depend", pipeline.StatusFailed, "running", "failed skipped"},
		{"mirror", pipeline.StatusSuccess, "running", "success pending"},
	} {
		t.Run(tt.strategy+" "+string(tt.child), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, address string) {
				f := newFixture(t, address, withChildren(always(one("x"))))
				session := f.session()
				parent := f.create(triggers(tt.strategy))
				child := f.childOf(parent.ID, 1)
				if child.Parent != parent.ID || child.Source != pipeline.TriggerParent {
					t.Errorf("child %+v", child)
				}
				f.untilStatuses(parent.ID, tt.early)
				f.check()
				f.work(session, tt.child)
				f.untilStatuses(parent.ID, tt.want)
				f.check()
			})
		})
	}
}

// TestChildGoesOn: a child whose jobs are retried, or that waits for a person,
// takes its trigger job with it.
func TestChildGoesOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		p := jobs(&pipeline.Pipeline{Stages: []string{"a", "b"}}, pipeline.Job{Name: "x", Stage: "a"}, pipeline.Job{Name: "m", Stage: "b", When: pipeline.WhenManual})
		f := newFixture(t, address, withChildren(always(p)))
		session := f.session()
		parent := f.create(triggers("mirror"))
		child := f.childOf(parent.ID, 1)
		f.work(session, pipeline.StatusFailed)
		f.untilStatuses(parent.ID, "failed skipped")
		f.check()
		f.act(child.ID, pipeline.EventRetry, "x")
		f.untilStatuses(parent.ID, "running created")
		f.check()
		f.work(session, pipeline.StatusSuccess)
		f.untilStatuses(parent.ID, "manual created")
		if got, want := f.why(parent.ID, 0), fmt.Sprintf("waits for run %d, which waits for a person", child.ID); got != want {
			t.Errorf("why: got %q, want %q", got, want)
		}
		f.check()
		f.act(child.ID, pipeline.EventPlay, "m")
		f.untilStatuses(parent.ID, "running created")
		f.work(session, pipeline.StatusSuccess)
		f.untilStatuses(parent.ID, "success pending")
		f.check()
		// A retry of the trigger job starts another run; the old one is not its any more.
		f.act(parent.ID, pipeline.EventRetry, "t")
		second := f.childOf(parent.ID, 2)
		if second.ID == child.ID {
			t.Error("the retried trigger job has the old run")
		}
		f.act(child.ID, pipeline.EventRetry, "m")
		f.untilStatuses(parent.ID, "running pending")
		f.check()
	})
}

// TestCancelChildren: the cancel of a run reaches what its jobs started, and the
// trigger job ends when that has.
func TestCancelChildren(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address, withChildren(func(c scheduler.ChildStart) (*pipeline.Pipeline, error) {
			if c.Run.Parent == 0 {
				return triggers("depend"), nil
			}
			return one("x"), nil
		}))
		session := f.session()
		parent := f.create(triggers("depend"))
		child := f.childOf(parent.ID, 1)
		grand := f.childOf(child.ID, 1)
		a := f.take(session, 1)
		if len(a) != 1 || a[0].Run != grand.ID {
			t.Fatalf("got %+v, want the job of run %d", a, grand.ID)
		}
		f.act(parent.ID, pipeline.EventCancel, "")
		f.untilStatus(grand.ID, pipeline.StatusCanceling)
		f.untilStatuses(child.ID, "canceling canceled")
		f.untilStatuses(parent.ID, "canceling canceled")
		f.check()
		f.finish(session, a[0].Fence, pipeline.StatusCanceled)
		f.untilStatuses(parent.ID, "canceled canceled")
		if got := f.row(grand.ID); !strings.Contains(got.Note, fmt.Sprintf("run %d", child.ID)) {
			t.Errorf("note %q, want it to name run %d", got.Note, child.ID)
		}
		f.check()

		// Nothing waits for this child, but it belongs to the run.
		loose := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "t", Downstream: &pipeline.Downstream{}}, pipeline.Job{Name: "x", Tags: []string{"none"}}))
		child = f.childOf(loose.ID, 1)
		f.untilStatuses(loose.ID, "success pending")
		f.act(loose.ID, pipeline.EventCancel, "")
		f.until(child.ID, "canceled", func(r store.Run) bool {
			return r.Status == pipeline.StatusCanceled || r.Status == pipeline.StatusCanceling
		})
	})
}

// TestCancelManualChild: a child that still waits for a person when it was canceled
// with its parent did not let the parent end. Nothing takes the parent up again.
func TestCancelManualChild(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address, withChildren(always(jobs(&pipeline.Pipeline{Stages: []string{"a"}},
			pipeline.Job{Name: "runs", Stage: "a"}, pipeline.Job{Name: "ask", Stage: "a", When: pipeline.WhenManual}))))
		session := f.session()
		parent := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "t", Downstream: &pipeline.Downstream{Strategy: "depend"}}))
		child := f.childOf(parent.ID, 1)
		f.untilStatuses(child.ID, "pending manual")
		a := f.take(session, 1)
		if len(a) != 1 {
			t.Fatalf("got %+v, want the job", a)
		}
		f.act(parent.ID, pipeline.EventCancel, "")
		f.untilStatuses(child.ID, "canceling manual")
		f.untilStatuses(parent.ID, "canceling")
		f.finish(session, a[0].Fence, pipeline.StatusCanceled)
		f.untilStatuses(child.ID, "canceled manual")
		f.untilStatus(parent.ID, pipeline.StatusCanceled)
		f.check()
		// A person plays the job all the same: the parent follows, as after a retry.
		f.act(child.ID, pipeline.EventPlay, "ask")
		if a = f.take(session, 1); len(a) != 1 {
			t.Fatalf("got %+v, want the job that was played", a)
		}
		f.untilStatuses(parent.ID, "running")
		f.finish(session, a[0].Fence, pipeline.StatusSuccess)
		f.untilStatus(parent.ID, pipeline.StatusFailed) // the child is still one of which a job was canceled
		f.check()
	})
}

// TestChildCannotStart: a trigger job whose pipeline cannot be made fails with the
// reason; what a later try may make is tried again, also after a restart.
func TestChildCannotStart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		var fault atomic.Pointer[error]
		f := newFixture(t, address, withChildren(func(scheduler.ChildStart) (*pipeline.Pipeline, error) {
			if err := fault.Load(); err != nil {
				return nil, *err
			}
			return one("x"), nil
		}))
		bad := errs.E(errs.Invalid, "child.yml: no such file")
		fault.Store(&bad)
		parent := f.create(triggers("depend"))
		f.untilStatuses(parent.ID, "failed skipped")
		rows, err := f.store.RunJobs(t.Context(), parent.ID)
		if err != nil || rows[0].Reason != pipeline.ReasonDownstreamCreationFailed || !strings.Contains(rows[0].Note, "no such file") {
			t.Errorf("got %+v, %v; want the reason", rows, err)
		}
		if got := f.why(parent.ID, 0); !strings.Contains(got, "no such file") {
			t.Errorf("why: got %q", got)
		}
		f.check()
		down := errs.E(errs.Unavailable, "the forge does not answer")
		fault.Store(&down)
		f.act(parent.ID, pipeline.EventRetry, "t")
		for range 500 {
			if strings.Contains(f.why(parent.ID, 0), "try 2 is at") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := f.why(parent.ID, 0); !strings.Contains(got, "try 2 is at") {
			t.Errorf("why: got %q, want the next try", got)
		}
		f.check()
		fault.Store(nil)
		f.restart()
		f.childOf(parent.ID, 2)
		f.check()
		// Canceled before its run is made.
		fault.Store(&down)
		other := f.create(triggers("depend"))
		f.untilStatuses(other.ID, "running")
		f.act(other.ID, pipeline.EventCancel, "")
		f.untilStatuses(other.ID, "canceled canceled")
		f.check()
	})
}

// TestChildOnce: however many servers take a launch up, and however often, there
// is one run.
func TestChildOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 2, withChildren(always(one("x"))))
		f := servers[0]
		parent := f.create(triggers("depend"))
		child := f.childOf(parent.ID, 1)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				r, err := servers[i%len(servers)].s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: one("x"), Parent: parent.ID, ParentPos: 0, ParentAttempt: 1})
				if err != nil || r.ID != child.ID {
					t.Errorf("got %d, %v; want run %d", r.ID, err, child.ID)
				}
			})
		}
		all.Wait()
		for i := range 8 {
			all.Go(func() {
				if _, err := servers[i%len(servers)].s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: one("x"), Key: "same"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := f.store.Runs(t.Context(), store.RunFilter{})
		if err != nil || len(list) != 3 {
			t.Errorf("%d runs, %v; want 3", len(list), err)
		}
		if _, err := f.s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: one("x"), Parent: parent.ID, ParentPos: 0, ParentAttempt: 5}); !errs.Is(err, errs.Conflict) {
			t.Errorf("another attempt: got %v, want a conflict", err)
		}
		if _, err := f.s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: one("x"), Parent: parent.ID, ParentPos: 1, ParentAttempt: 1}); !errs.Is(err, errs.Invalid) {
			t.Errorf("not a trigger job: got %v, want invalid", err)
		}
		f.check()
	})
}

// TestRedundant: a newer commit of the ref cancels what nobody waits for, by
// auto_cancel, and only of pushes of the same ref.
func TestRedundant(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		push := func(ref, sha, mode string, source pipeline.Trigger) store.Run {
			p := jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "i", Interruptible: true}, pipeline.Job{Name: "n"})
			p.AutoCancel.OnNewCommit = mode
			return f.createRun(scheduler.NewRun{Pipeline: p, Source: source, Ref: ref, SHA: sha})
		}
		idle := push("main", "1", "", pipeline.TriggerPush)
		none := push("main", "1", "none", pipeline.TriggerPush)
		only := push("main", "1", "interruptible", pipeline.TriggerPush)
		other := push("dev", "1", "", pipeline.TriggerPush)
		request := push("main", "1", "", pipeline.TriggerMergeRequest)
		nightly := push("main", "1", "", pipeline.TriggerSchedule)
		same := push("main", "2", "", pipeline.TriggerPush)
		f.untilStatus(idle.ID, pipeline.StatusCanceled)
		f.untilStatuses(only.ID, "canceled pending")
		if note := f.row(idle.ID).Note; !strings.Contains(note, fmt.Sprintf("run %d", same.ID)) {
			t.Errorf("note %q, want it to name run %d", note, same.ID)
		}
		for name, r := range map[string]store.Run{"none": none, "another ref": other, "a merge request": request, "a schedule": nightly, "the commit itself": push("main", "2", "", pipeline.TriggerPush), "the first of it": same} {
			if got := f.statuses(r.ID); got != "pending pending" {
				t.Errorf("%s: %s, want it to go on", name, got)
			}
		}
		f.check()
		// A job that is not interruptible has started: all goes on.
		session := f.session()
		for _, a := range f.take(session, 100) {
			if a.Run == same.ID {
				f.finish(session, a.Fence, pipeline.StatusSuccess)
				break
			}
		}
		started := f.statuses(same.ID)
		push("main", "3", "", pipeline.TriggerPush)
		time.Sleep(50 * time.Millisecond)
		if got := f.statuses(same.ID); got != started {
			t.Errorf("got %s, want %s as before", got, started)
		}
		f.check()
	})
}

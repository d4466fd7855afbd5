package scheduler_test

import (
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// TestTimersInMemory: a timer that another server added is kept, and one that is
// dropped wakes nobody for ever.
func TestTimersInMemory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 2)
		f := servers[0]
		delayed := func(d time.Duration) *pipeline.Pipeline {
			return jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x", When: pipeline.WhenDelayed, StartIn: pipeline.Duration(d)})
		}
		long, err := servers[len(servers)-1].s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: delayed(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		dropped := f.create(delayed(50 * time.Millisecond))
		f.act(dropped.ID, pipeline.EventCancel, "")
		short := f.create(delayed(300 * time.Millisecond))
		f.untilStatuses(short.ID, "pending")
		if got := f.statuses(long.ID); got != "scheduled" {
			t.Errorf("the long one is %s", got)
		}
		if got := f.why(long.ID, 0); len(got) < 14 || got[:14] != "delayed until " {
			t.Errorf("why: %q", got)
		}
		f.check()
	})
}

// TestTooManyJobs: a run has at most 10,000 jobs.
func TestTooManyJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir()+"/refline.db")
	p := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: make([]pipeline.Job, scheduler.MaxJobs+1)}
	_, err := f.s.Create(t.Context(), scheduler.NewRun{Project: f.project, Pipeline: p})
	if !errs.Is(err, errs.Invalid) || err.Error() != "the pipeline has 10001 jobs, a run may have 10000: use fewer parallel jobs, or move some to a child pipeline" {
		t.Errorf("got %v", err)
	}
}

// TestFairness: a burst of one project does not hold up the single job of another,
// and priority comes first.
func TestFairness(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ids, err := f.store.NewIDs(t.Context(), "project", 1)
		if err != nil {
			t.Fatal(err)
		}
		err = f.store.Update(t.Context(), func(tx *store.Tx) error {
			return tx.AddProject(t.Context(), store.Project{ID: ids[0], Name: "quiet"})
		})
		if err != nil {
			t.Fatal(err)
		}
		// A lane of its own that is not empty must not disturb the order of others.
		f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x", Tags: []string{"other"}}))
		for range 50 {
			f.create(one("burst"))
		}
		session := f.session()
		for range 10 {
			f.finish(session, f.take(session, 1)[0].Fence, pipeline.StatusSuccess)
		}
		quiet, err := f.s.Create(t.Context(), scheduler.NewRun{Project: ids[0], Pipeline: one("quiet")})
		if err != nil {
			t.Fatal(err)
		}
		at := -1
		for i := range 5 {
			a := f.take(session, 1)[0]
			f.finish(session, a.Fence, pipeline.StatusSuccess)
			if a.Run == quiet.ID && at < 0 {
				at = i
			}
		}
		if at < 0 || at > 2 {
			t.Errorf("the quiet project's job came at place %d, want among the first three", at)
		}
		urgent := f.createRun(scheduler.NewRun{Pipeline: one("urgent"), Priority: 1})
		if a := f.take(session, 1); a[0].Run != urgent.ID {
			t.Errorf("got run %d, want the one of higher priority %d", a[0].Run, urgent.ID)
		}
		f.check()
	})
}

package scheduler_test

import (
	"context"
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// TestConfirm: an attempt that its runner confirmed without a poll counts when it is
// lost, and one that is lost cannot be confirmed.
func TestConfirm(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		r := f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x"}))
		dead := f.session()
		a, err := f.s.Poll(ctx, dead, 1, nil, 0)
		if err != nil || len(a.Jobs) != 1 {
			t.Fatal(a, err)
		}
		fence := a.Jobs[0].Fence
		for range 2 {
			if err := f.s.Confirm(ctx, dead, fence); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.s.Confirm(ctx, f.session(), fence); !errs.Is(err, errs.Conflict) {
			t.Errorf("another session: got %v, want a conflict", err)
		}
		if err := f.s.EndSession(ctx, dead); err != nil {
			t.Fatal(err)
		}
		if got := f.row(r.ID).Status; got != pipeline.StatusFailed {
			t.Errorf("status %s, want failed", got)
		}
		if err := f.s.Confirm(ctx, dead, fence); err == nil {
			t.Error("an attempt of an ended session was confirmed")
		}
		f.check()
	})
}

// TestReport: what comes with a result is written with it, and not with one that is
// refused.
func TestReport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		ctx := t.Context()
		f.create(jobs(&pipeline.Pipeline{Stages: []string{"test"}}, pipeline.Job{Name: "x"}))
		session := f.session()
		a, err := f.s.Poll(ctx, session, 1, nil, 0)
		if err != nil || len(a.Jobs) != 1 {
			t.Fatal(a, err)
		}
		fence := a.Jobs[0].Fence
		with := func(body string) scheduler.Result {
			return scheduler.Result{Status: pipeline.StatusSuccess, Digest: body, Report: func(ctx context.Context, tx *store.Tx) error {
				return tx.PutResult(ctx, store.AttemptResult{Attempt: fence, Run: 1, Body: body})
			}}
		}
		if err := f.s.Finish(ctx, session, fence, with("first")); err != nil {
			t.Fatal(err)
		}
		if err := f.s.Finish(ctx, session, fence, with("second")); !errs.Is(err, errs.Conflict) {
			t.Errorf("another result: got %v, want a conflict", err)
		}
		got, err := f.store.AttemptResults(ctx, []int64{fence})
		if err != nil || len(got) != 1 || got[0].Body != "first" {
			t.Errorf("got %v, %v; want the first report", got, err)
		}
		f.check()
	})
}

package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/schedule"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// clock is a wall clock that a test sets.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time      { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) set(t time.Time)     { c.ms.Store(t.UnixMilli()) }
func (c *clock) add(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// withFlows makes servers with a clock of the test that start a run for each
// start of a flow.
func withFlows(c *clock, flow func(scheduler.FlowStart) (*pipeline.Pipeline, error)) func(*fixture) {
	return func(f *fixture) {
		if c != nil {
			f.now = c.now
		}
		f.starter = &starter{of: f.current, flow: flow, project: 1}
	}
}

func (f *fixture) schedule(s store.Schedule) store.Schedule {
	f.t.Helper()
	s, err := f.s.PutSchedule(f.t.Context(), s)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// occurrences are all of a schedule or backfill, oldest first.
func (f *fixture) occurrences(filter store.OccurrenceFilter) []store.Occurrence {
	f.t.Helper()
	var all []store.Occurrence
	filter.Limit = 200
	for {
		list, err := f.store.Occurrences(f.t.Context(), filter)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, list...)
		if len(list) < filter.Limit {
			slices.SortFunc(all, func(a, b store.Occurrence) int { return a.Due.Compare(b.Due) })
			return all
		}
		filter.Before = list[len(list)-1].ID
	}
}

// untilOccurrences waits for the occurrences to be as wanted.
func (f *fixture) untilOccurrences(filter store.OccurrenceFilter, what string, ok func([]store.Occurrence) bool) []store.Occurrence {
	f.t.Helper()
	for range 2000 {
		if list := f.occurrences(filter); ok(list) {
			return list
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("the occurrences are not %s, but at %s: %+v", what, f.s.Now(), slices.DeleteFunc(f.occurrences(filter), func(o store.Occurrence) bool { return o.State == store.OccurrenceStarted }))
	return nil
}

func states(list []store.Occurrence) string {
	var all []string
	for _, o := range list {
		all = append(all, string(o.State))
	}
	return strings.Join(all, " ")
}

// TestSchedulesFireOnce is invariant 9: over both clock changes, jumps of the wall
// clock by an hour, two servers and restarts, each due time has one run.
func TestSchedulesFireOnce(t *testing.T) {
	t.Parallel()
	for _, begin := range []time.Time{time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 31, 12, 0, 0, 0, time.UTC)} {
		t.Run(begin.Format("2006-01"), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, address string) {
				c := &clock{}
				c.set(begin)
				servers := cluster(t, address, 2, withFlows(c, func(scheduler.FlowStart) (*pipeline.Pipeline, error) { return one("x"), nil }))
				f := servers[0]
				all := []store.Schedule{
					{Flow: 1, Cron: "30 2 * * *", Timezone: "America/New_York", CatchUp: "all"},
					{Flow: 2, Cron: "30 1 * * *", Timezone: "America/New_York", CatchUp: "all"},
					{Flow: 3, Cron: "0 * * * *", Timezone: "Australia/Lord_Howe", CatchUp: "all"},
					{Flow: 4, Every: 2 * time.Hour, CatchUp: "all"},
				}
				for i := range all {
					all[i] = f.schedule(all[i])
				}
				random := rand.New(rand.NewPCG(5, uint64(begin.Unix())))
				end := begin.Add(40 * time.Hour)
				for at := begin; at.Before(end); at = at.Add(11 * time.Minute) {
					c.set(at)
					switch random.IntN(8) {
					case 0:
						c.add(-time.Hour)
					case 1:
						c.add(time.Hour)
					case 2:
						servers[random.IntN(len(servers))].restart()
					}
					var both sync.WaitGroup
					for _, on := range servers {
						both.Go(func() {
							if err := on.s.Fire(t.Context()); err != nil {
								t.Error(err)
							}
						})
					}
					both.Wait()
				}
				c.set(end)
				if err := f.s.Fire(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.add(15 * time.Minute) // past what was put off while the clock was ahead
				if err := f.s.Fire(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, s := range all {
					f.checkOccurrences(s, begin, end)
				}
				f.check()
			})
		})
	}
}

// checkOccurrences compares the runs of a schedule with when it is due.
func (f *fixture) checkOccurrences(s store.Schedule, begin, end time.Time) {
	f.t.Helper()
	var want, got []string
	due, err := scheduler.NextTimes(s, begin, 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, at := range due {
		if !at.After(end) {
			want = append(want, at.UTC().Format(time.RFC3339))
		}
	}
	list := f.untilOccurrences(store.OccurrenceFilter{Schedule: s.ID}, "all started", func(list []store.Occurrence) bool {
		return len(list) >= len(want) && !slices.ContainsFunc(list, func(o store.Occurrence) bool { return o.State != store.OccurrenceStarted })
	})
	runs := map[int64]bool{}
	for _, o := range list {
		got = append(got, o.Due.Format(time.RFC3339))
		runs[o.Run] = true
	}
	// The clock was ahead for a moment, and goes on.
	for len(got) > len(want) && got[len(got)-1] > end.Format(time.RFC3339) {
		got, list = got[:len(got)-1], list[:len(list)-1]
	}
	if !slices.Equal(got, want) {
		f.t.Errorf("flow %d: got %v\nwant %v", s.Flow, got, want)
	}
	made, err := f.store.Runs(f.t.Context(), store.RunFilter{Flow: s.Flow, Limit: 200})
	if err != nil || len(made) != len(runs) {
		f.t.Errorf("flow %d: %d runs for %d occurrences (%v)", s.Flow, len(made), len(runs), err)
	}
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		c := &clock{}
		begin := time.Date(2026, 5, 1, 0, 0, 30, 0, time.UTC)
		c.set(begin)
		f := newFixture(t, address, withFlows(c, func(scheduler.FlowStart) (*pipeline.Pipeline, error) { return one("x"), nil }))
		ids := map[string]int64{}
		for _, policy := range []schedule.CatchUp{schedule.CatchUpNone, schedule.CatchUpLast, schedule.CatchUpAll} {
			ids[string(policy)] = f.schedule(store.Schedule{Flow: 1, Cron: "0 * * * *", CatchUp: string(policy)}).ID
		}
		paused := f.schedule(store.Schedule{Flow: 1, Cron: "0 * * * *", CatchUp: "last", Paused: true}).ID
		c.set(begin.Add(5*time.Hour + 30*time.Minute)) // no server for more than 5 hours
		if err := f.s.Fire(t.Context()); err != nil {
			t.Fatal(err)
		}
		for policy, want := range map[string]int{"none": 0, "last": 1, "all": 5} {
			f.untilOccurrences(store.OccurrenceFilter{Schedule: ids[policy]}, fmt.Sprintf("%d for %s", want, policy), func(list []store.Occurrence) bool { return len(list) == want })
		}
		if got := f.occurrences(store.OccurrenceFilter{Schedule: paused}); len(got) > 0 {
			t.Errorf("paused: %+v", got)
		}
		if err := f.s.PauseSchedule(t.Context(), paused, false); err != nil {
			t.Fatal(err)
		}
		f.untilOccurrences(store.OccurrenceFilter{Schedule: paused}, "one", func(list []store.Occurrence) bool { return len(list) == 1 })
		if err := f.s.RemoveSchedule(t.Context(), paused); err != nil {
			t.Error(err)
		}
		if err := f.s.RemoveSchedule(t.Context(), paused); !errs.Is(err, errs.NotFound) {
			t.Errorf("removed twice: got %v, want not found", err)
		}
		if err := f.s.PauseSchedule(t.Context(), paused, true); !errs.Is(err, errs.NotFound) {
			t.Errorf("pause of a removed one: got %v, want not found", err)
		}
	})
}

// TestScheduleInput: what cannot be a schedule or a backfill is refused.
func TestScheduleInput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir()+"/refline.db")
	for want, s := range map[string]store.Schedule{
		"not both":           {Cron: "0 * * * *", Every: time.Hour},
		"an interval":        {},
		"time zone":          {Cron: "0 * * * *", Timezone: "Mars/Olympus"},
		"Local":              {Cron: "0 * * * *", Timezone: "Local"},
		"has 2 fields":       {Cron: "0 *"},
		"too short":          {Every: time.Second},
		"catch-up \"maybe\"": {Cron: "0 * * * *", CatchUp: "maybe"},
	} {
		if _, err := f.s.PutSchedule(t.Context(), s); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want invalid with %q", s, err, want)
		}
	}
	if _, err := f.s.PutSchedule(t.Context(), store.Schedule{ID: 99, Cron: "0 * * * *"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("change of one that is not there: got %v, want not found", err)
	}
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for want, b := range map[string]store.Backfill{
		"before it begins": {Cron: "0 0 * * *", From: day, To: day.Add(-time.Hour)},
		"from 1 to 100":    {Cron: "0 0 * * *", From: day, To: day, Parallel: 101},
		"no date":          {Cron: "0 0 * * *", From: day.Add(time.Hour), To: day.Add(2 * time.Hour)},
	} {
		if _, err := f.s.AddBackfill(t.Context(), b); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want invalid with %q", b, err, want)
		}
	}
}

// TestStartOfFlowFails: why a schedule made no run is kept with the occurrence;
// what a later try may make is tried again.
func TestStartOfFlowFails(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		c := &clock{}
		c.set(time.Date(2026, 5, 1, 0, 0, 30, 0, time.UTC))
		var calls atomic.Int64
		f := newFixture(t, address, withFlows(c, func(s scheduler.FlowStart) (*pipeline.Pipeline, error) {
			if s.Flow == 1 {
				return nil, errs.E(errs.Conflict, "tag v1 moved")
			}
			if s.Due.IsZero() || s.Inputs["day"] != "x" || s.Actor != "anna" || s.Trigger != pipeline.TriggerSchedule || s.Key == "" {
				t.Errorf("start %+v", s)
			}
			if calls.Add(1) == 1 {
				return nil, errs.E(errs.Unavailable, "the forge does not answer")
			}
			return one("x"), nil
		}))
		bad := f.schedule(store.Schedule{Flow: 1, Cron: "0 * * * *"})
		good := f.schedule(store.Schedule{Flow: 2, Cron: "0 * * * *", Inputs: map[string]any{"day": "x"}, Actor: "anna"})
		c.add(59*time.Minute + 35*time.Second)
		if err := f.s.Fire(t.Context()); err != nil {
			t.Fatal(err)
		}
		failed := f.untilOccurrences(store.OccurrenceFilter{Schedule: bad.ID}, "failed", func(list []store.Occurrence) bool { return states(list) == "failed" })
		if !strings.Contains(failed[0].Error, "tag v1 moved") {
			t.Errorf("got %+v, want the reason", failed[0])
		}
		waiting := f.untilOccurrences(store.OccurrenceFilter{Schedule: good.ID}, "tried", func(list []store.Occurrence) bool { return len(list) == 1 && list[0].Tries == 1 })
		if waiting[0].State != store.OccurrenceWaiting || !strings.Contains(waiting[0].Error, "does not answer") {
			t.Errorf("got %+v, want it to wait with the reason", waiting[0])
		}
		c.add(2 * time.Second)
		done := f.untilOccurrences(store.OccurrenceFilter{Schedule: good.ID}, "started", func(list []store.Occurrence) bool { return states(list) == "started" })
		if done[0].Error != "" || done[0].Run == 0 {
			t.Errorf("got %+v, want a run and no error", done[0])
		}
	})
}

func TestBackfill(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		servers := cluster(t, address, 2, withFlows(nil, func(scheduler.FlowStart) (*pipeline.Pipeline, error) { return one("x"), nil }))
		f, ctx := servers[0], t.Context()
		day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		add := func(again bool) store.Backfill {
			b, err := f.s.AddBackfill(ctx, store.Backfill{Flow: 1, Cron: "0 0 * * *", From: day, To: day.AddDate(0, 0, 9), Parallel: 3, Again: again})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		of := func(b store.Backfill) store.OccurrenceFilter { return store.OccurrenceFilter{Backfill: b.ID} }
		first := add(false)
		f.untilOccurrences(of(first), "3 started", func(list []store.Occurrence) bool { return states(list) == "started started started" })
		time.Sleep(100 * time.Millisecond)
		if got := len(f.occurrences(of(first))); got != 3 {
			t.Errorf("%d dates at a time, want 3", got)
		}
		if err := f.s.CancelBackfill(ctx, first.ID, true); err != nil {
			t.Fatal(err)
		}
		for _, o := range f.occurrences(of(first)) {
			f.untilStatus(o.Run, pipeline.StatusCanceled)
		}
		working, stop := context.WithCancel(ctx)
		defer stop()
		session := f.session()
		go func() { _ = f.runner(working, session, 2, success) }()
		time.Sleep(50 * time.Millisecond)
		if got := len(f.occurrences(of(first))); got != 3 {
			t.Errorf("%d dates after the cancel, want 3", got)
		}
		if err := f.s.ResumeBackfill(ctx, first.ID); err != nil {
			t.Fatal(err)
		}
		f.backfillDone(first.ID)
		list := f.occurrences(of(first))
		for i, o := range list {
			if want := day.AddDate(0, 0, i); !o.Due.Equal(want) || o.State != store.OccurrenceStarted {
				t.Errorf("date %d: %+v, want %s started", i, o, want)
			}
		}
		if len(list) != 10 {
			t.Errorf("%d dates, want 10", len(list))
		}
		if err := f.s.ResumeBackfill(ctx, first.ID); !errs.Is(err, errs.Conflict) {
			t.Errorf("resume of one that is done: got %v, want a conflict", err)
		}
		second := add(false)
		f.backfillDone(second.ID)
		if got := f.occurrences(of(second)); len(got) != 0 {
			t.Errorf("a second backfill repeats %d dates, want none", len(got))
		}
		third := add(true)
		f.backfillDone(third.ID)
		if got := f.occurrences(of(third)); len(got) != 10 {
			t.Errorf("a backfill that repeats has %d dates, want 10", len(got))
		}
		runs, err := f.store.Runs(ctx, store.RunFilter{Flow: 1, Limit: 200})
		if err != nil || len(runs) != 20 {
			t.Errorf("%d runs, want 20 (%v)", len(runs), err)
		}
		f.check()
	})
}

func (f *fixture) backfillDone(id int64) {
	f.t.Helper()
	var last string
	for range 3000 {
		list, err := f.store.Backfills(f.t.Context(), 0, 100)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, b := range list {
			if b.ID == id && b.State == store.BackfillDone {
				return
			}
			last = fmt.Sprintf("%+v", b)
		}
		time.Sleep(10 * time.Millisecond)
	}
	f.t.Fatalf("backfill %d is not done: %s", id, last)
}

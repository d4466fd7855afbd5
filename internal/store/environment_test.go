package store_test

import (
	"context"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// A deployment is written once for an attempt, and the environment follows the last.
func TestDeploy(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		deploy := func(environment int64, d store.Deployment) {
			t.Helper()
			d.Project, d.SHA, d.Created = 7, "abc", now.Add(time.Duration(d.ID)*time.Minute)
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.Deploy(ctx, environment, "prod", d) })
		}
		deploy(1, store.Deployment{ID: 1, Run: 1, Attempt: 11, Action: store.DeploymentStart, URL: "https://one.example.com"})
		deploy(2, store.Deployment{ID: 2, Run: 2, Attempt: 12, Action: store.DeploymentStart})
		deploy(3, store.Deployment{ID: 3, Run: 2, Attempt: 12, Action: store.DeploymentStop}) // the same result again
		e, err := s.EnvironmentNamed(t.Context(), 7, "prod")
		if err != nil || e.ID != 1 || e.State != store.EnvironmentAvailable || e.Deployment != 2 || e.URL != "https://one.example.com" {
			t.Errorf("%+v, %v", e, err)
		}
		deploy(4, store.Deployment{ID: 4, Run: 3, Attempt: 13, Action: store.DeploymentStop})
		list, err := s.Deployments(t.Context(), 1, 0, 10)
		if err != nil || len(list) != 3 || list[0].ID != 4 || list[1].ID != 2 || list[2].ID != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if list, err := s.Deployments(t.Context(), 1, 2, 10); err != nil || len(list) != 1 || list[0].ID != 1 {
			t.Errorf("before 2: %+v, %v", list, err)
		}
		all, err := s.Environments(t.Context(), 0)
		if err != nil || len(all) != 1 || all[0].State != store.EnvironmentStopped {
			t.Errorf("%+v, %v", all, err)
		}
		if _, err := s.EnvironmentNamed(t.Context(), 8, "prod"); !errs.Is(err, errs.NotFound) {
			t.Errorf("another project's: %v", err)
		}
	})
}

// Schedules of flows that are paused or archived are not due; what was due follows
// the catch-up policy when the flow goes on.
func TestSchedulesOfPausedFlows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		f := store.Flow{ID: 1, Project: 7, Name: "etl", Path: "etl.yml", RefKind: "branch", Ref: "main", Version: 1, Created: now, Updated: now}
		put := func() {
			t.Helper()
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutFlow(ctx, f) })
			f.Version++
		}
		put()
		n := store.Schedule{ID: 5, Flow: 1, Every: time.Minute, Timezone: "UTC", CatchUp: "last", Anchor: now, Last: now, Next: now.Add(time.Minute)}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.PutSchedule(ctx, n) })
		due := func() int {
			t.Helper()
			count := 0
			mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
				list, err := tx.LockDueSchedules(ctx, now.Add(time.Hour), 10)
				count = len(list)
				return err
			})
			if next, err := s.NextSchedule(t.Context()); err != nil || next.IsZero() != (count == 0) {
				t.Errorf("%d due, and the next is at %v, %v", count, next, err)
			}
			return count
		}
		if got := due(); got != 1 {
			t.Errorf("%d due, want 1", got)
		}
		f.Paused = true
		put()
		if got := due(); got != 0 {
			t.Errorf("%d of a paused flow are due", got)
		}
		f.Paused, f.Archived = false, now
		put()
		if got := due(); got != 0 {
			t.Errorf("%d of an archived flow are due", got)
		}
		f.Archived = time.Time{}
		put()
		if got := due(); got != 1 {
			t.Errorf("%d due after all, want 1", got)
		}
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error { return tx.RemoveFlow(ctx, 1) })
		if list, err := s.Schedules(t.Context(), 0); err != nil || len(list) != 0 {
			t.Errorf("schedules of a removed flow: %+v, %v", list, err)
		}
	})
}

func TestStatusCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		s := storetest.Open(t, address)
		l := store.LaneOf([]string{"gpu"}, true)
		mustUpdate(t, s, func(ctx context.Context, tx *store.Tx) error {
			if err := tx.AddLane(ctx, l); err != nil {
				return err
			}
			if err := tx.PutClaims(ctx, []store.Claim{{SlotKey: store.SlotKey{Scope: store.ScopeNamed, Name: "w"}, Run: 4, Pos: -1, State: store.ClaimWaiting}}); err != nil {
				return err
			}
			if _, err := tx.AddOccurrence(ctx, store.Occurrence{Backfill: 9, Flow: 1, Due: now}); err != nil {
				return err
			}
			return tx.Enqueue(ctx, []store.Queued{{Run: 1, Lane: l.ID}, {Run: 2, Lane: l.ID}})
		})
		counts, err := s.QueueCounts(t.Context())
		if err != nil || len(counts) != 1 || counts[0].Count != 2 || counts[0].Lane.Tags[0] != "gpu" || !counts[0].Lane.Protected {
			t.Errorf("%+v, %v", counts, err)
		}
		if w, err := s.WaitCounts(t.Context()); err != nil || w != (store.WaitCounts{Slots: 1}) {
			t.Errorf("%+v, %v", w, err)
		}
		if d, err := s.BackfillDates(t.Context(), 9); err != nil || d != (store.BackfillDates{Waiting: 1}) {
			t.Errorf("%+v, %v", d, err)
		}
		if n, err := s.DatabaseBytes(t.Context()); err != nil || n <= 0 {
			t.Errorf("%d bytes, %v", n, err)
		}
		if seen, err := s.LastSeen(t.Context()); err != nil || len(seen) != 0 {
			t.Errorf("%v, %v", seen, err)
		}
	})
}

package scheduler

import (
	"context"
	"slices"
	"time"

	"refline/internal/store"
)

const (
	retainEvery = time.Hour
	retainFirst = time.Minute // after the start
	retainBatch = 50          // runs that are removed together, so that others go on
	leftovers   = 90 * 24 * time.Hour
)

// retain removes old runs now and then.
func (s *Scheduler) retain(ctx context.Context) {
	for wait := retainFirst; sleep(ctx, wait); wait = retainEvery {
		list, err := s.store.Retentions(ctx)
		for _, keep := range list {
			if _, err := s.Retain(ctx, keep); err != nil && ctx.Err() == nil {
				s.Log.Error("old runs cannot be removed", "project", keep.Project, "error", err)
			}
		}
		if err == nil {
			err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveLeftovers(ctx, s.now().Add(-leftovers)) })
		}
		if err != nil && ctx.Err() == nil {
			s.Log.Error("old runs cannot be looked for", "error", err)
		}
	}
}

// Retain removes the runs of a project that are too old or too many, with all
// runs that they started, and returns how many. Runs that have not ended stay.
func (s *Scheduler) Retain(ctx context.Context, keep store.Retention) (int, error) {
	var ended time.Time // before which a run ended that is removed
	var upTo int64
	var err error
	if keep.Age > 0 {
		ended = s.now().Add(-keep.Age)
	}
	if keep.Count > 0 {
		if upTo, err = s.store.RunAfterNewest(ctx, keep.Project, keep.Count); err != nil {
			return 0, err
		}
	}
	if ended.IsZero() && upTo == 0 {
		return 0, nil
	}
	var good []int64
	if keep.KeepLastGood {
		if good, err = s.store.LastGood(ctx, keep.Project); err != nil {
			return 0, err
		}
	}
	removed := 0
	for after := int64(0); ; {
		ids, err := s.store.OldRuns(ctx, keep.Project, after, ended, upTo, retainBatch)
		if err != nil || len(ids) == 0 {
			return removed, err
		}
		after = ids[len(ids)-1]
		ids = slices.DeleteFunc(ids, func(id int64) bool { return slices.Contains(good, id) })
		n, err := s.remove(ctx, ids)
		if err != nil {
			return removed, err
		}
		removed += n
	}
}

func (s *Scheduler) remove(ctx context.Context, roots []int64) (n int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		runs, err := tx.LockEnded(ctx, roots)
		if err != nil {
			return err
		}
		ids := make([]int64, len(runs))
		for i, r := range runs {
			ids[i] = r.ID
		}
		n = len(ids)
		if err := tx.RemoveRunBlobs(ctx, ids, s.now()); err != nil {
			return err
		}
		return tx.RemoveRuns(ctx, ids)
	})
	return n, err
}

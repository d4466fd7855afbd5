package scheduler

import (
	"context"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// maxParallel bounds the runs of a backfill at a time.
const maxParallel = 100

// AddBackfill checks a backfill and begins it. Its runs have their date as the
// logical date; a date for which the flow has run is left out unless Again is
// set. Errors are Invalid.
func (s *Scheduler) AddBackfill(ctx context.Context, b store.Backfill) (store.Backfill, error) {
	times, err := parse(b.Cron, b.Every, b.Timezone, b.From)
	switch {
	case err != nil:
		return b, err
	case b.To.Before(b.From):
		return b, errs.E(errs.Invalid, "the backfill ends at %s, before it begins at %s", b.To.Format(time.RFC3339), b.From.Format(time.RFC3339))
	case b.Parallel < 0 || b.Parallel > maxParallel:
		return b, errs.E(errs.Invalid, "%d runs at a time are not possible: give a number from 1 to %d", b.Parallel, maxParallel)
	}
	found := false
	for at := range times.After(b.From.Add(-time.Millisecond)) {
		found = !at.After(b.To)
		break
	}
	if !found {
		return b, errs.E(errs.Invalid, "there is no date from %s to %s", b.From.Format(time.RFC3339), b.To.Format(time.RFC3339))
	}
	ids, err := s.store.NewIDs(ctx, "backfill", 1)
	if err != nil {
		return b, err
	}
	b.ID, b.State, b.Created, b.Last, b.Parallel = ids[0], store.BackfillRunning, s.now(), b.From.Add(-time.Millisecond), max(b.Parallel, 1)
	if b.Timezone == "" {
		b.Timezone = "UTC"
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutBackfill(ctx, b) })
	wake(s.due)
	return b, err
}

// CountDates returns how many dates a backfill has, at most n.
func CountDates(b store.Backfill, n int) (int, error) {
	times, err := parse(b.Cron, b.Every, b.Timezone, b.From)
	if err != nil {
		return 0, err
	}
	count := 0
	for at := range times.After(b.From.Add(-time.Millisecond)) {
		if at.After(b.To) || count == n {
			break
		}
		count++
	}
	return count, nil
}

// CancelBackfill makes no more runs of a backfill; with runs, those under way are
// canceled too.
func (s *Scheduler) CancelBackfill(ctx context.Context, id int64, runs bool) error {
	var open []int64
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		b, err := tx.LockBackfill(ctx, id)
		if err != nil {
			return err
		}
		if b.State == store.BackfillDone {
			return errs.E(errs.Conflict, "backfill %d is done", id)
		}
		b.State = store.BackfillCanceled
		if open, err = tx.CancelOccurrences(ctx, id); err != nil {
			return err
		}
		return tx.PutBackfill(ctx, b)
	})
	if err != nil || !runs {
		return err
	}
	for _, run := range open {
		err := s.Act(ctx, run, pipeline.Event{Kind: pipeline.EventCancel})
		if err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return nil
}

// ResumeBackfill goes on with a canceled backfill where it was.
func (s *Scheduler) ResumeBackfill(ctx context.Context, id int64) error {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		b, err := tx.LockBackfill(ctx, id)
		if err != nil {
			return err
		}
		if b.State != store.BackfillCanceled {
			return errs.E(errs.Conflict, "backfill %d is %s, not canceled", id, b.State)
		}
		b.State = store.BackfillRunning
		if err := tx.ResumeOccurrences(ctx, id); err != nil {
			return err
		}
		return tx.PutBackfill(ctx, b)
	})
	wake(s.due)
	wake(s.work)
	return err
}

// goOnWithBackfills adds the next dates of backfills that have place for them, and
// reports whether one is running.
func (s *Scheduler) goOnWithBackfills(ctx context.Context) (bool, error) {
	ids, err := s.store.RunningBackfills(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		added := false
		err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
			added, err = s.goOn(ctx, tx, id)
			return err
		})
		if err != nil {
			return true, err
		}
		if added {
			wake(s.work)
		}
	}
	return len(ids) > 0, nil
}

func (s *Scheduler) goOn(ctx context.Context, tx *store.Tx, id int64) (added bool, err error) {
	b, err := tx.LockBackfill(ctx, id)
	if err != nil || b.State != store.BackfillRunning {
		return false, err
	}
	open, err := tx.OpenOccurrences(ctx, id)
	if err != nil || open >= b.Parallel {
		return false, err
	}
	times, err := parse(b.Cron, b.Every, b.Timezone, b.From)
	if err != nil {
		return false, err
	}
	const together = 1000 // dates that are left out, too
	seen, more := 0, false
	for at := range times.After(b.Last) {
		if at.After(b.To) {
			break
		}
		if more = open >= b.Parallel || seen >= together; more {
			break
		}
		seen++
		isNew := true
		if !b.Again {
			there, err := tx.HasOccurrence(ctx, b.Flow, at)
			if err != nil {
				return false, err
			}
			isNew = !there
		}
		if isNew {
			isNew, err = tx.AddOccurrence(ctx, store.Occurrence{Backfill: id, Flow: b.Flow, Due: at, Again: b.Again, Inputs: b.Inputs, Actor: b.Actor})
			if err != nil {
				return false, err
			}
		}
		if isNew {
			open++
			added = true
		}
		b.Last = at
	}
	if !more && open == 0 {
		b.State = store.BackfillDone
	}
	return added, tx.PutBackfill(ctx, b)
}

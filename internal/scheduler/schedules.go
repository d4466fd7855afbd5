package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // time zones where the system has none: small images, Windows

	"refline/internal/errs"
	"refline/internal/schedule"
	"refline/internal/store"
)

// parse reads when a schedule or backfill fires.
func parse(cron string, every time.Duration, zone string, anchor time.Time) (schedule.Schedule, error) {
	switch {
	case cron != "" && every != 0:
		return nil, errs.E(errs.Invalid, "a schedule has either a cron expression or an interval, not both")
	case cron == "" && every == 0:
		return nil, errs.E(errs.Invalid, "a schedule has a cron expression or an interval")
	case cron == "":
		return schedule.NewEvery(anchor, every)
	}
	if zone == "" {
		zone = "UTC"
	}
	place, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return nil, errs.E(errs.Invalid, "time zone %q is not known: give one such as Europe/Berlin", zone)
	}
	return schedule.ParseCron(cron, place)
}

// NextTimes returns the next n times at which a schedule fires.
func NextTimes(s store.Schedule, after time.Time, n int) ([]time.Time, error) {
	times, err := parse(s.Cron, s.Every, s.Timezone, s.Anchor)
	if err != nil {
		return nil, err
	}
	var list []time.Time
	for at := range times.After(after) {
		if list = append(list, at); len(list) >= n {
			break
		}
	}
	return list, nil
}

// CheckSchedule completes a schedule and returns it with its next time. Errors are
// Invalid.
func (s *Scheduler) CheckSchedule(n store.Schedule) (store.Schedule, error) {
	switch schedule.CatchUp(n.CatchUp) {
	case "":
		n.CatchUp = string(schedule.CatchUpNone)
	case schedule.CatchUpNone, schedule.CatchUpLast, schedule.CatchUpAll:
	default:
		return n, errs.E(errs.Invalid, "catch-up %q is not one of none, last and all", n.CatchUp)
	}
	now := s.now()
	if n.Timezone == "" {
		n.Timezone = "UTC"
	}
	if n.Anchor.IsZero() {
		n.Anchor = now.Truncate(time.Second)
		if n.Every%time.Minute == 0 {
			n.Anchor = now.Truncate(time.Minute)
		}
	}
	times, err := parse(n.Cron, n.Every, n.Timezone, n.Anchor)
	if err != nil {
		return n, err
	}
	n.Last = now
	n.Next, _ = schedule.Next(times, now)
	return n, nil
}

// PutSchedule checks and keeps a schedule, and returns it with its id and next
// time. One with an id is changed: it starts anew from now. Errors: Invalid, and
// NotFound for an id that is not there.
func (s *Scheduler) PutSchedule(ctx context.Context, n store.Schedule) (store.Schedule, error) {
	n, err := s.CheckSchedule(n)
	if err != nil {
		return n, err
	}
	fresh := n.ID == 0
	if fresh {
		ids, err := s.store.NewIDs(ctx, "schedule", 1)
		if err != nil {
			return n, err
		}
		n.ID = ids[0]
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if !fresh {
			if _, err := tx.LockSchedule(ctx, n.ID); err != nil {
				return err
			}
		}
		return tx.PutSchedule(ctx, n)
	})
	wake(s.due)
	return n, err
}

// SetSchedules makes the schedules of a flow exactly these: those that it has stay
// as they are, others are added and removed. It reports whether something changed.
func (s *Scheduler) SetSchedules(ctx context.Context, flow int64, want []store.Schedule) (changed bool, err error) {
	ids, err := s.store.NewIDs(ctx, "schedule", len(want))
	if err != nil {
		return false, err
	}
	want = slices.Clone(want)
	for i := range want {
		want[i].ID, want[i].Flow = ids[i], flow
		if want[i], err = s.CheckSchedule(want[i]); err != nil {
			return false, err
		}
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		changed = false
		have, err := tx.LockSchedules(ctx, flow)
		if err != nil {
			return err
		}
		for _, n := range want {
			if i := slices.IndexFunc(have, func(h store.Schedule) bool { return SameSchedule(h, n) }); i >= 0 {
				have = slices.Delete(have, i, i+1)
				continue
			}
			changed = true
			if err := tx.PutSchedule(ctx, n); err != nil {
				return err
			}
		}
		for _, h := range have {
			changed = true
			if err := tx.RemoveSchedule(ctx, h.ID); err != nil {
				return err
			}
		}
		return nil
	})
	wake(s.due)
	return changed, err
}

// SameSchedule reports whether two schedules fire at the same times with the same
// inputs. An interval counts from when it was added.
func SameSchedule(a, b store.Schedule) bool {
	return a.Cron == b.Cron && a.Every == b.Every && a.Timezone == b.Timezone && a.CatchUp == b.CatchUp &&
		maps.EqualFunc(a.Inputs, b.Inputs, func(x, y any) bool { return fmt.Sprint(x) == fmt.Sprint(y) })
}

// WakeSchedules looks at the schedules again, after a flow was paused or resumed.
func (s *Scheduler) WakeSchedules() { wake(s.due) }

// PauseSchedule pauses a schedule or lets it go on; what was due meanwhile
// follows its catch-up policy.
func (s *Scheduler) PauseSchedule(ctx context.Context, id int64, paused bool) error {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.LockSchedule(ctx, id)
		if err != nil {
			return err
		}
		n.Paused = paused
		return tx.PutSchedule(ctx, n)
	})
	wake(s.due)
	return err
}

// RemoveSchedule removes a schedule. Its runs and occurrences stay.
func (s *Scheduler) RemoveSchedule(ctx context.Context, id int64) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveSchedule(ctx, id) })
}

// fireSchedules adds occurrences of schedules when they are due, and dates of
// backfills when there is place for them. It sleeps to the next due time, but not
// long, because the clock may be set meanwhile.
func (s *Scheduler) fireSchedules(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := s.fire(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("schedules cannot be looked at", "error", err)
			wait = firstRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.due:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// fire adds what is due now, and returns how long to wait.
func (s *Scheduler) fire(ctx context.Context) (time.Duration, error) {
	const together = 100
	for more := true; more; {
		var fired bool
		err := s.store.Update(ctx, func(tx *store.Tx) error {
			now := s.now()
			due, err := tx.LockDueSchedules(ctx, now, together)
			more = len(due) == together
			for _, n := range due {
				added, err := s.fireOne(ctx, tx, n, now)
				if err != nil {
					return err
				}
				fired = fired || added
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		if fired {
			wake(s.work)
		}
	}
	wait := maxSleep
	next, err := s.store.NextSchedule(ctx)
	if err == nil && !next.IsZero() {
		// Another server that has it locked fires it; look soon whether it did.
		wait = min(wait, max(next.Sub(s.now()), lookAgain))
	}
	if err != nil {
		return 0, err
	}
	running, err := s.goOnWithBackfills(ctx)
	if running {
		wait = min(wait, secondLook)
	}
	return wait, err
}

func (s *Scheduler) fireOne(ctx context.Context, tx *store.Tx, n store.Schedule, now time.Time) (bool, error) {
	times, err := parse(n.Cron, n.Every, n.Timezone, n.Anchor)
	if err != nil { // its zone is gone from this computer
		s.Log.Error("a schedule cannot be read; it is tried again in an hour", "schedule", n.ID, "error", err)
		n.Next = now.Add(time.Hour)
		return false, tx.PutSchedule(ctx, n)
	}
	fire, next := schedule.Due(times, n.Last, now, schedule.CatchUp(n.CatchUp))
	added := false
	for _, due := range fire {
		isNew, err := tx.AddOccurrence(ctx, store.Occurrence{Schedule: n.ID, Flow: n.Flow, Due: due, Inputs: n.Inputs, Actor: n.Actor})
		if err != nil {
			return false, err
		}
		added = added || isNew
	}
	// The next firing follows from the last due time, never from the clock.
	if len(fire) > 0 {
		n.Last = fire[len(fire)-1]
	}
	n.Next = next
	return added, tx.PutSchedule(ctx, n)
}

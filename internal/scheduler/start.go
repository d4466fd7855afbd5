package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// Starts are occurrences of schedules and backfills, and launches of trigger
// jobs. They are rows, so none is lost; whoever takes one up claims it for a
// while, and a key makes its run once even if two do.

const (
	maxStarts  = 4                // at the same time on a server
	startClaim = time.Minute      // after which another server takes a start up
	firstRetry = time.Second      // doubles with each try
	lastRetry  = 5 * time.Minute  // the longest
	maxTries   = 20               // more than an hour in all
	longCheck  = 30 * time.Second // between two looks where no other server adds starts
)

// makeStarts makes the runs that schedules and trigger jobs ask for.
func (s *Scheduler) makeStarts(ctx context.Context) {
	if s.Starter == nil {
		return
	}
	if !s.store.Shared() {
		err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseStarts(ctx) })
		if err != nil && ctx.Err() == nil {
			s.Log.Error("starts that were claimed before cannot be released", "error", err)
		}
	}
	places := make(chan struct{}, maxStarts)
	var busy sync.WaitGroup
	defer busy.Wait()
	for ctx.Err() == nil {
		list, next, err := s.findStarts(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("starts cannot be read", "error", err)
			next = firstRetry
		}
		for _, start := range list {
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return
			}
			busy.Go(func() {
				defer func() {
					<-places
					wake(s.work) // it may be to try again, sooner than the claim ends
				}()
				if err := start(ctx); err != nil && ctx.Err() == nil {
					s.Log.Error("a start cannot be recorded", "error", err)
				}
			})
		}
		if len(list) > 0 {
			continue
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-s.work:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// findStarts claims what is to be started now, and returns when to look again.
func (s *Scheduler) findStarts(ctx context.Context) (list []func(context.Context) error, next time.Duration, err error) {
	now := s.now()
	next = longCheck
	if s.store.Shared() {
		next = secondLook
	}
	if at, err := s.store.NextStart(ctx); err != nil {
		return nil, next, err
	} else if !at.IsZero() {
		next = min(next, max(at.Sub(now), lookAgain))
	}
	launches, err := s.store.OpenLaunches(ctx, now, maxStarts)
	if err != nil {
		return nil, next, err
	}
	occurrences, err := s.store.WaitingOccurrences(ctx, now, maxStarts)
	if err != nil || len(launches)+len(occurrences) == 0 {
		return nil, next, err
	}
	// Not from the time above: the clock may have been set since, and a claim that ends
	// in the past is none.
	until := s.now().Add(startClaim)
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		list = nil
		for _, l := range launches {
			if mine, err := tx.ClaimLaunch(ctx, l, until); err != nil {
				return err
			} else if mine {
				list = append(list, func(ctx context.Context) error { return s.startChild(ctx, l) })
			}
		}
		for _, o := range occurrences {
			if mine, err := tx.ClaimOccurrence(ctx, o, until); err != nil {
				return err
			} else if mine {
				list = append(list, func(ctx context.Context) error { return s.startFlow(ctx, o) })
			}
		}
		return nil
	})
	return list, next, err
}

func (s *Scheduler) startChild(ctx context.Context, l store.Launch) error {
	start, err := s.childStart(ctx, l)
	if err != nil {
		return err
	}
	_, err = s.Starter.StartChild(ctx, start)
	switch {
	case err == nil || ctx.Err() != nil:
		return nil // Create has noted it; or the next server takes it up
	case errs.Is(err, errs.Unavailable) && l.Tries+1 < maxTries:
		return s.store.Update(ctx, func(tx *store.Tx) error { return tx.TryLaunchAgain(ctx, l, s.now().Add(retryAfter(l.Tries))) })
	default:
		return s.do(ctx, &command{failed: &failedLaunch{l, fmt.Errorf("start the pipeline of %s: %w", start.Job.Name, err)}})
	}
}

// childStart reads what a launch is about.
func (s *Scheduler) childStart(ctx context.Context, l store.Launch) (ChildStart, error) {
	run, err := s.store.Run(ctx, l.Run)
	if err != nil {
		return ChildStart{}, err
	}
	body, err := s.store.PipelineBody(ctx, run.Pipeline)
	if err != nil {
		return ChildStart{}, err
	}
	p, err := decode(body)
	if err != nil {
		return ChildStart{}, err
	}
	return ChildStart{Run: run, Job: &p.Jobs[l.Pos], Pos: l.Pos, Attempt: l.Attempt, Key: childKey(l.Run, l.Pos, l.Attempt)}, nil
}

func (s *Scheduler) startFlow(ctx context.Context, o store.Occurrence) error {
	zone, err := s.zoneOf(ctx, o)
	if err != nil {
		return err
	}
	run, err := s.Starter.StartFlow(ctx, FlowStart{
		Flow: o.Flow, Trigger: pipeline.TriggerSchedule, Due: o.Due.In(zone), Inputs: o.Inputs, Actor: o.Actor, Key: fmt.Sprintf("occurrence:%d", o.ID),
	})
	if err != nil && ctx.Err() != nil {
		return nil // the next server takes it up
	}
	waited := true
	recordErr := s.store.Update(ctx, func(tx *store.Tx) (inner error) {
		switch {
		case err == nil:
			waited, inner = tx.OccurrenceStarted(ctx, o.ID, run.ID)
		case errs.Is(err, errs.Unavailable) && o.Tries+1 < maxTries:
			inner = tx.OccurrenceFailed(ctx, o.ID, err.Error(), s.now().Add(retryAfter(o.Tries)))
		default:
			inner = tx.OccurrenceFailed(ctx, o.ID, err.Error(), time.Time{})
		}
		return inner
	})
	if err == nil && recordErr == nil && !waited { // its backfill was canceled meanwhile
		return s.Act(ctx, run.ID, pipeline.Event{Kind: pipeline.EventCancel})
	}
	wake(s.due) // a backfill may go on
	return recordErr
}

// zoneOf is the time zone of an occurrence's schedule or backfill, in which its
// date is written.
func (s *Scheduler) zoneOf(ctx context.Context, o store.Occurrence) (*time.Location, error) {
	name := ""
	if o.Backfill != 0 {
		b, err := s.store.Backfill(ctx, o.Backfill)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		name = b.Timezone
	} else {
		n, err := s.store.Schedule(ctx, o.Schedule)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		name = n.Timezone
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // gone from this computer
		zone = time.UTC
	}
	return zone, nil
}

func retryAfter(tries int) time.Duration {
	return min(firstRetry<<min(tries, 20), lastRetry)
}

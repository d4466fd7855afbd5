package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/store"
)

// How often a wanted run is tried: over about two hours.
const (
	launchAttempts   = 14
	firstLaunchRetry = 2 * time.Second
	maxLaunchRetry   = 15 * time.Minute
	// refAppears is how long the ref of a new merge request may take to exist.
	refAppears = 10 * time.Minute
)

// LaunchDue makes the runs that looks decided on and returns when the next one is
// due; zero if none waits. A run that cannot be made is kept with the reason. The
// error is the store's.
func (l *Looker) LaunchDue(ctx context.Context) (time.Time, error) {
	due, err := l.Store.DueWantedRuns(ctx, l.Now(), 100)
	if err != nil {
		return time.Time{}, err
	}
	// One that waits for its repository does not hold up those of other projects.
	byProject := map[int64][]store.WantedRun{}
	for _, row := range due {
		byProject[row.Project] = append(byProject[row.Project], row)
	}
	var (
		wait   sync.WaitGroup
		mu     sync.Mutex
		failed error
		space  = make(chan struct{}, looksAtOnce)
	)
	for _, project := range slices.Sorted(maps.Keys(byProject)) {
		space <- struct{}{}
		wait.Go(func() {
			defer func() { <-space }()
			if err := l.launchAll(ctx, byProject[project]); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = err
			}
		})
	}
	wait.Wait()
	if failed != nil {
		return time.Time{}, failed
	}
	return l.Store.NextWantedRun(ctx)
}

// launchAll makes the runs of one project, in their order.
func (l *Looker) launchAll(ctx context.Context, rows []store.WantedRun) error {
	for _, row := range rows {
		err := l.launch(ctx, &row)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = l.Store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveWantedRun(ctx, row.ID) })
		} else {
			l.postpone(&row, err)
			err = l.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutWantedRuns(ctx, []store.WantedRun{row}) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Looker) launch(ctx context.Context, row *store.WantedRun) error {
	var w Wanted
	if err := json.Unmarshal(row.Body, &w); err != nil {
		return fmt.Errorf("wanted run %d: %w", row.ID, err)
	}
	p, err := l.Store.Project(ctx, row.Project)
	if errs.Is(err, errs.NotFound) {
		return nil // the project was removed
	}
	if err != nil {
		return err
	}
	err = l.Launch(ctx, p, w, WantedKey(row.ID))
	if missing := errs.Is(err, errs.NotFound); missing && w.MergeRequest != nil && l.Now().Sub(row.Created) < refAppears {
		return errs.E(errs.Unavailable, "%w", err) // its ref may appear yet
	}
	return err
}

// WantedKey is the key of the run that a wanted run becomes.
func WantedKey(id int64) string { return fmt.Sprintf("wanted-%d", id) }

// postpone notes why a run could not be made, and when it is tried again.
func (l *Looker) postpone(row *store.WantedRun, err error) {
	row.Attempts++
	row.Error = err.Error()
	if kind := errs.KindOf(err); row.Attempts >= launchAttempts || kind != errs.Unavailable && kind != errs.Internal {
		row.State = store.WantedFailed
		return
	}
	row.Next = l.Now().Add(min(firstLaunchRetry<<min(row.Attempts-1, 12), maxLaunchRetry))
}

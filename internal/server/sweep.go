package server

import (
	"context"
	"errors"
	"time"

	"refline/internal/blob"
	"refline/internal/store"
)

const (
	sweepEvery   = 10 * time.Minute
	sweepPortion = 50
	// cacheUnused is how long a cache stays that no job asks for.
	cacheUnused = 30 * 24 * time.Hour
)

// sweepBlobs removes what has expired, until ctx is done.
func (s *Server) sweepBlobs(ctx context.Context) {
	for {
		wait := sweepEvery
		more, err := s.files.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("remove blobs that are not needed", "error", err)
		} else if more {
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Sweep removes a portion of the artifacts that have expired, the caches that
// are not used, and the blobs that no row names any more. more says that there
// may be others.
func (f *Files) Sweep(ctx context.Context) (more bool, err error) {
	now := f.Now()
	var due []store.Removal
	err = f.Store.Update(ctx, func(tx *store.Tx) error {
		artifacts, err := tx.ExpireArtifacts(ctx, now, sweepPortion)
		if err != nil {
			return err
		}
		caches, err := tx.ExpireCaches(ctx, now.Add(-cacheUnused), now, sweepPortion)
		if err != nil {
			return err
		}
		due, err = tx.TakeRemovals(ctx, now, sweepPortion)
		more = artifacts == sweepPortion || caches == sweepPortion || len(due) == sweepPortion
		return err
	})
	if err != nil {
		return false, err
	}
	var gone []string
	var all []error
	for _, r := range due {
		remove := f.Blobs.Delete
		if r.Kind == store.BlobLog {
			remove = f.removeLogs
		}
		if err := remove(ctx, r.Place); err != nil {
			all = append(all, err)
			continue
		}
		gone = append(gone, r.Place)
	}
	if len(gone) > 0 {
		all = append(all, f.Store.Update(ctx, func(tx *store.Tx) error { return tx.DoneRemovals(ctx, gone) }))
	}
	return more, errors.Join(all...)
}

// removeLogs removes the logs at a place, which is that of a run or of one attempt.
func (f *Files) removeLogs(ctx context.Context, place string) error {
	err := blob.DeleteAll(ctx, f.Blobs, place)
	if run, ok := store.RunOfLogs(place); ok && f.Logs != nil {
		err = errors.Join(err, f.Logs.Remove(run))
	}
	return err
}

package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/store"
)

const (
	archiveEvery  = 10 * time.Second
	archiveAgain  = time.Minute // after an error
	archiveBeside = 8           // logs that are moved at the same time
)

// archiveLogs moves finished logs to the blob store until ctx is done. What it does next
// is in the folder of logs alone, so it goes on after a restart.
func (s *Server) archiveLogs(ctx context.Context) {
	for {
		wait := archiveEvery
		if _, err := s.files.ArchiveLogs(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.Error("move finished logs to the blob store; they stay in the data folder until it works", "error", err)
			wait = archiveAgain
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// ArchiveLogs moves the logs of attempts that have ended from the folder to the blob
// store and returns how many. At the first errors it stops.
func (f *Files) ArchiveLogs(ctx context.Context) (moved int, err error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	free := make(chan struct{}, archiveBeside)
	for id, herr := range f.Logs.Here() {
		mu.Lock()
		err = errors.Join(err, herr)
		stop := err != nil || ctx.Err() != nil
		mu.Unlock()
		if stop {
			break
		}
		free <- struct{}{}
		group.Go(func() {
			defer func() { <-free }()
			done, aerr := f.archiveLog(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			err = errors.Join(err, aerr)
			if done {
				moved++
			}
		})
	}
	group.Wait()
	return moved, err
}

// archiveLog moves the log of an attempt if that has ended.
func (f *Files) archiveLog(ctx context.Context, id logfile.ID) (moved bool, err error) {
	a, err := f.Store.Attempt(ctx, id.Attempt)
	if errs.Is(err, errs.NotFound) {
		return false, nil // its run was removed, and its log will be
	}
	if err != nil || a.Run != id.Run || a.Finished.IsZero() {
		return false, err
	}
	_, err = f.Logs.Archive(ctx, id, func(l logfile.Archived) error {
		if l.Bytes == 0 {
			return nil
		}
		return f.Store.Update(ctx, func(tx *store.Tx) error { return f.putLog(ctx, tx, id, l) })
	})
	switch {
	case errors.Is(err, errRunGone):
		return false, nil
	case errs.Is(err, errs.Conflict): // it was written; the next time
		return false, nil
	}
	return err == nil, err
}

// errRunGone means that a run was removed while its log was stored. What is left of the
// log goes with the run's other logs.
var errRunGone = errors.New("the run was removed")

// putLog writes the row of a log, if its run is still there.
func (f *Files) putLog(ctx context.Context, tx *store.Tx, id logfile.ID, l logfile.Archived) error {
	runs, err := tx.LockRuns(ctx, []int64{id.Run})
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		return errRunGone
	}
	return tx.PutLog(ctx, store.Log{
		Attempt: id.Attempt, Run: id.Run, Place: l.Prefix, Bytes: l.Bytes, Lines: l.Lines,
		StoredBytes: l.StoredBytes, SHA256: l.SHA256, Created: f.Now(),
	})
}

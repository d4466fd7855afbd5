package server

import (
	"context"
	"strconv"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// resultsPrefix begins the keys of the results that attempts keep of their tasks. They
// are kept as caches are: without use they go. Only attempts of the same run get them,
// since they are unpickled there.
const resultsPrefix = "results/"

func resultsKey(attempt int64) string { return resultsPrefix + strconv.FormatInt(attempt, 10) }

// resultsOf reads the key of kept results, if an attempt of a run may use it.
func (f *Files) resultsOf(ctx context.Context, l store.Lease, run store.Run, name string) (fileKey, error) {
	k := fileKey{run: run}
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil || id < 1 {
		return k, errs.E(errs.Invalid, "%q names no kept results", resultsPrefix+name)
	}
	owner, err := f.Store.Attempt(ctx, id)
	if err != nil {
		return k, err
	}
	if owner.Run != run.ID || owner.Pos != l.Pos {
		return k, errs.E(errs.Denied, "attempt %d may not use the results of a job of run %d", l.ID, owner.Run)
	}
	k.results = id
	k.cache = store.CacheID{Project: run.Project, Protected: run.Protected, Name: resultsPrefix + name}
	return k, nil
}

// retryFrom notes which jobs of a retry take the results of their tasks: with
// fromFailed those that are retried, else none.
func (s *Server) retryFrom(ctx context.Context, r store.Run, job string, fromFailed bool) (err error) {
	only := -1
	if job != "" {
		if only, _, err = s.findJob(ctx, r, job); err != nil {
			return err
		}
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	if err != nil {
		return err
	}
	var positions []int
	var list []store.RetryFromFailed
	for _, row := range rows {
		if only >= 0 && row.Pos != only || only < 0 && row.Status != pipeline.StatusFailed && row.Status != pipeline.StatusCanceled {
			continue
		}
		positions = append(positions, row.Pos)
		if fromFailed && row.AttemptID != 0 {
			before, err := s.store.RetryFromFailed(ctx, r.ID, row.Pos)
			if errs.Is(err, errs.NotFound) {
				before.Attempt, err = row.AttemptID, nil
			}
			if err != nil {
				return err
			}
			list = append(list, store.RetryFromFailed{Run: r.ID, Pos: row.Pos, Attempt: before.Attempt})
		}
	}
	return s.store.Update(ctx, func(tx *store.Tx) error { return tx.SetRetriesFromFailed(ctx, r.ID, positions, list) })
}

// results returns the key of the results that an attempt takes: those of the newest
// attempt that kept some, which has those of the ones before. "" for none.
func (d dispatcher) results(ctx context.Context, w *work) (string, error) {
	from, err := d.s.store.RetryFromFailed(ctx, w.run.ID, w.attempt.Pos)
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	attempts, err := d.s.store.RunAttempts(ctx, w.run.ID)
	if err != nil {
		return "", err
	}
	key, newest := "", int64(0)
	for _, a := range attempts {
		if a.Pos != w.attempt.Pos || a.ID < from.Attempt || a.ID >= w.attempt.ID || a.ID < newest {
			continue
		}
		id := store.CacheID{Project: w.run.Project, Protected: w.run.Protected, Name: resultsKey(a.ID)}
		_, err := d.s.store.Cache(ctx, id)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		key, newest = resultsKey(a.ID), a.ID
	}
	return key, nil
}

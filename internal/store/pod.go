package store

import (
	"context"
	"database/sql"
	"time"

	"refline/internal/errs"
)

// Pod is a row of pods: an attempt that a runner had another process run.
type Pod struct {
	Attempt, Runner int64
	UID             string // UID that may claim the attempt
	Agent           int64  // session of the process that did, else 0
	Created         time.Time
}

// PutPod notes which pod may claim an attempt. After a claim it stays as it is;
// Conflict then for another pod.
func (t *Tx) PutPod(ctx context.Context, l Pod) error {
	res, err := t.exec(ctx, `INSERT INTO pods (attempt, runner, uid, agent, created_at) VALUES (?, ?, ?, 0, ?)
		ON CONFLICT (attempt) DO UPDATE SET runner = excluded.runner, uid = excluded.uid WHERE pods.agent = 0 OR pods.uid = excluded.uid`,
		l.Attempt, l.Runner, l.UID, millis(l.Created))
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.E(errs.Conflict, "attempt %d is run by another pod", l.Attempt)
	}
	return nil
}

// Pod returns how an attempt was launched; NotFound if it was not.
func (s *Store) Pod(ctx context.Context, attempt int64) (Pod, error) {
	rows, err := s.query(ctx, "SELECT attempt, runner, uid, agent, created_at FROM pods WHERE attempt = ?", attempt)
	return first(rows, err, func(rows *sql.Rows) (l Pod, err error) {
		var created int64
		err = rows.Scan(&l.Attempt, &l.Runner, &l.UID, &l.Agent, &created)
		l.Created = fromMillis(created)
		return l, err
	}, "attempt %d was not launched", attempt)
}

// MoveAttempt gives an open attempt to the session of the pod that claims it, once
// for each pod. Conflict if another pod did, or if the attempt is over.
func (t *Tx) MoveAttempt(ctx context.Context, attempt int64, pod string, session int64) error {
	res, err := t.exec(ctx, "UPDATE pods SET agent = ? WHERE attempt = ? AND uid = ? AND agent = 0", session, attempt, pod)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.E(errs.Conflict, "attempt %d was claimed already", attempt)
	}
	res, err = t.exec(ctx, "UPDATE attempts SET session = ? WHERE id = ? AND finished_at = 0 AND session IN (SELECT id FROM runner_sessions WHERE ended_at = 0)", session, attempt)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errs.E(errs.Conflict, "attempt %d is over", attempt)
	}
	return nil
}

// ClosedAttempts returns those that are over or not known.
func (s *Store) ClosedAttempts(ctx context.Context, ids []int64) ([]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := s.query(ctx, "SELECT id FROM attempts WHERE finished_at = 0 AND id IN "+in, args...)
	open, err := collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
	if err != nil {
		return nil, err
	}
	known := map[int64]bool{}
	for _, id := range open {
		known[id] = true
	}
	var closed []int64
	for _, id := range ids {
		if !known[id] {
			closed = append(closed, id)
		}
	}
	return closed, nil
}

// Unstarted counts how often an attempt of a job was given back before it began.
func (s *Store) Unstarted(ctx context.Context, a Attempt) (int, error) {
	var n int
	err := s.read.QueryRowContext(ctx, s.rebind("SELECT COUNT(*) FROM attempts WHERE run = ? AND pos = ? AND attempt = ? AND state = ?"),
		a.Run, a.Pos, a.Attempt, string(AttemptUnstarted)).Scan(&n)
	return n, storageError(err)
}

// PutRunnerKeys keeps the public keys of a runner's cluster.
func (t *Tx) PutRunnerKeys(ctx context.Context, runner int64, jwks string, at time.Time) error {
	_, err := t.exec(ctx, `INSERT INTO runner_keys (runner, jwks, updated_at) VALUES (?, ?, ?)
		ON CONFLICT (runner) DO UPDATE SET jwks = excluded.jwks, updated_at = excluded.updated_at`, runner, jwks, millis(at))
	return err
}

// RunnerKeys returns the public keys of a runner's cluster; NotFound without any.
func (s *Store) RunnerKeys(ctx context.Context, runner int64) (string, error) {
	rows, err := s.query(ctx, "SELECT jwks FROM runner_keys WHERE runner = ?", runner)
	return first(rows, err, func(rows *sql.Rows) (text string, err error) { return text, rows.Scan(&text) }, "runner %d gave no keys of its cluster", runner)
}

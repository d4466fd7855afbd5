package store

import (
	"context"
	"database/sql"
	"strings"
)

// Lease is an attempt with the session that it belongs to.
type Lease struct {
	Attempt
	Runner int64 // of the session
	Open   bool  // neither the attempt nor its session has ended
}

// Lease returns an attempt and whose it is; NotFound if there is none.
func (s *Store) Lease(ctx context.Context, fence int64) (Lease, error) {
	rows, err := s.query(ctx, "SELECT a."+strings.Join(attemptTable.columns, ", a.")+
		", s.runner, s.ended_at FROM attempts a JOIN runner_sessions s ON s.id = a.session WHERE a.id = ?", fence)
	return first(rows, err, scanLease, "no attempt %d", fence)
}

func scanLease(rows *sql.Rows) (Lease, error) {
	var l Lease
	var started, finished, ended int64
	err := rows.Scan(&l.ID, &l.Run, &l.Pos, &l.Attempt.Attempt, &l.Session, &l.State, &l.Digest, &l.LogBytes, &started, &finished, &l.Runner, &ended)
	l.Started, l.Finished = fromMillis(started), fromMillis(finished)
	l.Open = finished == 0 && ended == 0
	return l, err
}

// AttemptEvent is a row of attempt_events: JSON, masked.
type AttemptEvent struct {
	Attempt, Seq int64
	Body         string
}

var eventTable = table{name: "attempt_events", key: []string{"attempt", "seq"}, keep: []string{"body"}, columns: []string{"attempt", "seq", "body"}}

// AddEvents writes events. Those that are there already stay.
func (t *Tx) AddEvents(ctx context.Context, list []AttemptEvent) error {
	rows := make([][]any, len(list))
	for i, e := range list {
		rows[i] = []any{e.Attempt, e.Seq, e.Body}
	}
	return t.putMany(ctx, &eventTable, rows)
}

// NextEvent returns the number of the next event of an attempt, from 0.
func (s *Store) NextEvent(ctx context.Context, attempt int64) (int64, error) {
	var last sql.NullInt64
	err := s.read.QueryRowContext(ctx, s.rebind("SELECT MAX(seq) FROM attempt_events WHERE attempt = ?"), attempt).Scan(&last)
	if err != nil || !last.Valid {
		return 0, storageError(err)
	}
	return last.Int64 + 1, nil
}

// Events returns up to n events of an attempt from number from on.
func (s *Store) Events(ctx context.Context, attempt, from int64, n int) ([]AttemptEvent, error) {
	rows, err := s.query(ctx, "SELECT attempt, seq, body FROM attempt_events WHERE attempt = ? AND seq >= ? ORDER BY seq LIMIT ?", attempt, from, n)
	return collect(rows, err, func(rows *sql.Rows) (e AttemptEvent, err error) {
		err = rows.Scan(&e.Attempt, &e.Seq, &e.Body)
		return e, err
	})
}

// AttemptResult is a row of attempt_results: what the runner reported, as JSON. An
// attempt that had nothing to report but its status has none.
type AttemptResult struct {
	Attempt, Run int64
	Body         string
}

var resultTable = table{name: "attempt_results", key: []string{"attempt"}, columns: []string{"attempt", "run", "body"}}

// PutResult writes the result of an attempt.
func (t *Tx) PutResult(ctx context.Context, r AttemptResult) error {
	return t.putMany(ctx, &resultTable, [][]any{{r.Attempt, r.Run, r.Body}})
}

// AttemptResults returns those of attempts that have one.
func (s *Store) AttemptResults(ctx context.Context, attempts []int64) ([]AttemptResult, error) {
	if len(attempts) == 0 {
		return nil, nil
	}
	rows, err := s.query(ctx, "SELECT attempt, run, body FROM attempt_results WHERE attempt IN "+idList(attempts)+" ORDER BY attempt")
	return collect(rows, err, func(rows *sql.Rows) (r AttemptResult, err error) {
		err = rows.Scan(&r.Attempt, &r.Run, &r.Body)
		return r, err
	})
}

// SessionLeases returns the attempts of a session that have not ended.
func (s *Store) SessionLeases(ctx context.Context, session int64) ([]Attempt, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(attemptTable.columns, ", ")+
		" FROM attempts WHERE session = ? AND finished_at = 0 ORDER BY id", session)
	return collect(rows, err, scanAttempt)
}

// LiveSession returns a session that has not ended, else NotFound.
func (s *Store) LiveSession(ctx context.Context, id int64) (Session, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(sessionTable.columns, ", ")+" FROM runner_sessions WHERE id = ? AND ended_at = 0", id)
	return first(rows, err, scanSession, "runner session %d has ended; open another", id)
}

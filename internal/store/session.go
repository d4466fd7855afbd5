package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/errs"
)

// Session is a row of runner_sessions: the lease of a runner's attempts.
type Session struct {
	ID, Runner int64
	Tags       []string
	Protected  bool // takes jobs of protected refs only
	Beat       int64
	Draining   bool // takes no more jobs
	Ended      time.Time
}

var sessionTable = table{name: "runner_sessions", key: []string{"id"},
	columns: []string{"id", "runner", "tags", "protected", "beat", "draining", "ended_at"}}

// AddSession begins a session.
func (t *Tx) AddSession(ctx context.Context, s Session) error {
	return t.putMany(ctx, &sessionTable, [][]any{{s.ID, s.Runner, strings.Join(s.Tags, "\n"), bit(s.Protected), s.Beat, bit(s.Draining), millis(s.Ended)}})
}

// Beat counts a sign of life of sessions and returns the ids of those that are
// open; their rows are locked until the transaction ends.
func (t *Tx) Beat(ctx context.Context, ids []int64) (open []int64, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "UPDATE runner_sessions SET beat = beat + 1 WHERE id IN (SELECT id FROM runner_sessions WHERE ended_at = 0 AND id IN "+in+" ORDER BY id"+t.forUpdate()+") RETURNING id", args...)
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// OpenSessions returns the sessions that have not ended.
func (s *Store) OpenSessions(ctx context.Context) ([]Session, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(sessionTable.columns, ", ")+" FROM runner_sessions WHERE ended_at = 0 ORDER BY id")
	return collect(rows, err, scanSession)
}

// Sessions returns the sessions with these ids that have not ended.
func (t *Tx) Sessions(ctx context.Context, ids []int64) ([]Session, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "SELECT "+strings.Join(sessionTable.columns, ", ")+" FROM runner_sessions WHERE ended_at = 0 AND id IN "+in+" ORDER BY id", args...)
	return collect(rows, err, scanSession)
}

// DrainSession says whether a session takes more jobs. NotFound if it has ended.
func (t *Tx) DrainSession(ctx context.Context, id int64, on bool) error {
	res, err := t.exec(ctx, "UPDATE runner_sessions SET draining = ? WHERE id = ? AND ended_at = 0", bit(on), id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return ErrNoSession(id)
	}
	return nil
}

// EndSession ends a session whose attempts have been ended.
func (t *Tx) EndSession(ctx context.Context, id int64, at time.Time) error {
	_, err := t.exec(ctx, "UPDATE runner_sessions SET ended_at = ? WHERE id = ?", millis(at), id)
	return err
}

// ErrNoSession is the error for a session that ended or never was.
func ErrNoSession(id int64) error {
	return errs.E(errs.NotFound, "no runner session %d: it ended, begin another", id)
}

func scanSession(rows *sql.Rows) (Session, error) {
	var s Session
	var tags string
	var protected, draining int
	var ended int64
	err := rows.Scan(&s.ID, &s.Runner, &tags, &protected, &s.Beat, &draining, &ended)
	s.Tags, s.Protected, s.Draining, s.Ended = splitLines(tags), protected != 0, draining != 0, fromMillis(ended)
	return s, err
}

// Timer is a row of timers: when a delayed job starts.
type Timer struct {
	Run     int64
	Pos     int
	Attempt int
	Due     time.Time
}

var timerTable = table{name: "timers", key: []string{"run", "pos"}, columns: []string{"run", "pos", "attempt", "due_at"}}

// PutTimers writes timers.
func (t *Tx) PutTimers(ctx context.Context, list []Timer) error {
	rows := make([][]any, len(list))
	for i, x := range list {
		rows[i] = []any{x.Run, x.Pos, x.Attempt, millis(x.Due)}
	}
	return t.putMany(ctx, &timerTable, rows)
}

// DropTimers removes the timers of jobs of a run, whether there are any or not.
func (t *Tx) DropTimers(ctx context.Context, run int64, positions []int) error {
	if len(positions) == 0 {
		return nil
	}
	ids := make([]int64, len(positions))
	for i, pos := range positions {
		ids[i] = int64(pos)
	}
	_, err := t.exec(ctx, "DELETE FROM timers WHERE run = ? AND pos IN "+idList(ids), run)
	return err
}

// DueTimers returns the first n timers that are due.
func (t *Tx) DueTimers(ctx context.Context, now time.Time, n int) ([]Timer, error) {
	rows, err := t.query(ctx, "SELECT run, pos, attempt, due_at FROM timers WHERE due_at <= ? ORDER BY due_at LIMIT ?", millis(now), n)
	return collect(rows, err, func(rows *sql.Rows) (Timer, error) {
		var x Timer
		var due int64
		err := rows.Scan(&x.Run, &x.Pos, &x.Attempt, &due)
		x.Due = fromMillis(due)
		return x, err
	})
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// NextTimer returns when the first timer is due, zero if there is none.
func (t *Tx) NextTimer(ctx context.Context) (time.Time, error) {
	due, err := t.number(ctx, "SELECT MIN(due_at) FROM timers")
	return fromMillis(due), err
}

package store

import (
	"context"
	"database/sql"
	"time"
)

// Launch is a row of launches: a trigger job that runs.
type Launch struct {
	Run     int64
	Pos     int
	Attempt int
	Child   int64 // 0 until the run is made
	Tries   int
	Next    time.Time // no try before
}

var launchTable = table{name: "launches", key: []string{"run", "pos"},
	columns: []string{"run", "pos", "attempt", "child", "tries", "next_at"}}

// PutLaunches writes launches.
func (t *Tx) PutLaunches(ctx context.Context, list []Launch) error {
	rows := make([][]any, len(list))
	for i, l := range list {
		rows[i] = []any{l.Run, l.Pos, l.Attempt, l.Child, l.Tries, millis(l.Next)}
	}
	return t.putMany(ctx, &launchTable, rows)
}

// DropLaunch removes the launch of a job, whether there is one or not.
func (t *Tx) DropLaunch(ctx context.Context, run int64, pos int) error {
	_, err := t.exec(ctx, "DELETE FROM launches WHERE run = ? AND pos = ?", run, pos)
	return err
}

// Launch returns the launch of a job; false if there is none.
func (t *Tx) Launch(ctx context.Context, run int64, pos int) (Launch, bool, error) {
	rows, err := t.query(ctx, "SELECT run, pos, attempt, child, tries, next_at FROM launches WHERE run = ? AND pos = ?", run, pos)
	list, err := collect(rows, err, scanLaunch)
	if err != nil || len(list) == 0 {
		return Launch{}, false, err
	}
	return list[0], true, nil
}

// LaunchMade notes the run that a trigger job started.
func (t *Tx) LaunchMade(ctx context.Context, run int64, pos, attempt int, child int64) error {
	_, err := t.exec(ctx, "UPDATE launches SET child = ? WHERE run = ? AND pos = ? AND attempt = ?", child, run, pos, attempt)
	return err
}

// OpenLaunches returns the first n launches whose run is not made and whose next
// try is due.
func (s *Store) OpenLaunches(ctx context.Context, now time.Time, n int) ([]Launch, error) {
	rows, err := s.query(ctx, "SELECT run, pos, attempt, child, tries, next_at FROM launches WHERE child = 0 AND (next_at <= ? OR next_at > ?) ORDER BY next_at, run, pos LIMIT ?",
		millis(now), millis(now.Add(latest)), n)
	return collect(rows, err, scanLaunch)
}

// TryLaunchAgain notes that a try failed and when the next one is.
func (t *Tx) TryLaunchAgain(ctx context.Context, l Launch, next time.Time) error {
	_, err := t.exec(ctx, "UPDATE launches SET tries = tries + 1, next_at = ? WHERE run = ? AND pos = ? AND attempt = ? AND child = 0", millis(next), l.Run, l.Pos, l.Attempt)
	return err
}

func scanLaunch(rows *sql.Rows) (Launch, error) {
	var l Launch
	var next int64
	err := rows.Scan(&l.Run, &l.Pos, &l.Attempt, &l.Child, &l.Tries, &next)
	l.Next = fromMillis(next)
	return l, err
}

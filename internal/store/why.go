package store

import (
	"context"
	"database/sql"
	"time"
)

// What explains why a job does not start. Nothing here locks.

// TimerOf returns when a delayed job starts, zero if it has no timer.
func (s *Store) TimerOf(ctx context.Context, run int64, pos int) (time.Time, error) {
	ms, err := s.count(ctx, "SELECT due_at FROM timers WHERE run = ? AND pos = ?", run, pos)
	return fromMillis(ms), err
}

// LaunchOf returns the launch of a trigger job; false if there is none.
func (s *Store) LaunchOf(ctx context.Context, run int64, pos int) (Launch, bool, error) {
	rows, err := s.query(ctx, "SELECT run, pos, attempt, child, tries, next_at FROM launches WHERE run = ? AND pos = ?", run, pos)
	list, err := collect(rows, err, scanLaunch)
	if err != nil || len(list) == 0 {
		return Launch{}, false, err
	}
	return list[0], true, nil
}

// QueuedBefore counts the jobs that come before a job in its lane, at most 1,000;
// -1 if it is not in the queue.
func (s *Store) QueuedBefore(ctx context.Context, run int64, pos int) (int, error) {
	rows, err := s.query(ctx, "SELECT run, pos, lane, priority, rank, project FROM queue WHERE run = ? AND pos = ?", run, pos)
	list, err := collect(rows, err, func(rows *sql.Rows) (q Queued, err error) {
		return q, rows.Scan(&q.Run, &q.Pos, &q.Lane, &q.Priority, &q.Rank, &q.Project)
	})
	if err != nil || len(list) == 0 {
		return -1, err
	}
	q := list[0]
	n, err := s.count(ctx, `SELECT COUNT(*) FROM (SELECT run FROM queue WHERE lane = ? AND (priority > ? OR priority = ? AND
		(rank < ? OR rank = ? AND (run < ? OR run = ? AND pos < ?))) LIMIT 1000) AS before`,
		q.Lane, q.Priority, q.Priority, q.Rank, q.Rank, run, run, pos)
	return int(n), err
}

// SlotNamed returns a slot; one without a row has a place for one.
func (s *Store) SlotNamed(ctx context.Context, key SlotKey) (Slot, error) {
	rows, err := s.query(ctx, "SELECT scope, name, max, policy FROM slots WHERE scope = ? AND name = ?", string(key.Scope), key.Name)
	list, err := collect(rows, err, scanSlot)
	if err != nil || len(list) == 0 {
		return Slot{SlotKey: key, Max: 1}, err
	}
	return list[0], nil
}

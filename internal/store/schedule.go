package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/errs"
)

// Schedule is a row of schedules: when a flow runs by itself. Cron or Every is
// set.
type Schedule struct {
	ID, Flow int64
	Cron     string
	Every    time.Duration
	Timezone string
	CatchUp  string
	Inputs   map[string]any
	Actor    string
	Paused   bool
	Anchor   time.Time // from which Every counts
	Last     time.Time // the last due time that was considered
	Next     time.Time // zero if there is none
}

var scheduleTable = table{name: "schedules", key: []string{"id"}, keep: []string{"flow"},
	columns: []string{"id", "flow", "cron", "every_ms", "timezone", "catch_up", "inputs", "actor", "paused", "anchor_at", "last_at", "next_at"}}

// PutSchedule writes a schedule.
func (t *Tx) PutSchedule(ctx context.Context, s Schedule) error {
	inputs, err := toJSON(s.Inputs, len(s.Inputs) == 0)
	if err != nil {
		return err
	}
	return t.putMany(ctx, &scheduleTable, [][]any{{s.ID, s.Flow, s.Cron, s.Every.Milliseconds(), s.Timezone, s.CatchUp, inputs, s.Actor,
		bit(s.Paused), millis(s.Anchor), millis(s.Last), millis(s.Next)}})
}

// RemoveSchedule removes a schedule; its occurrences stay. NotFound if there is
// none.
func (t *Tx) RemoveSchedule(ctx context.Context, id int64) error {
	res, err := t.exec(ctx, "DELETE FROM schedules WHERE id = ?", id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errNoSchedule(id)
	}
	return nil
}

func errNoSchedule(id int64) error {
	return errs.E(errs.NotFound, "no schedule %d; list them: refline schedule list", id)
}

// LockSchedule returns a schedule, locked until the transaction ends.
func (t *Tx) LockSchedule(ctx context.Context, id int64) (Schedule, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(scheduleTable.columns, ", ")+" FROM schedules WHERE id = ?"+t.forUpdate(), id)
	list, err := collect(rows, err, scanSchedule)
	if err == nil && len(list) == 0 {
		err = errNoSchedule(id)
	}
	if err != nil {
		return Schedule{}, err
	}
	return list[0], nil
}

// firing leaves out the schedules of flows that are paused or archived.
const firing = " AND NOT EXISTS (SELECT 1 FROM flows f WHERE f.id = schedules.flow AND (f.paused = 1 OR f.archived_at > 0))"

// LockDueSchedules returns the first n schedules that are due and that no other
// transaction has, locked until the transaction ends.
func (t *Tx) LockDueSchedules(ctx context.Context, now time.Time, n int) ([]Schedule, error) {
	lock := t.forUpdate()
	if lock != "" {
		lock += " SKIP LOCKED"
	}
	rows, err := t.query(ctx, "SELECT "+strings.Join(scheduleTable.columns, ", ")+" FROM schedules WHERE paused = 0 AND next_at > 0 AND next_at <= ?"+firing+" ORDER BY next_at LIMIT ?"+lock, millis(now), n)
	return collect(rows, err, scanSchedule)
}

// NextSchedule returns when the first schedule is due, zero if none is.
func (s *Store) NextSchedule(ctx context.Context) (time.Time, error) {
	ms, err := s.count(ctx, "SELECT MIN(next_at) FROM schedules WHERE paused = 0 AND next_at > 0"+firing)
	return fromMillis(ms), err
}

// Schedules returns the schedules of a flow, or all for flow 0.
func (s *Store) Schedules(ctx context.Context, flow int64) ([]Schedule, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(scheduleTable.columns, ", ")+" FROM schedules WHERE flow = ? OR ? = 0 ORDER BY flow, id", flow, flow)
	return collect(rows, err, scanSchedule)
}

// Schedule returns a schedule by its id.
func (s *Store) Schedule(ctx context.Context, id int64) (Schedule, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(scheduleTable.columns, ", ")+" FROM schedules WHERE id = ?", id)
	list, err := collect(rows, err, scanSchedule)
	if err == nil && len(list) == 0 {
		err = errNoSchedule(id)
	}
	if err != nil {
		return Schedule{}, err
	}
	return list[0], nil
}

// LockSchedules returns the schedules of a flow, locked until the transaction ends.
func (t *Tx) LockSchedules(ctx context.Context, flow int64) ([]Schedule, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(scheduleTable.columns, ", ")+" FROM schedules WHERE flow = ? ORDER BY id"+t.forUpdate(), flow)
	return collect(rows, err, scanSchedule)
}

func scanSchedule(rows *sql.Rows) (Schedule, error) {
	var s Schedule
	var every, anchor, last, next int64
	var paused int
	var inputs string
	err := rows.Scan(&s.ID, &s.Flow, &s.Cron, &every, &s.Timezone, &s.CatchUp, &inputs, &s.Actor, &paused, &anchor, &last, &next)
	if err != nil {
		return s, err
	}
	s.Every, s.Paused = time.Duration(every)*time.Millisecond, paused != 0
	s.Anchor, s.Last, s.Next = fromMillis(anchor), fromMillis(last), fromMillis(next)
	return s, fromJSON(inputs, &s.Inputs)
}

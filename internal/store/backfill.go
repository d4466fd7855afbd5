package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/errs"
)

// Backfill is a row of backfills: a flow that runs for each date from From to To.
// Cron or Every is set.
type Backfill struct {
	ID, Flow int64
	Cron     string
	Every    time.Duration
	Timezone string
	From, To time.Time
	Parallel int
	Again    bool // also dates for which the flow has run
	Inputs   map[string]any
	Actor    string
	State    BackfillState
	Last     time.Time // the last date that was considered
	Created  time.Time
}

// BackfillState is where a backfill is.
type BackfillState string

// The states of backfills.
const (
	BackfillRunning  BackfillState = "running"
	BackfillDone     BackfillState = "done"
	BackfillCanceled BackfillState = "canceled"
)

var backfillTable = table{name: "backfills", key: []string{"id"}, keep: []string{"flow", "created_at"},
	columns: []string{"id", "flow", "cron", "every_ms", "timezone", "from_at", "to_at", "parallel", "again", "inputs", "actor", "state", "last_at", "created_at"}}

// PutBackfill writes a backfill.
func (t *Tx) PutBackfill(ctx context.Context, b Backfill) error {
	inputs, err := toJSON(b.Inputs, len(b.Inputs) == 0)
	if err != nil {
		return err
	}
	return t.putMany(ctx, &backfillTable, [][]any{{b.ID, b.Flow, b.Cron, b.Every.Milliseconds(), b.Timezone, millis(b.From), millis(b.To), b.Parallel, bit(b.Again),
		inputs, b.Actor, string(b.State), millis(b.Last), millis(b.Created)}})
}

// LockBackfill returns a backfill, locked until the transaction ends.
func (t *Tx) LockBackfill(ctx context.Context, id int64) (Backfill, error) {
	rows, err := t.query(ctx, "SELECT "+strings.Join(backfillTable.columns, ", ")+" FROM backfills WHERE id = ?"+t.forUpdate(), id)
	list, err := collect(rows, err, scanBackfill)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, "no backfill %d", id)
	}
	if err != nil {
		return Backfill{}, err
	}
	return list[0], nil
}

// OpenOccurrences counts the occurrences of a backfill that wait or whose run has
// not ended.
func (t *Tx) OpenOccurrences(ctx context.Context, backfill int64) (int, error) {
	n, err := t.number(ctx, `SELECT COUNT(*) FROM occurrences o LEFT JOIN runs r ON r.id = o.run
		WHERE o.backfill = ? AND o.backfill > 0 AND (o.state = 'waiting' OR o.state = 'started' AND r.finished_at = 0)`, backfill)
	return int(n), err
}

// CancelOccurrences cancels the occurrences of a backfill that wait, and returns
// the ids of the runs of others that have not ended.
func (t *Tx) CancelOccurrences(ctx context.Context, backfill int64) ([]int64, error) {
	if _, err := t.exec(ctx, "UPDATE occurrences SET state = 'canceled' WHERE backfill = ? AND backfill > 0 AND state = 'waiting'", backfill); err != nil {
		return nil, err
	}
	rows, err := t.query(ctx, `SELECT r.id FROM occurrences o JOIN runs r ON r.id = o.run
		WHERE o.backfill = ? AND o.backfill > 0 AND r.finished_at = 0 ORDER BY r.id`, backfill)
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// ResumeOccurrences lets canceled occurrences of a backfill wait again.
func (t *Tx) ResumeOccurrences(ctx context.Context, backfill int64) error {
	_, err := t.exec(ctx, "UPDATE occurrences SET state = 'waiting', next_at = 0 WHERE backfill = ? AND backfill > 0 AND state = 'canceled' AND run = 0", backfill)
	return err
}

// RunningBackfills returns the ids of backfills that are not over.
func (s *Store) RunningBackfills(ctx context.Context) ([]int64, error) {
	rows, err := s.query(ctx, "SELECT id FROM backfills WHERE state = 'running' ORDER BY id")
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// Backfills returns the last n backfills of a flow, or of all for flow 0, newest
// first.
func (s *Store) Backfills(ctx context.Context, flow int64, n int) ([]Backfill, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(backfillTable.columns, ", ")+" FROM backfills WHERE flow = ? OR ? = 0 ORDER BY id DESC LIMIT ?", flow, flow, n)
	return collect(rows, err, scanBackfill)
}

// Backfill returns a backfill by its id.
func (s *Store) Backfill(ctx context.Context, id int64) (Backfill, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(backfillTable.columns, ", ")+" FROM backfills WHERE id = ?", id)
	return first(rows, err, scanBackfill, "no backfill %d; list them: refline flow backfill list", id)
}

// BackfillDates counts the dates of a backfill by what became of them.
type BackfillDates struct {
	Waiting, Running, Succeeded, Failed, Canceled int
}

// BackfillDates counts the dates of a backfill that were considered so far.
func (s *Store) BackfillDates(ctx context.Context, id int64) (d BackfillDates, err error) {
	rows, err := s.query(ctx, `SELECT o.state, COALESCE(r.finished_at, 0) > 0, COALESCE(r.result, ''), COUNT(*) FROM occurrences o LEFT JOIN runs r ON r.id = o.run AND o.run > 0
		WHERE o.backfill = ? AND o.backfill > 0 GROUP BY 1, 2, 3`, id)
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var state OccurrenceState
		var result string
		var finished bool
		var n int
		err = rows.Scan(&state, &finished, &result, &n)
		switch {
		case state == OccurrenceWaiting:
			d.Waiting += n
		case state == OccurrenceCanceled, finished && result == "canceled":
			d.Canceled += n
		case state == OccurrenceFailed, finished && result == "failed":
			d.Failed += n
		case finished:
			d.Succeeded += n
		default:
			d.Running += n
		}
		return none, err
	})
	return d, err
}

func scanBackfill(rows *sql.Rows) (Backfill, error) {
	var b Backfill
	var every, from, to, last, created int64
	var again int
	var inputs string
	err := rows.Scan(&b.ID, &b.Flow, &b.Cron, &every, &b.Timezone, &from, &to, &b.Parallel, &again, &inputs, &b.Actor, &b.State, &last, &created)
	if err != nil {
		return b, err
	}
	b.Every, b.Again = time.Duration(every)*time.Millisecond, again != 0
	b.From, b.To, b.Last, b.Created = fromMillis(from), fromMillis(to), fromMillis(last), fromMillis(created)
	return b, fromJSON(inputs, &b.Inputs)
}

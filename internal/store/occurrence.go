package store

import (
	"context"
	"database/sql"
	"time"
)

// Occurrence is a row of occurrences: one due time of a schedule, or one date of
// a backfill, and what became of it.
type Occurrence struct {
	ID                 int64
	Schedule, Backfill int64 // one of them is 0
	Flow               int64
	Due                time.Time
	Again              bool // of a backfill that repeats dates
	Inputs             map[string]any
	Actor              string
	State              OccurrenceState
	Run                int64  // 0 if there is none
	Error              string // why there is none, or none yet
	Tries              int
	Next               time.Time // no try before
}

// OccurrenceState is where an occurrence is.
type OccurrenceState string

// The states of occurrences.
const (
	OccurrenceWaiting  OccurrenceState = "waiting"
	OccurrenceStarted  OccurrenceState = "started"
	OccurrenceFailed   OccurrenceState = "failed"   // its run cannot be made
	OccurrenceCanceled OccurrenceState = "canceled" // with its backfill, before it started
)

const occurrenceColumns = "id, schedule, backfill, flow, due_at, again, inputs, actor, state, run, error, tries, next_at"

// AddOccurrence adds an occurrence that waits for its run, and reports whether it
// is new: a due time of a schedule or backfill is there once, and a date of a
// flow in one backfill only, unless Again is set.
func (t *Tx) AddOccurrence(ctx context.Context, o Occurrence) (bool, error) {
	inputs, err := toJSON(o.Inputs, len(o.Inputs) == 0)
	if err != nil {
		return false, err
	}
	res, err := t.exec(ctx, `INSERT INTO occurrences (schedule, backfill, flow, due_at, again, inputs, actor, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, o.Schedule, o.Backfill, o.Flow, millis(o.Due), bit(o.Again), inputs, o.Actor, string(OccurrenceWaiting))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, storageError(err)
}

// HasOccurrence reports whether a flow has run, or will, for a date.
func (t *Tx) HasOccurrence(ctx context.Context, flow int64, due time.Time) (bool, error) {
	n, err := t.number(ctx, "SELECT COUNT(*) FROM occurrences WHERE flow = ? AND due_at = ? AND state IN ('waiting', 'started')", flow, millis(due))
	return n > 0, err
}

// latest is the longest time between two tries of a start. What is later than
// that was written before the clock was set back.
const latest = 10 * time.Minute

// WaitingOccurrences returns the first n occurrences whose next try is due.
func (s *Store) WaitingOccurrences(ctx context.Context, now time.Time, n int) ([]Occurrence, error) {
	rows, err := s.query(ctx, "SELECT "+occurrenceColumns+" FROM occurrences WHERE state = 'waiting' AND (next_at <= ? OR next_at > ?) ORDER BY next_at, id LIMIT ?",
		millis(now), millis(now.Add(latest)), n)
	return collect(rows, err, scanOccurrence)
}

// NextStart returns when the first try of a start is due, zero if none waits.
func (s *Store) NextStart(ctx context.Context) (time.Time, error) {
	ms, err := s.count(ctx, `SELECT MIN(next_at) FROM (SELECT next_at FROM occurrences WHERE state = 'waiting' UNION ALL SELECT next_at FROM launches WHERE child = 0) AS starts`)
	return fromMillis(ms), err
}

// ClaimOccurrence takes an occurrence for one try, and reports whether no other
// server did.
func (t *Tx) ClaimOccurrence(ctx context.Context, o Occurrence, until time.Time) (bool, error) {
	return t.changedOne(ctx, "UPDATE occurrences SET next_at = ? WHERE id = ? AND next_at = ? AND state = 'waiting'", millis(until), o.ID, millis(o.Next))
}

// ClaimLaunch is [Tx.ClaimOccurrence] for a launch.
func (t *Tx) ClaimLaunch(ctx context.Context, l Launch, until time.Time) (bool, error) {
	return t.changedOne(ctx, "UPDATE launches SET next_at = ? WHERE run = ? AND pos = ? AND attempt = ? AND next_at = ? AND child = 0", millis(until), l.Run, l.Pos, l.Attempt, millis(l.Next))
}

// ReleaseStarts takes back the claims of a server that is the only one and has
// ended.
func (t *Tx) ReleaseStarts(ctx context.Context) error {
	if _, err := t.exec(ctx, "UPDATE occurrences SET next_at = 0 WHERE state = 'waiting'"); err != nil {
		return err
	}
	_, err := t.exec(ctx, "UPDATE launches SET next_at = 0 WHERE child = 0")
	return err
}

// OccurrenceStarted notes the run of an occurrence, and reports whether it still
// waited for one.
func (t *Tx) OccurrenceStarted(ctx context.Context, id, run int64) (bool, error) {
	waited, err := t.changedOne(ctx, "UPDATE occurrences SET state = 'started', run = ?, error = '' WHERE id = ? AND state = 'waiting'", run, id)
	if err != nil || waited {
		return waited, err
	}
	_, err = t.exec(ctx, "UPDATE occurrences SET run = ? WHERE id = ?", run, id)
	return false, err
}

// OccurrenceFailed notes why an occurrence has no run: for good if next is zero,
// else until the next try.
func (t *Tx) OccurrenceFailed(ctx context.Context, id int64, why string, next time.Time) error {
	state := OccurrenceWaiting
	if next.IsZero() {
		state = OccurrenceFailed
	}
	_, err := t.exec(ctx, "UPDATE occurrences SET state = ?, error = ?, tries = tries + 1, next_at = ? WHERE id = ? AND state = 'waiting'", string(state), why, millis(next), id)
	return err
}

// OccurrenceFilter says which occurrences are listed. One of the first three is
// set.
type OccurrenceFilter struct {
	Schedule, Backfill, Flow int64
	Before                   int64 // with a smaller id only: the cursor
	Limit                    int   // default 50, at most 200
}

// Occurrences lists occurrences, newest first.
func (s *Store) Occurrences(ctx context.Context, f OccurrenceFilter) ([]Occurrence, error) {
	where, id := "flow = ?", f.Flow
	switch {
	case f.Schedule != 0:
		where, id = "schedule = ? AND schedule > 0", f.Schedule
	case f.Backfill != 0:
		where, id = "backfill = ? AND backfill > 0", f.Backfill
	}
	if f.Before == 0 {
		f.Before = 1<<63 - 1
	}
	if f.Limit <= 0 {
		f.Limit = 50
	}
	rows, err := s.query(ctx, "SELECT "+occurrenceColumns+" FROM occurrences WHERE "+where+" AND id < ? ORDER BY id DESC LIMIT ?", id, f.Before, min(f.Limit, maxPage))
	return collect(rows, err, scanOccurrence)
}

func scanOccurrence(rows *sql.Rows) (Occurrence, error) {
	var o Occurrence
	var due, next int64
	var again int
	var inputs string
	err := rows.Scan(&o.ID, &o.Schedule, &o.Backfill, &o.Flow, &due, &again, &inputs, &o.Actor, &o.State, &o.Run, &o.Error, &o.Tries, &next)
	if err != nil {
		return o, err
	}
	o.Due, o.Next, o.Again = fromMillis(due), fromMillis(next), again != 0
	return o, fromJSON(inputs, &o.Inputs)
}

// changedOne reports whether a statement changed a row.
func (t *Tx) changedOne(ctx context.Context, text string, args ...any) (bool, error) {
	res, err := t.exec(ctx, text, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, storageError(err)
}

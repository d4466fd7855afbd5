package store

import (
	"context"
	"database/sql"
	"time"

	"refline/internal/errs"
)

// States of a wanted run.
const (
	WantedWaiting  = "waiting"  // to be made
	WantedApproval = "approval" // a person must allow it first
	WantedFailed   = "failed"   // it cannot be made; Error says why
)

// WantedRun is a row of wanted_runs: a run that is to be made. Body is JSON.
type WantedRun struct {
	ID, Project int64
	Request     int64 // number of the merge request; 0 for none
	State       string
	Body        []byte
	Attempts    int
	Next        time.Time
	Error       string
	Actor       string // who allowed it
	Created     time.Time
}

const selectWanted = "SELECT id, project, request, state, body, attempts, next_at, error, actor, created_at FROM wanted_runs"

var wantedTable = table{name: "wanted_runs", key: []string{"id"}, keep: []string{"project", "request", "body", "created_at"},
	columns: []string{"id", "project", "request", "state", "body", "attempts", "next_at", "error", "actor", "created_at"}}

// PutWantedRuns writes wanted runs.
func (t *Tx) PutWantedRuns(ctx context.Context, list []WantedRun) error {
	rows := make([][]any, len(list))
	for i, w := range list {
		rows[i] = []any{w.ID, w.Project, w.Request, w.State, string(w.Body), w.Attempts, millis(w.Next), w.Error, w.Actor, millis(w.Created)}
	}
	return t.putMany(ctx, &wantedTable, rows)
}

// RemoveWantedRun removes a wanted run that was made.
func (t *Tx) RemoveWantedRun(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM wanted_runs WHERE id = ?", id)
	return err
}

// VoidApprovals removes the runs of a merge request that wait for a person: a push
// replaced what they would have allowed.
func (t *Tx) VoidApprovals(ctx context.Context, project, request int64) error {
	_, err := t.exec(ctx, "DELETE FROM wanted_runs WHERE project = ? AND request = ? AND state = ?", project, request, WantedApproval)
	return err
}

// ApproveWantedRun lets a run be made that waits for a person. NotFound if it does
// not wait any more: it was allowed already, or a push replaced it.
func (t *Tx) ApproveWantedRun(ctx context.Context, id int64, actor string, at time.Time) error {
	res, err := t.exec(ctx, "UPDATE wanted_runs SET state = ?, actor = ?, next_at = ? WHERE id = ? AND state = ?", WantedWaiting, actor, millis(at), id, WantedApproval)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errs.E(errs.NotFound, "no run waits under %d: it was allowed already, or a push to the merge request replaced it", id)
	}
	return nil
}

// PruneWantedRuns removes at most n that failed, or waited for a person, since
// before a time.
func (t *Tx) PruneWantedRuns(ctx context.Context, before time.Time, n int) error {
	_, err := t.exec(ctx, "DELETE FROM wanted_runs WHERE id IN (SELECT id FROM wanted_runs WHERE state <> ? AND created_at < ? ORDER BY id LIMIT ?)",
		WantedWaiting, millis(before), n)
	return err
}

// DueWantedRuns returns runs that are to be made now, oldest first, at most n.
func (s *Store) DueWantedRuns(ctx context.Context, now time.Time, n int) ([]WantedRun, error) {
	rows, err := s.query(ctx, selectWanted+" WHERE state = ? AND next_at <= ? ORDER BY id LIMIT ?", WantedWaiting, millis(now), n)
	return collect(rows, err, scanWanted)
}

// NextWantedRun returns when the first one is due, zero if none waits.
func (s *Store) NextWantedRun(ctx context.Context) (time.Time, error) {
	due, err := s.count(ctx, "SELECT MIN(next_at) FROM wanted_runs WHERE state = ?", WantedWaiting)
	return fromMillis(due), err
}

// WantedRun returns a wanted run; NotFound if it was made or removed.
func (s *Store) WantedRun(ctx context.Context, id int64) (WantedRun, error) {
	rows, err := s.query(ctx, selectWanted+" WHERE id = ?", id)
	return first(rows, err, scanWanted, "no run waits under %d; list those that do: refline runs approve", id)
}

// AwaitingApproval returns the wanted runs that wait for a person, of a project or
// of all if project is 0, newest first.
func (s *Store) AwaitingApproval(ctx context.Context, project int64) ([]WantedRun, error) {
	rows, err := s.query(ctx, selectWanted+" WHERE state = ? AND (project = ? OR ? = 0) ORDER BY id DESC LIMIT ?", WantedApproval, project, project, maxPage)
	return collect(rows, err, scanWanted)
}

// WantedRuns returns what is wanted of a project, newest first.
func (s *Store) WantedRuns(ctx context.Context, project int64) ([]WantedRun, error) {
	rows, err := s.query(ctx, selectWanted+" WHERE project = ? ORDER BY id DESC LIMIT ?", project, maxPage)
	return collect(rows, err, scanWanted)
}

func scanWanted(rows *sql.Rows) (WantedRun, error) {
	var w WantedRun
	var body string
	var next, created int64
	err := rows.Scan(&w.ID, &w.Project, &w.Request, &w.State, &body, &w.Attempts, &next, &w.Error, &w.Actor, &created)
	w.Body, w.Next, w.Created = []byte(body), fromMillis(next), fromMillis(created)
	return w, err
}

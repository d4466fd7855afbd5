package store

import (
	"context"
	"database/sql"
	"math"
	"time"
)

// AuditEvent is a row of audit: who did what to which object. It holds no secret.
// Rows are added and never changed.
type AuditEvent struct {
	ID      int64
	At      time.Time
	Actor   string // such as "token ci (12)"
	Action  string // such as "variable.set"
	Project int64  // 0 for the whole server
	Object  string // such as "variable DEPLOY_TOKEN for production"
	Detail  string
}

var auditTable = table{name: "audit", key: []string{"id"}, columns: []string{"id", "at", "actor", "action", "project", "object", "detail"},
	keep: []string{"at", "actor", "action", "project", "object", "detail"}}

// Audit adds events.
func (t *Tx) Audit(ctx context.Context, list ...AuditEvent) error {
	rows := make([][]any, len(list))
	for i, e := range list {
		rows[i] = []any{e.ID, millis(e.At), e.Actor, e.Action, e.Project, e.Object, e.Detail}
	}
	return t.putMany(ctx, &auditTable, rows)
}

// AuditEvents returns the n events before an id, newest first; before 0 is the
// end. With a project it returns only those of the project.
func (s *Store) AuditEvents(ctx context.Context, project, before int64, n int) ([]AuditEvent, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	text, args := "SELECT id, at, actor, action, project, object, detail FROM audit WHERE id < ?", []any{before}
	if project != 0 {
		text, args = text+" AND project = ?", append(args, project)
	}
	rows, err := s.query(ctx, text+" ORDER BY id DESC LIMIT ?", append(args, n)...)
	return collect(rows, err, func(rows *sql.Rows) (AuditEvent, error) {
		var e AuditEvent
		var at int64
		err := rows.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Project, &e.Object, &e.Detail)
		e.At = fromMillis(at)
		return e, err
	})
}

// RunAudit returns the newest events about an object, n at most.
func (s *Store) RunAudit(ctx context.Context, object string, n int) ([]AuditEvent, error) {
	rows, err := s.query(ctx, "SELECT id, at, actor, action, project, object, detail FROM audit WHERE object = ? ORDER BY id DESC LIMIT ?", object, n)
	return collect(rows, err, func(rows *sql.Rows) (e AuditEvent, err error) {
		var at int64
		err = rows.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Project, &e.Object, &e.Detail)
		e.At = fromMillis(at)
		return e, err
	})
}

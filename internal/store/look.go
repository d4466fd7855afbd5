package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/errs"
)

// Refs returns the refs of a project at its last look: refs/heads/main → commit.
func (s *Store) Refs(ctx context.Context, project int64) (map[string]string, error) {
	rows, err := s.query(ctx, "SELECT ref, sha FROM refs WHERE project = ?", project)
	type pair struct{ ref, sha string }
	list, err := collect(rows, err, func(rows *sql.Rows) (p pair, err error) { return p, rows.Scan(&p.ref, &p.sha) })
	refs := make(map[string]string, len(list))
	for _, p := range list {
		refs[p.ref] = p.sha
	}
	return refs, err
}

var refTable = table{name: "refs", key: []string{"project", "ref"}, columns: []string{"project", "ref", "sha", "seen_at"}}

// PutRefs writes refs of a project.
func (t *Tx) PutRefs(ctx context.Context, project int64, refs map[string]string, at time.Time) error {
	rows := make([][]any, 0, len(refs))
	for ref, sha := range refs {
		rows = append(rows, []any{project, ref, sha, millis(at)})
	}
	return t.putMany(ctx, &refTable, rows)
}

// RemoveRefs removes refs of a project.
func (t *Tx) RemoveRefs(ctx context.Context, project int64, refs []string) error {
	for len(refs) > 0 {
		n := min(len(refs), 100)
		args := []any{project}
		for _, ref := range refs[:n] {
			args = append(args, ref)
		}
		_, err := t.exec(ctx, "DELETE FROM refs WHERE project = ? AND ref IN (?"+strings.Repeat(", ?", n-1)+")", args...)
		if err != nil {
			return err
		}
		refs = refs[n:]
	}
	return nil
}

// Look is a row of looks: when a project was looked at, and when it is due.
type Look struct {
	Project  int64
	Looked   time.Time // zero: never
	Next     time.Time
	Failures int    // in a row
	Error    string // of the last look; "" if it was good
	Version  int64  // grows with each look
}

var lookTable = table{name: "looks", key: []string{"project"}, columns: []string{"project", "looked_at", "next_poll_at", "failures", "error", "version"}}

// PutLook writes when a project was looked at. Conflict if it was looked at since
// the version was read: refs would go back to what they were.
func (t *Tx) PutLook(ctx context.Context, l Look) error {
	rows, err := t.query(ctx, selectLooks+" WHERE project = ?"+t.forUpdate(), l.Project)
	list, err := collect(rows, err, scanLook)
	if err != nil {
		return err
	}
	if len(list) > 0 && list[0].Version != l.Version {
		return errs.E(errs.Conflict, "project %d was looked at meanwhile", l.Project)
	}
	return t.putMany(ctx, &lookTable, [][]any{{l.Project, millis(l.Looked), millis(l.Next), l.Failures, l.Error, l.Version + 1}})
}

const selectLooks = "SELECT project, looked_at, next_poll_at, failures, error, version FROM looks"

// PollNow makes a project due to be looked at.
func (t *Tx) PollNow(ctx context.Context, project int64, at time.Time) error {
	_, err := t.exec(ctx, `INSERT INTO looks (project, next_poll_at) VALUES (?, ?)
		ON CONFLICT (project) DO UPDATE SET next_poll_at = excluded.next_poll_at`, project, millis(at))
	return err
}

// ForgetRefs removes what looks know of a repository: the next one is the first.
func (t *Tx) ForgetRefs(ctx context.Context, project int64) error {
	for _, table := range []string{"refs", "looks", "merge_requests", "wanted_runs"} {
		if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE project = ?", project); err != nil {
			return err
		}
	}
	return nil
}

// LookOf returns when a project was looked at; the zero Look if it never was.
func (s *Store) LookOf(ctx context.Context, project int64) (Look, error) {
	rows, err := s.query(ctx, selectLooks+" WHERE project = ?", project)
	list, err := collect(rows, err, scanLook)
	if err != nil || len(list) == 0 {
		return Look{Project: project}, err
	}
	return list[0], nil
}

// DueLooks returns the projects that are due to be looked at, at most n.
func (s *Store) DueLooks(ctx context.Context, now time.Time, n int) ([]Look, error) {
	rows, err := s.query(ctx, selectLooks+" WHERE next_poll_at <= ? ORDER BY next_poll_at LIMIT ?", millis(now), n)
	return collect(rows, err, scanLook)
}

// NextLook returns when the first project is due, zero if there is none.
func (s *Store) NextLook(ctx context.Context) (time.Time, error) {
	due, err := s.count(ctx, "SELECT MIN(next_poll_at) FROM looks")
	return fromMillis(due), err
}

func scanLook(rows *sql.Rows) (Look, error) {
	var l Look
	var looked, next int64
	err := rows.Scan(&l.Project, &looked, &next, &l.Failures, &l.Error, &l.Version)
	l.Looked, l.Next = fromMillis(looked), fromMillis(next)
	return l, err
}

// MergeRequest is a row of merge_requests: one that is open. Body is JSON.
type MergeRequest struct {
	Project, Number int64
	Body            []byte
	Updated         time.Time
}

// maxOpenMergeRequests bounds what a look reads.
const maxOpenMergeRequests = 5000

// MergeRequests returns the open merge requests of a project, newest first.
func (s *Store) MergeRequests(ctx context.Context, project int64) ([]MergeRequest, error) {
	rows, err := s.query(ctx, "SELECT project, number, body, updated_at FROM merge_requests WHERE project = ? ORDER BY number DESC LIMIT ?", project, maxOpenMergeRequests)
	return collect(rows, err, func(rows *sql.Rows) (MergeRequest, error) {
		var m MergeRequest
		var body string
		var updated int64
		err := rows.Scan(&m.Project, &m.Number, &body, &updated)
		m.Body, m.Updated = []byte(body), fromMillis(updated)
		return m, err
	})
}

var mergeRequestTable = table{name: "merge_requests", key: []string{"project", "number"}, columns: []string{"project", "number", "body", "updated_at"}}

// PutMergeRequests writes open merge requests.
func (t *Tx) PutMergeRequests(ctx context.Context, list []MergeRequest) error {
	rows := make([][]any, len(list))
	for i, m := range list {
		rows[i] = []any{m.Project, m.Number, string(m.Body), millis(m.Updated)}
	}
	return t.putMany(ctx, &mergeRequestTable, rows)
}

// RemoveMergeRequests removes merge requests that are no longer open.
func (t *Tx) RemoveMergeRequests(ctx context.Context, project int64, numbers []int64) error {
	if len(numbers) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "DELETE FROM merge_requests WHERE project = ? AND number IN "+idList(numbers), project)
	return err
}

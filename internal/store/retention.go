package store

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Retention says how long the runs of a project are kept.
type Retention struct {
	Project      int64
	Age          time.Duration // since their end; 0 for ever
	Count        int           // of them; 0 for all
	KeepLastGood bool          // the last successful run of each flow and ref stays
}

// PutRetention writes how long the runs of a project are kept.
func (t *Tx) PutRetention(ctx context.Context, r Retention) error {
	_, err := t.exec(ctx, `INSERT INTO retention (project, age_ms, count, keep_last_good) VALUES (?, ?, ?, ?)
		ON CONFLICT (project) DO UPDATE SET age_ms = excluded.age_ms, count = excluded.count, keep_last_good = excluded.keep_last_good`,
		r.Project, r.Age.Milliseconds(), r.Count, bit(r.KeepLastGood))
	return err
}

// Retentions returns how long runs are kept, of the projects for which it is set.
func (s *Store) Retentions(ctx context.Context) ([]Retention, error) {
	rows, err := s.query(ctx, "SELECT project, age_ms, count, keep_last_good FROM retention ORDER BY project")
	return collect(rows, err, func(rows *sql.Rows) (Retention, error) {
		var r Retention
		var age int64
		var keep int
		err := rows.Scan(&r.Project, &age, &r.Count, &keep)
		r.Age, r.KeepLastGood = time.Duration(age)*time.Millisecond, keep != 0
		return r, err
	})
}

// LastGood returns the ids of the last successful run of each flow and ref of a
// project.
func (s *Store) LastGood(ctx context.Context, project int64) ([]int64, error) {
	rows, err := s.query(ctx, "SELECT MAX(id) FROM runs WHERE project = ? AND status = 'success' AND parent = 0 GROUP BY flow, ref", project)
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// RunAfterNewest returns the id of the newest run of a project that is not among
// the n newest that have ended, 0 if there is none.
func (s *Store) RunAfterNewest(ctx context.Context, project int64, n int) (int64, error) {
	return s.count(ctx, "SELECT id FROM runs WHERE project = ? AND parent = 0 AND finished_at > 0 ORDER BY id DESC LIMIT 1 OFFSET ?", project, n)
}

// OldRuns returns the next n runs of a project without a parent, with ids above
// after, that ended before a time or whose id is at most upTo.
func (s *Store) OldRuns(ctx context.Context, project, after int64, ended time.Time, upTo int64, n int) ([]int64, error) {
	rows, err := s.query(ctx, `SELECT id FROM runs WHERE project = ? AND id > ? AND parent = 0 AND finished_at > 0 AND (finished_at < ? OR id <= ?) ORDER BY id LIMIT ?`,
		project, after, millis(ended), upTo, n)
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// runTables are the tables with rows of runs, and their column with its id. A
// table that is added for runs is added here.
var runTables = [...][2]string{
	{"jobs", "run"}, {"attempts", "run"}, {"queue", "run"}, {"timers", "run"}, {"inbox", "run"},
	{"slot_claims", "run"}, {"launches", "run"}, {"occurrences", "run"}, {"run_facts", "run"},
	{"attempt_results", "run"}, {"retries_from_failed", "run"}, {"plans", "run"}, {"approvals", "run"}, {"runs", "id"},
}

// LockEnded locks runs with all that they started, and returns those of them
// that have ended, each with what it started. The others stay out.
func (t *Tx) LockEnded(ctx context.Context, roots []int64) ([]Run, error) {
	var all []Run
	for _, root := range roots {
		family, err := t.LockRuns(ctx, []int64{root})
		if err != nil {
			return nil, err
		}
		ended := len(family) > 0
		for i := 0; i < len(family) && ended; i++ {
			ended = !family[i].Finished.IsZero()
			rows, err := t.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE parent = ? AND parent > 0 ORDER BY id"+t.forUpdate(), family[i].ID)
			children, err := collect(rows, err, scanRun)
			if err != nil {
				return nil, err
			}
			family = append(family, children...)
		}
		if ended {
			all = append(all, family...)
		}
	}
	return all, nil
}

// RemoveRuns removes runs with everything that belongs to them in the database.
func (t *Tx) RemoveRuns(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	for _, table := range []string{"attempt_events", "pods"} {
		if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE attempt IN (SELECT id FROM attempts WHERE run IN "+idList(ids)+")"); err != nil {
			return err
		}
	}
	for _, table := range runTables {
		if _, err := t.exec(ctx, "DELETE FROM "+table[0]+" WHERE "+table[1]+" IN "+idList(ids)); err != nil {
			return err
		}
	}
	return nil
}

// RemoveLeftovers removes what belongs to no run and is old: sessions and
// occurrences without a run from before a time.
func (t *Tx) RemoveLeftovers(ctx context.Context, before time.Time) error {
	for _, text := range []string{
		"DELETE FROM runner_sessions WHERE ended_at > 0 AND ended_at < ?",
		"DELETE FROM occurrences WHERE state IN ('failed', 'canceled') AND due_at < ?",
	} {
		if _, err := t.exec(ctx, text, millis(before)); err != nil {
			return err
		}
	}
	return nil
}

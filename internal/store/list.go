package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// RunFilter says which runs are listed. Zero values do not filter.
type RunFilter struct {
	Project, Flow, Parent int64
	Ref                   string
	Statuses              []pipeline.Status
	Commit                string // begin of the commit
	Actor                 string
	Source                pipeline.Trigger
	Since, Until          time.Time // of its creation
	Before                int64     // runs with a smaller id only: the cursor
	Limit                 int       // default 50, at most 200
}

const maxPage = 200

// Runs lists runs, newest first. It pages downward by id: an offset would read
// what it skips.
func (s *Store) Runs(ctx context.Context, f RunFilter) ([]Run, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, maxPage)
	var where []string
	var args []any
	add := func(condition string, values ...any) { where, args = append(where, condition), append(args, values...) }
	project, ref := "project = ?", "ref = ?"
	if f.Flow != 0 && !s.postgres { // by the index of flows: SQLite does not know that a flow has few runs
		project, ref = "project + 0 = ?", "ref || '' = ?"
	}
	if f.Project != 0 {
		add(project, f.Project)
	}
	if f.Flow != 0 {
		add("flow = ?", f.Flow)
	}
	if f.Parent != 0 {
		add("parent > 0 AND parent = ?", f.Parent) // as the index says it
	}
	if f.Ref != "" && len(f.Statuses) == 0 {
		add(ref, f.Ref)
	}
	if f.Before != 0 {
		add("id < ?", f.Before)
	}
	f.addTimes(add)
	if f.Commit != "" || f.Actor != "" || f.Source != "" {
		return s.searchRuns(ctx, f)
	}
	columns := strings.Join(runTable.columns, ", ")
	one := func(extra string) string {
		conditions := where
		if extra != "" {
			conditions = append(append([]string(nil), where...), extra)
		}
		text := "SELECT " + columns + " FROM runs"
		if len(conditions) > 0 {
			text += " WHERE " + strings.Join(conditions, " AND ")
		}
		return text + " ORDER BY id DESC LIMIT ?"
	}
	var text string
	var all []any
	switch len(f.Statuses) {
	case 0:
		text, all = one(""), append(args, f.Limit)
	default: // a range of an index for each status
		var parts []string
		for _, status := range f.Statuses {
			condition, values := "status = ?", []any{string(status)}
			if f.Ref != "" {
				condition, values = s.refAndStatus(f, status), append(values, f.Ref)
			}
			parts = append(parts, "SELECT * FROM ("+one(condition)+") AS r")
			all = append(append(append(all, args...), values...), f.Limit)
		}
		text = "SELECT " + columns + " FROM (" + strings.Join(parts, " UNION ALL ") + ") AS runs ORDER BY id DESC LIMIT ?"
		all = append(all, f.Limit)
	}
	rows, err := s.query(ctx, text, all...)
	return collect(rows, err, scanRun)
}

// addTimes limits runs by their creation. Ids are nearly in that order, so that older
// and younger runs are not read.
func (f RunFilter) addTimes(add func(condition string, values ...any)) {
	if !f.Since.IsZero() {
		add("created_at >= ? AND id >= "+firstSince, millis(f.Since), millis(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at <= ? AND id <= "+lastUntil, millis(f.Until), millis(f.Until))
	}
}

// searchRuns finds runs by their commit, who started them, or what did. It names the one
// index that is used, by the condition that most likely holds for the fewest runs; the
// others are written so that no index has them.
func (s *Store) searchRuns(ctx context.Context, f RunFilter) ([]Run, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) { where, args = append(where, condition), append(args, values...) }
	chosen := false
	number := func(column string, value int64) {
		if value != 0 {
			if chosen {
				column += " + 0"
			}
			chosen = true
			add(column+" = ?", value)
		}
	}
	text := func(column, value string) {
		if value != "" {
			if chosen {
				column += " || ''"
			}
			chosen = true
			add(column+" = ?", value)
		}
	}
	if f.Commit != "" {
		chosen = true
		add("sha >= ? AND sha < ?", f.Commit, f.Commit+"g") // commits are hexadecimal
	}
	number("flow", f.Flow)
	text("actor", f.Actor)
	text("ref", f.Ref)
	if len(f.Statuses) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(f.Statuses)), ", ")
		values := make([]any, len(f.Statuses))
		for i, status := range f.Statuses {
			values[i] = string(status)
		}
		add("status || '' IN ("+marks+")", values...)
	}
	text("source", string(f.Source))
	number("project", f.Project)
	if f.Parent != 0 {
		add("parent + 0 = ?", f.Parent)
	}
	if f.Before != 0 {
		add("id < ?", f.Before)
	}
	f.addTimes(add)
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE "+strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT ?", append(args, f.Limit)...)
	return collect(rows, err, scanRun)
}

// refAndStatus is the condition for runs of a ref with a status. No index has both.
// PostgreSQL knows which of the two is rare; for SQLite it is the ref among good runs and
// the status among others.
func (s *Store) refAndStatus(f RunFilter, status pipeline.Status) string {
	if s.postgres {
		return "status = ? AND ref = ?"
	}
	if status == pipeline.StatusSuccess && f.Flow == 0 {
		return "status || '' = ? AND ref = ?"
	}
	return "status = ? AND ref || '' = ?"
}

// Run returns a run by its id.
func (s *Store) Run(ctx context.Context, id int64) (Run, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE id = ?", id)
	return first(rows, err, scanRun, "no run %d; list them: refline runs list", id)
}

// RunJobs returns the rows of a run's jobs; those still created have none.
func (s *Store) RunJobs(ctx context.Context, run int64) ([]Job, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(jobTable.columns, ", ")+" FROM jobs WHERE run = ? ORDER BY pos", run)
	return collect(rows, err, scanJob)
}

// RunAttempts returns the attempts of a run's jobs, by job and number.
func (s *Store) RunAttempts(ctx context.Context, run int64) ([]Attempt, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(attemptTable.columns, ", ")+" FROM attempts WHERE run = ? ORDER BY pos, attempt, id", run)
	return collect(rows, err, scanAttempt)
}

// Attempt returns an attempt by its id.
func (s *Store) Attempt(ctx context.Context, id int64) (Attempt, error) {
	rows, err := s.query(ctx, "SELECT "+strings.Join(attemptTable.columns, ", ")+" FROM attempts WHERE id = ?", id)
	return first(rows, err, scanAttempt, "no attempt %d", id)
}

// PipelineBody returns a compiled pipeline as it is stored.
func (s *Store) PipelineBody(ctx context.Context, id int64) ([]byte, error) {
	rows, err := s.query(ctx, "SELECT body FROM pipelines WHERE id = ?", id)
	return first(rows, err, func(rows *sql.Rows) ([]byte, error) {
		var body []byte
		return body, rows.Scan(&body)
	}, "no pipeline %d", id)
}

package store

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// What the overview of a server shows. Each query reads a bounded part of an index,
// however many runs there are.

// RunLine is what belongs together among runs: the runs of a flow, or of a ref of a
// project without a flow.
type RunLine struct {
	Project, Flow int64
	Ref           string // "" with a flow
}

// Line is what a run belongs to.
func (r Run) Line() RunLine {
	if r.Flow != 0 {
		return RunLine{Project: r.Project, Flow: r.Flow}
	}
	return RunLine{Project: r.Project, Ref: r.Ref}
}

func (l RunLine) where() (string, []any) {
	if l.Flow != 0 {
		return "flow = ?", []any{l.Flow}
	}
	return "project = ? AND ref = ? AND flow + 0 = 0", []any{l.Project, l.Ref}
}

// LatestRuns returns the newest runs of a status that were not started by another
// run, n at most; of all projects for project 0.
func (s *Store) LatestRuns(ctx context.Context, project int64, status pipeline.Status, since time.Time, n int) ([]Run, error) {
	text, args := "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE status = ? AND parent = 0", []any{string(status)}
	if !since.IsZero() {
		text, args = text+" AND created_at >= ? AND id >= "+firstSince, append(args, millis(since), millis(since))
	}
	if project != 0 {
		text, args = text+" AND project = ?", append(args, project)
	}
	rows, err := s.query(ctx, text+" ORDER BY id DESC LIMIT ?", append(args, n)...)
	return collect(rows, err, scanRun)
}

// firstSince is an id below those of all runs that were created since a time: older runs
// are not read. Servers take ids in blocks, so that they are only nearly in the order of
// time.
const firstSince = "COALESCE((SELECT id FROM runs WHERE created_at >= ? ORDER BY created_at LIMIT 1), 0) - 10000"

// lastUntil is an id above those of all runs that were created until a time.
const lastUntil = "COALESCE((SELECT id FROM runs WHERE created_at <= ? ORDER BY created_at DESC LIMIT 1), 0) + 10000"

// LineRuns returns the newest runs of a line, n at most.
func (s *Store) LineRuns(ctx context.Context, l RunLine, n int) ([]Run, error) {
	where, args := l.where()
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE "+where+" AND parent = 0 ORDER BY id DESC LIMIT ?", append(args, n)...)
	return collect(rows, err, scanRun)
}

// Neighbours are the runs of a line before and after a run; zero ids if there are none.
func (s *Store) Neighbours(ctx context.Context, r Run) (before, after int64, err error) {
	where, args := r.Line().where()
	if before, err = s.count(ctx, "SELECT COALESCE(MAX(id), 0) FROM runs WHERE "+where+" AND parent = 0 AND id < ?", append(args, r.ID)...); err != nil {
		return 0, 0, err
	}
	after, err = s.count(ctx, "SELECT COALESCE(MIN(id), 0) FROM runs WHERE "+where+" AND parent = 0 AND id > ?", append(args, r.ID)...)
	return before, after, err
}

// EndCount is how many runs of a status were created in a stretch of time.
type EndCount struct {
	Start  time.Time
	Status pipeline.Status
	Count  int64
}

// CountSince counts runs by their creation, in stretches of each length, and by status.
// It counts the newest most runs only.
func (s *Store) CountSince(ctx context.Context, project int64, since time.Time, each time.Duration, most int) ([]EndCount, error) {
	inner, args := "SELECT created_at, status FROM runs WHERE created_at >= ?", []any{millis(since)}
	if project != 0 {
		inner, args = inner+" AND project + 0 = ?", append(args, project) // by the index of times
	}
	step := each.Milliseconds()
	text := "SELECT (created_at - ?) / ? AS bar, status, COUNT(*) FROM (" + inner + " ORDER BY created_at DESC LIMIT ?) AS newest GROUP BY bar, status ORDER BY bar, status"
	rows, err := s.query(ctx, text, append(append([]any{millis(since), step}, args...), most)...)
	return collect(rows, err, func(rows *sql.Rows) (c EndCount, err error) {
		var bar int64
		err = rows.Scan(&bar, &c.Status, &c.Count)
		c.Start = since.Add(time.Duration(bar) * each)
		return c, err
	})
}

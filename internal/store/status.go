package store

import (
	"context"
	"database/sql"
	"time"

	"refline/internal/pipeline"
)

// What a server's status counts. Nothing here locks.

// LaneCount is how many jobs wait in a lane.
type LaneCount struct {
	Lane  Lane
	Count int64
}

// QueueCounts counts the pending jobs of each lane.
func (s *Store) QueueCounts(ctx context.Context) ([]LaneCount, error) {
	rows, err := s.query(ctx, `SELECT l.id, l.tags, l.protected, COUNT(*) FROM queue q JOIN lanes l ON l.id = q.lane GROUP BY l.id, l.tags, l.protected ORDER BY 4 DESC`)
	return collect(rows, err, func(rows *sql.Rows) (c LaneCount, err error) {
		var tags string
		var protected int
		err = rows.Scan(&c.Lane.ID, &tags, &protected, &c.Count)
		c.Lane.Tags, c.Lane.Protected = splitLines(tags), protected != 0
		return c, err
	})
}

// WaitCounts are how many wait for something other than a runner.
type WaitCounts struct {
	Slots  int64 // runs that wait for slots
	Groups int64 // jobs that wait for a resource group
	Timers int64 // delayed jobs
}

// WaitCounts counts them.
func (s *Store) WaitCounts(ctx context.Context) (w WaitCounts, err error) {
	for to, text := range map[*int64]string{
		&w.Slots:  "SELECT COUNT(DISTINCT run) FROM slot_claims WHERE pos < 0 AND state = 'waiting'",
		&w.Groups: "SELECT COUNT(*) FROM slot_claims WHERE pos >= 0 AND state = 'waiting'",
		&w.Timers: "SELECT COUNT(*) FROM timers",
	} {
		if *to, err = s.count(ctx, text); err != nil {
			return w, err
		}
	}
	return w, nil
}

// CountRuns counts the runs in a status.
func (s *Store) CountRuns(ctx context.Context, status string) (int64, error) {
	return s.count(ctx, "SELECT COUNT(*) FROM runs WHERE status = ?", status)
}

// CountRunsOf counts the runs of a status, of a project or of all.
func (s *Store) CountRunsOf(ctx context.Context, project int64, status pipeline.Status) (int64, error) {
	if project == 0 {
		return s.CountRuns(ctx, string(status))
	}
	return s.count(ctx, "SELECT COUNT(*) FROM runs WHERE project = ? AND status = ?", project, string(status))
}

// DatabaseBytes is the size of the database.
func (s *Store) DatabaseBytes(ctx context.Context) (int64, error) {
	if s.postgres {
		return s.count(ctx, "SELECT pg_database_size(current_database())")
	}
	return s.count(ctx, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
}

// LastSeen returns when the last session of each runner ended, for runners that had
// one that did.
func (s *Store) LastSeen(ctx context.Context) (map[int64]time.Time, error) {
	seen := map[int64]time.Time{}
	rows, err := s.query(ctx, "SELECT runner, MAX(ended_at) FROM runner_sessions WHERE ended_at > 0 GROUP BY runner")
	_, err = collect(rows, err, func(rows *sql.Rows) (none struct{}, err error) {
		var runner, ended int64
		err = rows.Scan(&runner, &ended)
		seen[runner] = fromMillis(ended)
		return none, err
	})
	return seen, err
}

// RevokeRunnerTokens revokes the tokens that a runner uses.
func (t *Tx) RevokeRunnerTokens(ctx context.Context, runner int64, at time.Time) error {
	_, err := t.exec(ctx, "UPDATE tokens SET revoked_at = ? WHERE revoked_at = 0 AND runner = ? AND kind = 'runner'", millis(at), runner)
	return err
}

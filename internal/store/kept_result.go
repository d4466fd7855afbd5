package store

import (
	"context"
	"database/sql"
)

// RetryFromFailed says that the next attempts of a job take the results of tasks that
// its attempts from one on kept.
type RetryFromFailed struct {
	Run     int64
	Pos     int
	Attempt int64
}

var retryTable = table{name: "retries_from_failed", key: []string{"run", "pos"}, columns: []string{"run", "pos", "attempt"}}

// SetRetriesFromFailed replaces those of jobs of a run: jobs that are not in the list
// but in positions run from their beginning.
func (t *Tx) SetRetriesFromFailed(ctx context.Context, run int64, positions []int, list []RetryFromFailed) error {
	for _, pos := range positions {
		if _, err := t.exec(ctx, "DELETE FROM retries_from_failed WHERE run = ? AND pos = ?", run, pos); err != nil {
			return err
		}
	}
	rows := make([][]any, len(list))
	for i, r := range list {
		rows[i] = []any{r.Run, r.Pos, r.Attempt}
	}
	return t.putMany(ctx, &retryTable, rows)
}

// RetryFromFailed returns that of a job; NotFound if there is none.
func (s *Store) RetryFromFailed(ctx context.Context, run int64, pos int) (RetryFromFailed, error) {
	rows, err := s.query(ctx, "SELECT run, pos, attempt FROM retries_from_failed WHERE run = ? AND pos = ?", run, pos)
	return first(rows, err, func(rows *sql.Rows) (r RetryFromFailed, err error) {
		err = rows.Scan(&r.Run, &r.Pos, &r.Attempt)
		return r, err
	}, "job %d of run %d is not retried from what failed", pos, run)
}

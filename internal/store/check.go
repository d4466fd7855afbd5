package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Check verifies what must hold between turns and returns a line for each row
// that breaks it: a pending job is in the queue and no other is, a running job
// has an open attempt and no other has, an open attempt has a live session, a
// scheduled job has a timer.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	var broken []string
	for _, q := range []struct{ rule, text string }{
		{"a pending job is not in the queue", `SELECT j.run, j.pos FROM jobs j LEFT JOIN queue q ON q.run = j.run AND q.pos = j.pos WHERE j.status = 'pending' AND q.run IS NULL`},
		{"a job in the queue is not pending", `SELECT q.run, q.pos FROM queue q LEFT JOIN jobs j ON q.run = j.run AND q.pos = j.pos WHERE j.status IS NULL OR j.status <> 'pending'`},
		{"a running job has no open attempt", `SELECT j.run, j.pos FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt_id AND a.finished_at = 0 WHERE j.status IN ('running', 'canceling') AND a.id IS NULL`},
		{"an open attempt is not that of a running job", `SELECT a.run, a.pos FROM attempts a LEFT JOIN jobs j ON a.id = j.attempt_id AND j.status IN ('running', 'canceling') WHERE a.finished_at = 0 AND j.run IS NULL`},
		{"an open attempt has no live session", `SELECT a.run, a.pos FROM attempts a LEFT JOIN runner_sessions s ON s.id = a.session AND s.ended_at = 0 WHERE a.finished_at = 0 AND s.id IS NULL`},
		{"a scheduled job has no timer", `SELECT j.run, j.pos FROM jobs j LEFT JOIN timers t ON t.run = j.run AND t.pos = j.pos WHERE j.status = 'scheduled' AND t.run IS NULL`},
		{"a run that has ended has a job that has not", `SELECT j.run, j.pos FROM jobs j JOIN runs r ON r.id = j.run WHERE r.finished_at > 0 AND j.status IN ('pending', 'running', 'canceling', 'preparing', 'waiting_for_resource')`},
	} {
		rows, err := s.read.QueryContext(ctx, q.text+" LIMIT 20")
		list, err := collect(rows, storageError(err), scanPlace)
		if err != nil {
			return nil, err
		}
		for _, place := range list {
			broken = append(broken, q.rule+": "+place)
		}
	}
	return broken, nil
}

func scanPlace(rows *sql.Rows) (string, error) {
	var run int64
	var pos int
	err := rows.Scan(&run, &pos)
	return fmt.Sprintf("run %d, job %d", run, pos), err
}

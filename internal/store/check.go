package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Check verifies what must hold between turns and returns a line for each row
// that breaks it: a pending job is in the queue and no other is, a running job
// has an open attempt and no other has, an open attempt has a live session, a
// scheduled job has a timer, a trigger job that runs has a launch, a slot has no
// more holders than places, and who holds or waits is under way.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	var broken []string
	for _, q := range []struct{ rule, text string }{
		{"a pending job is not in the queue", `SELECT j.run, j.pos FROM jobs j LEFT JOIN queue q ON q.run = j.run AND q.pos = j.pos WHERE j.status = 'pending' AND q.run IS NULL`},
		{"a job in the queue is not pending", `SELECT q.run, q.pos FROM queue q LEFT JOIN jobs j ON q.run = j.run AND q.pos = j.pos WHERE j.status IS NULL OR j.status <> 'pending'`},
		{"a running job has no open attempt", `SELECT j.run, j.pos FROM jobs j LEFT JOIN attempts a ON a.id = j.attempt_id AND a.finished_at = 0 LEFT JOIN launches l ON l.run = j.run AND l.pos = j.pos AND l.attempt = j.attempt WHERE j.status IN ('running', 'canceling') AND a.id IS NULL AND l.run IS NULL`},
		{"a launch is not that of a running job", `SELECT l.run, l.pos FROM launches l LEFT JOIN jobs j ON j.run = l.run AND j.pos = l.pos AND j.attempt = l.attempt AND j.status IN ('running', 'canceling', 'manual') WHERE j.run IS NULL`},
		{"a slot has more holders than places", `SELECT MIN(c.run), COUNT(*) FROM slot_claims c LEFT JOIN slots s ON s.scope = c.scope AND s.name = c.name WHERE c.state = 'held' GROUP BY c.scope, c.name, s.max HAVING COUNT(*) > CASE WHEN COALESCE(s.max, 1) > 0 THEN COALESCE(s.max, 1) ELSE COUNT(*) END`},
		{"a run holds a slot and is not under way", `SELECT c.run, c.pos FROM slot_claims c LEFT JOIN runs r ON r.id = c.run AND r.finished_at = 0 WHERE c.pos < 0 AND r.id IS NULL`},
		{"a run waits for slots and does not say so", `SELECT r.id, -1 FROM runs r WHERE r.held <> '' AND NOT EXISTS (SELECT 1 FROM slot_claims c WHERE c.run = r.id AND c.pos < 0)`},
		{"a job has a resource group and does not run", `SELECT c.run, c.pos FROM slot_claims c LEFT JOIN jobs j ON j.run = c.run AND j.pos = c.pos AND j.status IN ('preparing', 'pending', 'running', 'canceling', 'waiting_for_resource') WHERE c.pos >= 0 AND c.state = 'held' AND j.run IS NULL`},
		{"a job waits for a resource group and does not say so", `SELECT j.run, j.pos FROM jobs j LEFT JOIN slot_claims c ON c.run = j.run AND c.pos = j.pos WHERE j.status = 'waiting_for_resource' AND c.run IS NULL`},
		{"a run waits for slots that are all free", `SELECT r.id, -1 FROM runs r WHERE r.held <> '' AND NOT EXISTS (SELECT 1 FROM slot_claims c WHERE c.run = r.id AND c.state = 'waiting' AND
			(SELECT COUNT(*) FROM slot_claims h WHERE h.scope = c.scope AND h.name = c.name AND h.state = 'held') >= COALESCE((SELECT CASE WHEN s.max > 0 THEN s.max ELSE 1000000000 END FROM slots s WHERE s.scope = c.scope AND s.name = c.name), 1))
			AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.run = r.id)`},
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

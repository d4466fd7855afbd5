package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Generated says how many rows there are to be beside those of one run.
type Generated struct {
	First, Runs     int // runs First to Runs; others are there already, with projects and flows
	Projects, Flows int // Flows of each project
	Template        int64
}

// Generate multiplies one run that has ended, with its jobs and attempts, over many
// projects, flows and refs and most of a year: nearly all are good, one in 12 failed,
// a few were canceled or wait for a person. The database may be in use.
func Generate(ctx context.Context, address string, g Generated) error {
	postgres := strings.HasPrefix(address, "postgres")
	driver := "sqlite"
	if postgres {
		driver = "pgx"
	} else {
		address = "file:" + address + "?_pragma=busy_timeout(60000)"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		return err
	}
	defer db.Close()
	const chunk = 20_000
	var statements []string
	if g.First == 0 {
		statements = append(statements, g.from(0, g.Projects)+`INSERT INTO projects (id, name, url, next_number, created_at)
			SELECT 1000 + i, 'group/project-' || i, t.url, 1000000000, t.created_at FROM n, projects t WHERE t.id = (SELECT project FROM runs WHERE id = `+fmt.Sprint(g.Template)+`)`,
			g.from(0, g.Projects*g.Flows)+fmt.Sprintf(`INSERT INTO flows (id, project, name, path, ref_kind, ref, version, created_at, updated_at)
			SELECT 100000 + i, 1000 + i / %d, 'flow-' || (i %% %d), t.path, t.ref_kind, t.ref, t.version, t.created_at, t.updated_at FROM n, flows t WHERE t.id = (SELECT flow FROM runs WHERE id = %d)`, g.Flows, g.Flows, g.Template),
			"UPDATE counters SET next = 2000000000 WHERE name IN ('run', 'attempt')") // behind all generated ones
	}
	for first := g.First; first < g.Runs; first += chunk {
		statements = append(statements, g.rows(first, min(first+chunk, g.Runs))...)
	}
	if postgres {
		statements = append(statements, "VACUUM ANALYZE runs", "VACUUM ANALYZE jobs", "VACUUM ANALYZE attempts", "ANALYZE")
	}
	for _, text := range statements {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("generate: %w\n%s", err, text)
		}
	}
	return nil
}

// firstGenerated is the id of the first generated run; attempts follow their runs.
const firstGenerated = 100_000

// from begins a statement that reads the numbers of a range as n.i.
func (g Generated) from(first, end int) string {
	return fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", first, end-1)
}

// rows are the statements for a range of runs.
func (g Generated) rows(first, end int) []string {
	from := g.from(first, end)
	flow := fmt.Sprintf("(CAST(i AS BIGINT) * 7919 %% %d)", g.Projects*g.Flows)
	return []string{
		from + fmt.Sprintf(`INSERT INTO runs (id, project, number, flow, pipeline, version, status, result, stages, source, ref, sha, actor, created_at, started_at, finished_at)
			SELECT %[1]d + i, 1000 + %[2]s / %[3]d, 1 + i, CASE WHEN i %% 4 = 0 THEN 0 ELSE 100000 + %[2]s END, t.pipeline, t.version,
			CASE WHEN i %% 12 = 0 THEN 'failed' WHEN i %% 53 = 0 THEN 'canceled' WHEN i %% 499 = 0 THEN 'manual' ELSE 'success' END,
			CASE WHEN i %% 12 = 0 THEN 'failed' WHEN i %% 53 = 0 THEN 'canceled' WHEN i %% 499 = 0 THEN 'waiting' ELSE 'success' END,
			t.stages, t.source, CASE WHEN i %% 3 = 0 THEN 'feature-' || (i %% 97) ELSE 'main' END, t.sha, t.actor,
			t.created_at - (%[4]d - i) * CAST(25000 AS BIGINT), t.started_at - (%[4]d - i) * CAST(25000 AS BIGINT), t.finished_at - (%[4]d - i) * CAST(25000 AS BIGINT)
			FROM n, runs t WHERE t.id = %[5]d`, firstGenerated, flow, g.Flows, g.Runs, g.Template),
		from + fmt.Sprintf(`INSERT INTO jobs (run, pos, version, status, attempt, flags, reason, exit_code, attempt_id, started_at, finished_at)
			SELECT %[1]d + i, t.pos, t.version, CASE WHEN i %% 12 = 0 AND t.pos = 0 THEN 'failed' WHEN i %% 53 = 0 THEN 'canceled' WHEN i %% 499 = 0 AND t.pos = 0 THEN 'manual' ELSE t.status END,
			1, t.flags, CASE WHEN i %% 12 = 0 AND t.pos = 0 THEN 'script_failure' ELSE '' END, 0, 100 * CAST(%[1]d AS BIGINT) + 64 * (i + 1) + t.pos, t.started_at, t.finished_at
			FROM n, jobs t WHERE t.run = %[2]d`, firstGenerated, g.Template),
		from + fmt.Sprintf(`INSERT INTO attempts (id, run, pos, attempt, session, state, digest, log_bytes, started_at, finished_at)
			SELECT 100 * CAST(%[1]d AS BIGINT) + 64 * (i + 1) + t.pos, %[1]d + i, t.pos, 1, t.session, t.state, t.digest, t.log_bytes, t.started_at, t.finished_at
			FROM n, attempts t WHERE t.run = %[2]d AND t.attempt = 1`, firstGenerated, g.Template),
		from + fmt.Sprintf(`INSERT INTO run_facts (run, body) SELECT %d + i, t.body FROM n, run_facts t WHERE t.run = %d`, firstGenerated, g.Template),
	}
}

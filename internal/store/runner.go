package store

import (
	"context"
	"database/sql"
	"time"
)

// Runner is a row of runners: a process that executes jobs, by its name.
type Runner struct {
	ID        int64
	Name      string
	Tags      []string
	Protected bool // takes jobs of protected refs only
	Draining  bool
	Version   string // of the program, as its last session said
	System    string // such as linux/amd64
	Executors []string
	Seen      time.Time
	Created   time.Time
}

const runnerColumns = "id, name, tags, protected, draining, version, system, executors, seen_at, created_at"

var runnerTable = table{name: "runners", key: []string{"id"}, keep: []string{"created_at"},
	columns: []string{"id", "name", "tags", "protected", "draining", "version", "system", "executors", "seen_at", "created_at"}}

// PutRunner writes a runner.
func (t *Tx) PutRunner(ctx context.Context, r Runner) error {
	return t.putMany(ctx, &runnerTable, [][]any{{r.ID, r.Name, joinLines(r.Tags), bit(r.Protected), bit(r.Draining), r.Version, r.System,
		joinLines(r.Executors), millis(r.Seen), millis(r.Created)}})
}

// SeeRunner notes what a runner says of itself when a session begins. One without a row
// is left out.
func (t *Tx) SeeRunner(ctx context.Context, r Runner) error {
	_, err := t.exec(ctx, "UPDATE runners SET version = ?, system = ?, executors = ?, seen_at = ? WHERE id = ?",
		r.Version, r.System, joinLines(r.Executors), millis(r.Seen), r.ID)
	return err
}

// RemoveRunner removes a runner.
func (t *Tx) RemoveRunner(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM runners WHERE id = ?", id)
	return err
}

func scanRunner(rows *sql.Rows) (Runner, error) {
	var r Runner
	var tags, executors string
	var protected, draining int
	var seen, created int64
	err := rows.Scan(&r.ID, &r.Name, &tags, &protected, &draining, &r.Version, &r.System, &executors, &seen, &created)
	r.Tags, r.Executors, r.Protected, r.Draining = splitLines(tags), splitLines(executors), protected != 0, draining != 0
	r.Seen, r.Created = fromMillis(seen), fromMillis(created)
	return r, err
}

// Runners returns all runners, by name.
func (s *Store) Runners(ctx context.Context) ([]Runner, error) {
	rows, err := s.query(ctx, "SELECT "+runnerColumns+" FROM runners ORDER BY name")
	return collect(rows, err, scanRunner)
}

// RunnerNamed returns a runner by its name.
func (s *Store) RunnerNamed(ctx context.Context, name string) (Runner, error) {
	rows, err := s.query(ctx, "SELECT "+runnerColumns+" FROM runners WHERE name = ?", name)
	return first(rows, err, scanRunner, "no runner %q; list them: refline runner list", name)
}

// Runner returns a runner by its id.
func (s *Store) Runner(ctx context.Context, id int64) (Runner, error) {
	rows, err := s.query(ctx, "SELECT "+runnerColumns+" FROM runners WHERE id = ?", id)
	return first(rows, err, scanRunner, "no runner %d", id)
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"refline/internal/errs"
)

// Project is a row of projects: a repository and how it is reached.
type Project struct {
	ID                int64
	Name              string
	URL               string // without credentials
	File              string // its pipeline file; "" for the default
	ProtectedBranches []string
	ProtectedTags     []string
	DeployKey         string        // name of the key that reaches it; "" for none
	TokenVariable     string        // name of the variable with its token; "" for none
	URLVariable       string        // name of the variable with its URL; "" for none
	PollEvery         time.Duration // 0 for never
	Created           time.Time
}

const projectColumns = "id, name, url, file, protected_branches, protected_tags, deploy_key, token_variable, url_variable, poll_every, created_at"

// AddProject makes a project. Conflict if the name is taken.
func (t *Tx) AddProject(ctx context.Context, p Project) error {
	_, err := t.exec(ctx, "INSERT INTO projects ("+projectColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		p.ID, p.Name, p.URL, p.File, joinLines(p.ProtectedBranches), joinLines(p.ProtectedTags),
		p.DeployKey, p.TokenVariable, p.URLVariable, p.PollEvery.Milliseconds(), millis(p.Created))
	return err
}

// SetProject changes a project.
func (t *Tx) SetProject(ctx context.Context, p Project) error {
	_, err := t.exec(ctx, `UPDATE projects SET name = ?, url = ?, file = ?, protected_branches = ?, protected_tags = ?,
		deploy_key = ?, token_variable = ?, url_variable = ?, poll_every = ? WHERE id = ?`,
		p.Name, p.URL, p.File, joinLines(p.ProtectedBranches), joinLines(p.ProtectedTags),
		p.DeployKey, p.TokenVariable, p.URLVariable, p.PollEvery.Milliseconds(), p.ID)
	return err
}

// RemoveProject removes a project that has no flows and no runs.
func (t *Tx) RemoveProject(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM projects WHERE id = ?", id)
	return err
}

func scanProject(rows *sql.Rows) (Project, error) {
	var p Project
	var branches, tags string
	var poll, created int64
	err := rows.Scan(&p.ID, &p.Name, &p.URL, &p.File, &branches, &tags, &p.DeployKey, &p.TokenVariable, &p.URLVariable, &poll, &created)
	p.ProtectedBranches, p.ProtectedTags = splitLines(branches), splitLines(tags)
	p.PollEvery, p.Created = time.Duration(poll)*time.Millisecond, fromMillis(created)
	return p, err
}

// Projects returns all projects, by name.
func (s *Store) Projects(ctx context.Context) ([]Project, error) {
	rows, err := s.query(ctx, "SELECT "+projectColumns+" FROM projects ORDER BY name")
	return collect(rows, err, scanProject)
}

// Project returns a project by its id.
func (s *Store) Project(ctx context.Context, id int64) (Project, error) {
	rows, err := s.query(ctx, "SELECT "+projectColumns+" FROM projects WHERE id = ?", id)
	return first(rows, err, scanProject, "no project %d", id)
}

// ProjectNamed returns a project by its name.
func (s *Store) ProjectNamed(ctx context.Context, name string) (Project, error) {
	rows, err := s.query(ctx, "SELECT "+projectColumns+" FROM projects WHERE name = ?", name)
	return first(rows, err, scanProject, "no project %q; list them: refline project list", name)
}

// first returns the first row, else NotFound with the text.
func first[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error), missing string, args ...any) (T, error) {
	list, err := collect(rows, err, scan)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, missing, args...)
	}
	if err != nil {
		var none T
		return none, err
	}
	return list[0], nil
}

// count reads one number.
func (s *Store) count(ctx context.Context, text string, args ...any) (int64, error) {
	var n sql.NullInt64
	err := s.read.QueryRowContext(ctx, s.rebind(text), args...).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return n.Int64, storageError(err)
}

func joinLines(list []string) string { return strings.Join(list, "\n") }

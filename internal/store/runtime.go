package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"refline/internal/errs"
)

// Runtime is a named configuration of where jobs run.
type Runtime struct {
	Name     string            `json:"name"`
	Executor string            `json:"executor"` // process, docker or kubernetes
	Image    string            `json:"image,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Tags     []string          `json:"tags,omitempty"` // that its runners have
	Pull     string            `json:"pull,omitempty"` // always, if-not-present or never
	// Kubernetes is how pods are made, as the API has it.
	Kubernetes json.RawMessage `json:"kubernetes,omitempty"`

	Version int64     `json:"version"`
	Actor   string    `json:"actor,omitempty"`
	Updated time.Time `json:"updated"`
}

// PutRuntime writes a runtime and keeps what it is as a version. The version of
// the row is set.
func (t *Tx) PutRuntime(ctx context.Context, r *Runtime) error {
	r.Version = 1
	err := t.tx.QueryRowContext(ctx, t.s.rebind("SELECT version + 1 FROM runtimes WHERE name = ?"), r.Name).Scan(&r.Version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return storageError(err)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO runtimes (name, version, body, actor, updated_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body, actor = excluded.actor, updated_at = excluded.updated_at`,
		r.Name, r.Version, string(body), r.Actor, millis(r.Updated))
	if err != nil {
		return err
	}
	// A name that was removed and is used again goes on with its history.
	_, err = t.exec(ctx, `INSERT INTO runtime_versions (name, version, body, actor, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (name, version) DO UPDATE SET body = excluded.body, actor = excluded.actor, created_at = excluded.created_at`,
		r.Name, r.Version, string(body), r.Actor, millis(r.Updated))
	return err
}

// RemoveRuntime removes a runtime. Conflict, with the flows, if it is in use.
func (t *Tx) RemoveRuntime(ctx context.Context, name string) error {
	rows, err := t.query(ctx, "SELECT name FROM flows WHERE runtime = ? ORDER BY name", name)
	used, err := collect(rows, err, func(rows *sql.Rows) (string, error) {
		var flow string
		return flow, rows.Scan(&flow)
	})
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return errs.E(errs.Conflict, "runtime %q is used by %s: give them another with refline flow set NAME --runtime, then remove it", name, shortList(used))
	}
	res, err := t.exec(ctx, "DELETE FROM runtimes WHERE name = ?", name)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return errNoRuntime(name)
	}
	return nil
}

func errNoRuntime(name string) error {
	return errs.E(errs.NotFound, "no runtime %q; list them: refline runtime list", name)
}

func scanRuntime(rows *sql.Rows) (Runtime, error) {
	var r Runtime
	var body string
	err := rows.Scan(&body)
	if err == nil {
		err = json.Unmarshal([]byte(body), &r)
	}
	return r, err
}

// Runtimes returns all runtimes, by name.
func (s *Store) Runtimes(ctx context.Context) ([]Runtime, error) {
	rows, err := s.query(ctx, "SELECT body FROM runtimes ORDER BY name")
	return collect(rows, err, scanRuntime)
}

// Runtime returns a runtime by its name.
func (s *Store) Runtime(ctx context.Context, name string) (Runtime, error) {
	rows, err := s.query(ctx, "SELECT body FROM runtimes WHERE name = ?", name)
	list, err := collect(rows, err, scanRuntime)
	if err == nil && len(list) == 0 {
		err = errNoRuntime(name)
	}
	if err != nil {
		return Runtime{}, err
	}
	return list[0], nil
}

// RuntimeVersions returns the last n versions of a runtime, newest first.
func (s *Store) RuntimeVersions(ctx context.Context, name string, n int) ([]Runtime, error) {
	rows, err := s.query(ctx, "SELECT body FROM runtime_versions WHERE name = ? ORDER BY version DESC LIMIT ?", name, n)
	return collect(rows, err, scanRuntime)
}

// shortList names at most five.
func shortList(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

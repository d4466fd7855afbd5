package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
)

// Variable is a row of variables. Its Value is empty: what is kept is Sealed.
type Variable struct {
	secret.Variable
	ID, Project int64 // project 0: for all projects
	Version     int64 // grows with each change of the value
	Hidden      bool  // of an import from GitLab, where the value cannot be read again
	Size        int64 // of the value in bytes
	Sealed      secret.Sealed
	Created     time.Time
	Updated     time.Time
	Used        time.Time // when an attempt got it last, to the hour; zero for never
}

// Place is what the encrypted value is bound to.
func (v Variable) Place() secret.Place {
	return secret.Place{Kind: "variable", Scope: v.Project, Name: v.Name, Environment: v.Environment, Version: v.Version,
		Flags: fmt.Sprintf("protected %t masked %t", v.Protected, v.Masked)}
}

var variableTable = table{name: "variables", key: []string{"id"}, keep: []string{"project", "name", "environment", "created_at"},
	columns: []string{"id", "project", "name", "environment", "version", "protected", "masked", "hidden", "file", "raw", "description",
		"size", "sealed_with", "sealed", "created_at", "updated_at", "used_at"}}

// PutVariable writes a variable. Conflict if another one has its project, name
// and environment.
func (t *Tx) PutVariable(ctx context.Context, v Variable) error {
	return t.putMany(ctx, &variableTable, [][]any{{v.ID, v.Project, v.Name, v.Environment, v.Version, bit(v.Protected), bit(v.Masked), bit(v.Hidden),
		bit(v.File), bit(v.Raw), v.Description, v.Size, v.Sealed.Key, v.Sealed.Data, millis(v.Created), millis(v.Updated), millis(v.Used)}})
}

// RemoveVariable removes a variable.
func (t *Tx) RemoveVariable(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM variables WHERE id = ?", id)
	return err
}

// LockVariable returns the variable of a project, name and environment, locked
// until the transaction ends; nil if there is none.
func (t *Tx) LockVariable(ctx context.Context, project int64, name, environment string) (*Variable, error) {
	rows, err := t.query(ctx, selectVariables+" WHERE project = ? AND name = ? AND environment = ?"+t.forUpdate(), project, name, environment)
	list, err := collect(rows, err, scanVariable)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// LockVariables returns all variables that another key than this one encrypts, at
// most n, locked until the transaction ends.
func (t *Tx) LockVariables(ctx context.Context, notKey string, n int) ([]Variable, error) {
	rows, err := t.query(ctx, selectVariables+" WHERE sealed_with <> ? ORDER BY id LIMIT ?"+t.forUpdate(), notKey, n)
	return collect(rows, err, scanVariable)
}

// Variables returns the variables of projects by name and environment; 0 is the
// whole server.
func (s *Store) Variables(ctx context.Context, projects ...int64) ([]Variable, error) {
	if len(projects) == 0 {
		return nil, nil
	}
	rows, err := s.query(ctx, selectVariables+" WHERE project IN "+idList(projects)+" ORDER BY name, environment, project")
	return collect(rows, err, scanVariable)
}

// TouchVariables notes that variables were used.
func (t *Tx) TouchVariables(ctx context.Context, ids []int64, at time.Time) error {
	return t.touch(ctx, "variables", ids, at)
}

// touch moves used_at forward, at most once an hour, so that it costs no write
// for each use.
func (t *Tx) touch(ctx context.Context, table string, ids []int64, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE "+table+" SET used_at = ? WHERE used_at < ? AND id IN "+idList(ids), millis(at), millis(at.Add(-time.Hour)))
	return err
}

// VaultKeys returns the ids of the keys that the database needs: those that
// servers announced, and those of its rows.
func (s *Store) VaultKeys(ctx context.Context) (announced, used []string, err error) {
	text := func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) }
	rows, err := s.query(ctx, "SELECT id FROM vault_keys ORDER BY created_at, id")
	if announced, err = collect(rows, err, text); err != nil {
		return nil, nil, err
	}
	rows, err = s.query(ctx, `SELECT sealed_with FROM variables UNION SELECT sealed_with FROM keys UNION SELECT sealed_with FROM triggers
		UNION SELECT previous_with FROM triggers WHERE previous_with <> '' UNION SELECT sealed_with FROM notify_rules ORDER BY 1`)
	used, err = collect(rows, err, text)
	return announced, used, err
}

var vaultKeyTable = table{name: "vault_keys", key: []string{"id"}, keep: []string{"created_at"}, columns: []string{"id", "created_at"}}

// PutVaultKeys announces keys.
func (t *Tx) PutVaultKeys(ctx context.Context, ids []string, at time.Time) error {
	rows := make([][]any, len(ids))
	for i, id := range ids {
		rows[i] = []any{id, millis(at)}
	}
	return t.putMany(ctx, &vaultKeyTable, rows)
}

// ForgetVaultKey removes a key's announcement and all that only it can decrypt.
// It returns how many values are lost.
func (t *Tx) ForgetVaultKey(ctx context.Context, id string) (lost int64, err error) {
	for _, text := range []string{
		"DELETE FROM variables WHERE sealed_with = ?", "DELETE FROM keys WHERE sealed_with = ?", "DELETE FROM notify_rules WHERE sealed_with = ?",
		"DELETE FROM triggers WHERE sealed_with = ?", "UPDATE triggers SET previous_with = '', previous = NULL WHERE previous_with = ?",
	} {
		res, err := t.exec(ctx, text, id)
		if err != nil {
			return 0, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, storageError(err)
		}
		lost += n
	}
	_, err = t.exec(ctx, "DELETE FROM vault_keys WHERE id = ?", id)
	return lost, err
}

// DropVaultKeys removes the announcements of all keys but one. Conflict if
// something is encrypted with another.
func (t *Tx) DropVaultKeys(ctx context.Context, keep string) error {
	var n int64
	row := t.tx.QueryRowContext(ctx, t.s.rebind(`SELECT (SELECT COUNT(*) FROM variables WHERE sealed_with <> ?) +
		(SELECT COUNT(*) FROM keys WHERE sealed_with <> ?) + (SELECT COUNT(*) FROM notify_rules WHERE sealed_with <> ?) +
		(SELECT COUNT(*) FROM triggers WHERE sealed_with <> ? OR previous_with NOT IN ('', ?))`), keep, keep, keep, keep, keep)
	if err := row.Scan(&n); err != nil {
		return storageError(err)
	}
	if n > 0 {
		return errs.E(errs.Conflict, "%d values are encrypted with older keys; rotate the keys again first", n)
	}
	_, err := t.exec(ctx, "DELETE FROM vault_keys WHERE id <> ?", keep)
	return err
}

// RemoveProjectAccess removes what belongs to a project alone: its variables, its
// keys and the tokens bound to it.
func (t *Tx) RemoveProjectAccess(ctx context.Context, project int64) error {
	for _, table := range []string{"variables", "keys", "tokens"} {
		if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE project = ? AND project > 0", project); err != nil {
			return err
		}
	}
	return nil
}

// selectVariables is the start of each query for [scanVariable].
const selectVariables = `SELECT id, project, name, environment, version, protected, masked, hidden, file, raw, description,
	size, sealed_with, sealed, created_at, updated_at, used_at FROM variables`

func scanVariable(rows *sql.Rows) (Variable, error) {
	var v Variable
	var protected, masked, hidden, file, raw int
	var created, updated, used int64
	err := rows.Scan(&v.ID, &v.Project, &v.Name, &v.Environment, &v.Version, &protected, &masked, &hidden, &file, &raw, &v.Description,
		&v.Size, &v.Sealed.Key, &v.Sealed.Data, &created, &updated, &used)
	v.Protected, v.Masked, v.Hidden, v.File, v.Raw = protected != 0, masked != 0, hidden != 0, file != 0, raw != 0
	v.Created, v.Updated, v.Used = fromMillis(created), fromMillis(updated), fromMillis(used)
	return v, err
}

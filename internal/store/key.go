package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"refline/internal/secret"
)

// Key is a row of keys: a deploy key. The private half is Sealed.
type Key struct {
	ID, Project int64 // project 0: reaches repositories of all projects
	Name        string
	Version     int64
	Write       bool   // it is to push too
	Protected   bool   // for jobs of protected refs only
	Environment string // for jobs of this environment; * for all
	Public      string // a line for authorized_keys
	Fingerprint string
	Repos       []string // addresses of the repositories that it is for
	Hosts       []string // host or host:port
	KnownHosts  string   // pinned lines of known_hosts
	Sealed      secret.Sealed
	Created     time.Time
	Used        time.Time // to the hour; zero for never
}

// Place is what the encrypted key is bound to.
func (k Key) Place() secret.Place {
	return secret.Place{Kind: "key", Scope: k.Project, Name: k.Name, Environment: k.Environment, Version: k.Version,
		Flags: fmt.Sprintf("protected %t known hosts %s", k.Protected, k.KnownHosts)}
}

const keyColumns = `id, project, name, version, can_push, protected, environment, public_half, fingerprint, repos, hosts, known_hosts,
	sealed_with, sealed, created_at, used_at`

var keyTable = table{name: "keys", key: []string{"id"}, keep: []string{"project", "name", "environment", "created_at"},
	columns: []string{"id", "project", "name", "version", "can_push", "protected", "environment", "public_half", "fingerprint", "repos", "hosts",
		"known_hosts", "sealed_with", "sealed", "created_at", "used_at"}}

// PutKey writes a key. Conflict if another one of its project has the name.
func (t *Tx) PutKey(ctx context.Context, k Key) error {
	return t.putMany(ctx, &keyTable, [][]any{{k.ID, k.Project, k.Name, k.Version, bit(k.Write), bit(k.Protected), k.Environment, k.Public, k.Fingerprint,
		joinLines(k.Repos), joinLines(k.Hosts), k.KnownHosts, k.Sealed.Key, k.Sealed.Data, millis(k.Created), millis(k.Used)}})
}

// RemoveKey removes a key.
func (t *Tx) RemoveKey(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM keys WHERE id = ?", id)
	return err
}

// LockKeys returns all keys that another key of the vault than this one encrypts,
// at most n, locked until the transaction ends.
func (t *Tx) LockKeys(ctx context.Context, notKey string, n int) ([]Key, error) {
	rows, err := t.query(ctx, "SELECT "+keyColumns+" FROM keys WHERE sealed_with <> ? ORDER BY id LIMIT ?"+t.forUpdate(), notKey, n)
	return collect(rows, err, scanKey)
}

// TouchKeys notes that keys were used.
func (t *Tx) TouchKeys(ctx context.Context, ids []int64, at time.Time) error {
	return t.touch(ctx, "keys", ids, at)
}

// Keys returns the keys of projects by name; 0 is the whole server.
func (s *Store) Keys(ctx context.Context, projects ...int64) ([]Key, error) {
	if len(projects) == 0 {
		return nil, nil
	}
	rows, err := s.query(ctx, "SELECT "+keyColumns+" FROM keys WHERE project IN "+idList(projects)+" ORDER BY name, project")
	return collect(rows, err, scanKey)
}

func scanKey(rows *sql.Rows) (Key, error) {
	var k Key
	var write, protected int
	var repos, hosts string
	var created, used int64
	err := rows.Scan(&k.ID, &k.Project, &k.Name, &k.Version, &write, &protected, &k.Environment, &k.Public, &k.Fingerprint, &repos, &hosts, &k.KnownHosts,
		&k.Sealed.Key, &k.Sealed.Data, &created, &used)
	k.Write, k.Protected, k.Repos, k.Hosts = write != 0, protected != 0, splitLines(repos), splitLines(hosts)
	k.Created, k.Used = fromMillis(created), fromMillis(used)
	return k, err
}

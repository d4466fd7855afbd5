package store

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"strings"
	"testing/fstest"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"refline/internal/errs"
)

//go:embed migrations/*.sql
var migrationTexts embed.FS

// migrations knows the schema's versions, one server at a time.
func (s *Store) migrations() (*goose.Provider, error) {
	files, err := s.migrationFiles()
	if err != nil {
		return nil, err
	}
	dialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(dialect, s.write, files, options...)
}

// migrate brings the schema up to date.
func (s *Store) migrate(ctx context.Context) error {
	p, err := s.migrations()
	if err != nil {
		return err
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return storageError(err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return errs.E(errs.Conflict, "the database has schema %d, this program knows up to %d: start the newer program again, or restore a backup", have, newest)
	}
	if _, err := p.Up(ctx); err != nil && !errors.Is(err, goose.ErrNoNextVersion) {
		return storageError(err)
	}
	return nil
}

// migrationFiles returns the migrations in the words of the database: a few
// types have other names, all else is the same.
func (s *Store) migrationFiles() (fs.FS, error) {
	words := strings.NewReplacer("{{key}}", "INTEGER PRIMARY KEY", "{{serial}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{bytes}}", "BLOB", "{{busy}}", "")
	if s.postgres {
		words = strings.NewReplacer("{{key}}", "BIGINT PRIMARY KEY", "{{serial}}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{{bytes}}", "BYTEA",
			// Rows of these tables come and go all the time.
			"{{busy}}", " WITH (autovacuum_vacuum_scale_factor = 0.01)")
	}
	names, err := fs.Glob(migrationTexts, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	files := fstest.MapFS{}
	for _, name := range names {
		data, err := migrationTexts.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[strings.TrimPrefix(name, "migrations/")] = &fstest.MapFile{Data: []byte(words.Replace(string(data)))}
	}
	return files, nil
}

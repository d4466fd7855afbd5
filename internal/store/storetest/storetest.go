// Package storetest opens databases for tests: SQLite in a folder of the test,
// and PostgreSQL where REFLINE_TEST_POSTGRES names a server whose user may
// create databases.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"refline/internal/store"
)

var serial atomic.Int64

// Each runs a test once for each database that there is.
func Each(t *testing.T, f func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, filepath.Join(t.TempDir(), "refline.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, Postgres(t))
	})
}

// Postgres makes an empty database, which ends with the test.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("REFLINE_TEST_POSTGRES")
	if server == "" {
		t.Skip("REFLINE_TEST_POSTGRES is not set: it is the URL of a PostgreSQL whose user may create databases")
	}
	address, drop, err := NewPostgres(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return address
}

// NewPostgres makes an empty database on a server and returns its URL and what
// removes it.
func NewPostgres(server string) (address string, drop func() error, err error) {
	admin, err := sql.Open("pgx", server)
	if err != nil {
		return "", nil, err
	}
	name := fmt.Sprintf("refline_test_%d_%d", os.Getpid(), serial.Add(1))
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		return "", nil, errors.Join(err, admin.Close())
	}
	drop = func() error {
		_, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)")
		return errors.Join(err, admin.Close())
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, errors.Join(err, drop())
	}
	u.Path = "/" + name
	return u.String(), drop, nil
}

// Open opens a database and closes it when the test ends.
func Open(t testing.TB, address string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

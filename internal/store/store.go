// Package store keeps the state of a server in SQL: SQLite in a file, or
// PostgreSQL. It is the only package with SQL and the only one that knows which
// database is used.
//
// It promises that what was committed is on disk, and that one set of
// statements means the same on both databases. It decides nothing: which rows
// change, and when, is up to its callers.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"refline/internal/errs"
)

// Store is an open database. It is safe for use by several goroutines.
type Store struct {
	write    *sql.DB
	read     *sql.DB // of SQLite: more connections beside the one that writes
	postgres bool

	writer writer // of SQLite
	reader reader
	asked  func(text string, args []any) // tests set it: each query outside of transactions

	ids struct {
		sync.Mutex
		next, end map[string]int64
	}
}

// Open opens a database and brings its schema up to date. The address is the
// path of a SQLite file or a postgres:// URL. Errors: Invalid for an address
// that cannot be, Unavailable if the server does not answer, Conflict if the
// schema is newer than this program.
func Open(ctx context.Context, address string) (*Store, error) {
	s, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens a database as it is.
func open(ctx context.Context, address string) (*Store, error) {
	s := &Store{postgres: strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")}
	s.writer.turn = make(chan struct{}, 1)
	s.ids.next, s.ids.end = map[string]int64{}, map[string]int64{}
	var err error
	if s.postgres {
		err = s.openPostgres(address)
	} else {
		err = s.openSQLite(address)
	}
	if err != nil {
		return nil, err
	}
	if err := s.write.PingContext(ctx); err != nil {
		return nil, errors.Join(errs.E(errs.Unavailable, "the database cannot be opened: %w", withoutPassword(err)), s.Close())
	}
	return s, nil
}

func (s *Store) openSQLite(path string) error {
	if strings.Contains(path, "://") {
		return errs.E(errs.Invalid, "%q is not a database: give the path of a file, or postgres://USER@HOST/DATABASE", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := ownFile(abs); err != nil {
		return err
	}
	// FULL: a commit is on disk when it returns. One connection writes, so that
	// a writer never waits for a lock inside of a transaction.
	address := (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String() +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	if s.write, err = sql.Open("sqlite", address+"&_txlock=immediate"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", address+"&_pragma=query_only(1)"); err != nil {
		return errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(8)
	return nil
}

func (s *Store) openPostgres(address string) error {
	db, err := sql.Open("pgx", address)
	if err != nil {
		return errs.E(errs.Invalid, "the address of the database is not valid: %w", withoutPassword(err))
	}
	db.SetMaxOpenConns(16)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.write, s.read = db, db
	return nil
}

// withoutPassword drops the address from an error, which may hold a password.
func withoutPassword(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("it cannot be parsed; the form is postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require")
	}
	return err
}

// Shared reports whether other servers may use the database too.
func (s *Store) Shared() bool { return s.postgres }

// Close closes the database.
func (s *Store) Close() error {
	var all []error
	all = append(all, s.writer.close())
	all = append(all, s.closeReader()...)
	all = append(all, s.closeReader()...)
	if s.read != nil && s.read != s.write {
		all = append(all, s.read.Close())
	}
	if s.write != nil {
		all = append(all, s.write.Close())
	}
	return errors.Join(all...)
}

// Tx is a transaction that writes.
type Tx struct {
	s  *Store
	tx *sql.Tx
}

// Update runs f in a transaction, which is committed if f returns nil and is on
// disk when Update returns. Otherwise nothing happened.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error {
	tx, end, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := f(&Tx{s: s, tx: tx}); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(storageError(err), ignoreDone(tx.Rollback()))
	}
	return storageError(tx.Commit())
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func (t *Tx) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	res, err := t.tx.ExecContext(ctx, t.s.rebind(text), args...)
	return res, storageError(err)
}

func (t *Tx) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	rows, err := t.tx.QueryContext(ctx, t.s.rebind(text), args...)
	return rows, storageError(err)
}

// rebind writes ? as $1, $2 … for PostgreSQL. Statements hold no ? otherwise.
func (s *Store) rebind(text string) string {
	if !s.postgres || !strings.Contains(text, "?") {
		return text
	}
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(text, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		text = after
	}
}

// forUpdate is the clause that locks rows; SQLite's only writer needs none.
func (t *Tx) forUpdate() string {
	if t.s.postgres {
		return " FOR UPDATE"
	}
	return ""
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		list = append(list, row)
	}
	return list, storageError(rows.Err())
}

// storageError gives errors of the database their kind.
func storageError(err error) error {
	if err == nil {
		return nil
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_IOERR, sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
			return errs.E(errs.Unavailable, "the database does not take the change: %w", err)
		case sqlitelib.SQLITE_CONSTRAINT:
			return errs.E(errs.Conflict, "database: %w", err)
		}
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case strings.HasPrefix(pg.Code, "23"):
			return errs.E(errs.Conflict, "database: %w", err)
		case strings.HasPrefix(pg.Code, "53"), strings.HasPrefix(pg.Code, "57"), strings.HasPrefix(pg.Code, "40"), strings.HasPrefix(pg.Code, "08"):
			return errs.E(errs.Unavailable, "the database does not take the change: %w", err)
		}
		return fmt.Errorf("database: %w", err)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || pgconn.Timeout(err) {
		return errs.E(errs.Unavailable, "the database does not answer: %w", err)
	}
	return fmt.Errorf("database: %w", err)
}

// Retryable reports whether an error is that of a transaction that another one
// got in the way of: a deadlock, or the same new key.
func Retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "40") || pg.Code == "23505")
}

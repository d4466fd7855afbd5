package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"

	"refline/internal/errs"
)

// Chunk is some rows of one table, as a backup holds them. A value is an int64, a
// string, a []byte or nil.
type Chunk struct {
	Table   string
	Columns []string
	Rows    [][]any
}

// A chunk has at most so many rows and about so many bytes.
const (
	chunkRows  = 500
	chunkBytes = 1 << 20
)

// OpenCurrent opens a database beside a server that uses it, and changes nothing.
// Conflict if its schema is not that of this program.
func OpenCurrent(ctx context.Context, address string) (*Store, error) {
	s, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	have, newest, err := s.schema(ctx)
	if err == nil && have != newest {
		err = errs.E(errs.Conflict, "the database has schema %d, this program %d: use the program of the server", have, newest)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Schema returns the version of the schema.
func (s *Store) Schema(ctx context.Context) (int64, error) {
	have, _, err := s.schema(ctx)
	return have, err
}

func (s *Store) schema(ctx context.Context) (have, newest int64, err error) {
	p, err := s.migrations()
	if err != nil {
		return 0, 0, err
	}
	sources := p.ListSources()
	if err := s.row(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+goose.DefaultTablename).Scan(&have); err != nil {
		return 0, 0, errs.E(errs.Invalid, "this is not the database of a server: %w", err)
	}
	return have, sources[len(sources)-1].Version, nil
}

func (s *Store) row(ctx context.Context, text string, args ...any) *sql.Row {
	return s.read.QueryRowContext(ctx, s.rebind(text), args...)
}

// Dump gives every row of every table as they are at one moment, while others write.
// Memory is that of a chunk.
func (s *Store) Dump(ctx context.Context, each func(Chunk) error) error {
	options := &sql.TxOptions{}
	if s.postgres {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.read.BeginTx(ctx, options)
	if err != nil {
		return storageError(err)
	}
	defer func() { _ = tx.Rollback() }()
	tables, err := s.tables(ctx, tx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := dumpTable(ctx, tx, table, each); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}

// tables lists the tables with what a server keeps.
func (s *Store) tables(ctx context.Context, tx *sql.Tx) ([]string, error) {
	text := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
	if s.postgres {
		text = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
	}
	rows, err := tx.QueryContext(ctx, text)
	if err != nil {
		return nil, storageError(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, storageError(err)
		}
		if !strings.HasPrefix(name, "goose") {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list, storageError(rows.Err())
}

func dumpTable(ctx context.Context, tx *sql.Tx, table string, each func(Chunk) error) error {
	rows, err := tx.QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return storageError(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return storageError(err)
	}
	chunk := Chunk{Table: table, Columns: columns}
	size := 0
	for rows.Next() {
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return storageError(err)
		}
		for i, v := range row {
			switch v := v.(type) {
			case []byte:
				size += len(v)
			case string:
				size += len(v)
			case int64, nil:
			case int32:
				row[i] = int64(v)
			case bool:
				row[i] = int64(0)
				if v {
					row[i] = int64(1)
				}
			default:
				return errs.E(errs.Internal, "column %s has a %T", columns[i], v)
			}
		}
		chunk.Rows = append(chunk.Rows, row)
		if size += 8 * len(row); len(chunk.Rows) == chunkRows || size >= chunkBytes {
			if err := each(chunk); err != nil {
				return err
			}
			chunk.Rows, size = nil, 0
		}
	}
	if err := rows.Err(); err != nil {
		return storageError(err)
	}
	if len(chunk.Rows) == 0 {
		return nil
	}
	return each(chunk)
}

// Load fills an empty database with what feed puts, all or nothing. Conflict if there
// is something in it.
func (s *Store) Load(ctx context.Context, feed func(put func(Chunk) error) error) error {
	return s.Update(ctx, func(tx *Tx) error { return s.load(ctx, tx.tx, feed) })
}

func (s *Store) load(ctx context.Context, tx *sql.Tx, feed func(put func(Chunk) error) error) error {
	tables, err := s.tables(ctx, tx)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if table == "counters" { // new databases have rows in it
			if _, err := tx.ExecContext(ctx, "DELETE FROM counters"); err != nil {
				return storageError(err)
			}
			continue
		}
		var found bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&found); err != nil {
			return storageError(err)
		}
		if found {
			return errs.E(errs.Conflict, "the database is in use: it has rows in %s; restore into an empty one", table)
		}
	}
	err = feed(func(c Chunk) error {
		if !slices.Contains(tables, c.Table) {
			return errs.E(errs.Invalid, "the backup has a table %q, which this program does not know", c.Table)
		}
		return s.loadChunk(ctx, tx, c)
	})
	if err == nil && s.postgres {
		err = setSequences(ctx, tx)
	}
	return err
}

func (s *Store) loadChunk(ctx context.Context, tx *sql.Tx, c Chunk) error {
	for _, name := range c.Columns {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || name == "" {
			return errs.E(errs.Invalid, "the backup has a column %q in %s", name, c.Table)
		}
	}
	const most = 30_000 // parameters of a statement
	step := max(1, min(100, most/max(1, len(c.Columns))))
	marks := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(c.Columns)), ", ") + ")"
	overriding := ""
	if s.postgres {
		overriding = " OVERRIDING SYSTEM VALUE"
	}
	for rows := range slices.Chunk(c.Rows, step) {
		var args []any
		for _, row := range rows {
			if len(row) != len(c.Columns) {
				return errs.E(errs.Invalid, "the backup has a row of %s with %d values, want %d", c.Table, len(row), len(c.Columns))
			}
			for _, v := range row {
				if text, ok := v.(string); ok && s.postgres { // which takes neither
					v = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
				}
				args = append(args, v)
			}
		}
		text := "INSERT INTO " + c.Table + " (" + strings.Join(c.Columns, ", ") + ")" + overriding + " VALUES " +
			strings.TrimSuffix(strings.Repeat(marks+", ", len(rows)), ", ")
		if _, err := tx.ExecContext(ctx, s.rebind(text), args...); err != nil {
			return fmt.Errorf("table %s: %w", c.Table, storageError(err))
		}
	}
	return nil
}

// setSequences lets columns that count by themselves go on after the rows that are
// there.
func setSequences(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'")
	if err != nil {
		return storageError(err)
	}
	defer rows.Close()
	var columns [][2]string
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			return storageError(err)
		}
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		return storageError(err)
	}
	for _, c := range columns {
		text := fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%s', '%s'), COALESCE((SELECT MAX(%s) FROM %s), 0) + 1, false)", c[0], c[1], c[1], c[0])
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return storageError(err)
		}
	}
	return nil
}

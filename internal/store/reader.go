package store

import (
	"context"
	"database/sql"
	"regexp"
	"sync"
)

// reader keeps statements of SQLite prepared that read outside of transactions: to
// parse one costs more than to run it. (The driver of PostgreSQL keeps its own.)
type reader struct {
	mu         sync.Mutex
	statements map[string]*sql.Stmt
}

// writtenIDs finds numbers that are part of a statement (see [idList]): such a
// statement seldom comes again.
var writtenIDs = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\(\d`) })

// reading returns a prepared statement, nil if there is none to keep.
func (s *Store) reading(ctx context.Context, text string) (*sql.Stmt, error) {
	r := &s.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	if stmt := r.statements[text]; stmt != nil {
		return stmt, nil
	}
	if s.postgres || len(r.statements) >= maxStatements || writtenIDs().MatchString(text) {
		return nil, nil
	}
	stmt, err := s.read.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if r.statements == nil {
		r.statements = map[string]*sql.Stmt{}
	}
	r.statements[text] = stmt
	return stmt, nil
}

// query reads without a transaction.
func (s *Store) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s.asked != nil {
		s.asked(text, args)
	}
	stmt, err := s.reading(ctx, text)
	if err != nil {
		return nil, storageError(err)
	}
	var rows *sql.Rows
	if stmt != nil {
		rows, err = stmt.QueryContext(ctx, args...)
	} else {
		rows, err = s.read.QueryContext(ctx, s.rebind(text), args...)
	}
	return rows, storageError(err)
}

// closeReader closes what is kept prepared.
func (s *Store) closeReader() (all []error) {
	s.reader.mu.Lock()
	defer s.reader.mu.Unlock()
	for _, stmt := range s.reader.statements {
		all = append(all, stmt.Close())
	}
	clear(s.reader.statements)
	return all
}

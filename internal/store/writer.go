package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"refline/internal/errs"
)

// writer is the one connection that writes to SQLite, with its prepared
// statements: to parse one costs more than to run it. (The driver of PostgreSQL
// keeps those of its connections itself.)
type writer struct {
	turn       chan struct{} // has a place for one: who writes
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

// maxStatements bounds what is kept prepared.
const maxStatements = 500

// begin begins a transaction, after those before it. end is called when it is over.
func (s *Store) begin(ctx context.Context) (tx *sql.Tx, end func(), err error) {
	if s.postgres {
		tx, err = s.write.BeginTx(ctx, nil)
		return tx, func() {}, storageError(err)
	}
	w := &s.writer
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, errs.E(errs.Unavailable, "the database is busy: %w", context.Cause(ctx))
	}
	end = func() { <-w.turn }
	if w.conn == nil {
		if w.conn, err = s.write.Conn(ctx); err != nil {
			end()
			return nil, nil, storageError(err)
		}
		w.statements = map[string]*sql.Stmt{}
	}
	// Without the cancel of ctx: a rollback that follows one runs beside the next
	// transaction of the connection. Statements are canceled all the same.
	if tx, err = w.conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		w.discard()
		end()
		return nil, nil, storageError(err)
	}
	return tx, end, nil
}

// discard gives up a connection in a state that is not known.
func (w *writer) discard() {
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	w.conn = nil
}

// prepared returns a statement that is kept for the writing connection; nil for
// PostgreSQL.
func (t *Tx) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	w := &t.s.writer
	if t.s.postgres {
		return nil, nil
	}
	if stmt := w.statements[text]; stmt != nil {
		return stmt, nil
	}
	if len(w.statements) >= maxStatements {
		for _, stmt := range w.statements {
			_ = stmt.Close()
		}
		clear(w.statements)
	}
	stmt, err := w.conn.PrepareContext(ctx, text)
	if err == nil {
		w.statements[text] = stmt
	}
	return stmt, err
}

// execPrepared is for statements of few different texts, which are run often.
func (t *Tx) execPrepared(ctx context.Context, text string, args ...any) (sql.Result, error) {
	stmt, err := t.prepared(ctx, text)
	switch {
	case err != nil:
		return nil, storageError(err)
	case stmt == nil:
		return t.exec(ctx, text, args...)
	}
	res, err := stmt.ExecContext(ctx, args...)
	return res, storageError(err)
}

// queryPrepared is execPrepared for queries.
func (t *Tx) queryPrepared(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := t.prepared(ctx, text)
	switch {
	case err != nil:
		return nil, storageError(err)
	case stmt == nil:
		return t.query(ctx, text, args...)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	return rows, storageError(err)
}

// rowPrepared is queryPrepared for the first row. Its error comes with Scan.
func (t *Tx) rowPrepared(ctx context.Context, text string, args ...any) *sql.Row {
	if stmt, err := t.prepared(ctx, text); err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, t.s.rebind(text), args...)
}

func (w *writer) close() error {
	if w.conn == nil {
		return nil
	}
	var all []error
	for _, stmt := range w.statements {
		all = append(all, stmt.Close())
	}
	return errors.Join(append(all, w.conn.Close())...)
}

// inList is a list of numbers for IN and its arguments, which come after the given
// ones. The lists of one length have one text, and there are few lengths: the last
// number is repeated. The list is never empty.
func inList(ids []int64, args ...any) (string, []any) {
	const most = 512
	if len(ids) > most {
		return idList(ids), args
	}
	n := 1
	for n < len(ids) {
		n *= 2
	}
	text := make([]byte, 0, 2*n+1)
	for i := range n {
		text = append(text, ',', '?')
		args = append(args, ids[min(i, len(ids)-1)])
	}
	text[0] = '('
	return string(append(text, ')')), args
}

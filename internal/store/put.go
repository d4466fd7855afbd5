package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// table describes how rows of a table are written.
type table struct {
	name    string
	columns []string
	key     []string
	keep    []string // columns that an existing row keeps

	statements [9]struct { // for 1, 2, 4 … 256 rows
		once sync.Once
		text string
	}
}

// putMany writes rows, in chunks of 256, 128 … 1 so that there are few statements to
// prepare. A row whose key is there replaces it.
func (t *Tx) putMany(ctx context.Context, into *table, rows [][]any) error {
	for len(rows) > 0 {
		size := 8
		for 1<<size > len(rows) {
			size--
		}
		n := 1 << size
		args := make([]any, 0, n*len(into.columns))
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		if _, err := t.execPrepared(ctx, into.statement(size), args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t *table) statement(size int) string {
	s := &t.statements[size]
	s.once.Do(func() {
		row := "(" + strings.Repeat(", ?", len(t.columns))[2:] + ")"
		s.text = "INSERT INTO " + t.name + " (" + strings.Join(t.columns, ", ") + ") VALUES " +
			strings.Repeat(", "+row, 1<<size)[2:] +
			" ON CONFLICT (" + strings.Join(t.key, ", ") + ") DO " + t.onConflict()
	})
	return s.text
}

func (t *table) onConflict() string {
	var set []string
	for _, c := range t.columns {
		if !slices.Contains(t.key, c) && !slices.Contains(t.keep, c) {
			set = append(set, c+" = excluded."+c)
		}
	}
	if len(set) == 0 {
		return "NOTHING"
	}
	return "UPDATE SET " + strings.Join(set, ", ")
}

// idList is a list of numbers for IN, written out: they are ours, not text from
// outside. It is never empty.
func idList(ids []int64) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	b.WriteByte(')')
	return b.String()
}

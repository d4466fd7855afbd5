package store

import (
	"context"
	"database/sql"
	"strings"
)

// Asked reports each query outside of transactions. It is set before the store is used.
func (s *Store) Asked(f func(text string, args []any)) { s.asked = f }

// Explain is how the database would find the rows of a query.
func (s *Store) Explain(ctx context.Context, text string, args []any) (string, error) {
	explain := "EXPLAIN QUERY PLAN "
	if s.postgres {
		explain = "EXPLAIN "
	}
	rows, err := s.read.QueryContext(ctx, s.rebind(explain+text), args...)
	list, err := collect(rows, err, func(rows *sql.Rows) (line string, err error) {
		if s.postgres {
			return line, rows.Scan(&line)
		}
		var id, parent, unused int
		return line, rows.Scan(&id, &parent, &unused, &line)
	})
	return strings.Join(list, "\n"), err
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

// channel is that of hints among servers.
const channel = "refline"

// Hint sends a text to all servers on the database, this one too. It may get
// lost. It does nothing where there is one server only.
func (s *Store) Hint(ctx context.Context, text string) error {
	if !s.postgres {
		return nil
	}
	_, err := s.write.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, text)
	return storageError(err)
}

// Hints calls heard for each hint until ctx is done or the connection is lost,
// and ready once it listens. It uses a connection of its own.
func (s *Store) Hints(ctx context.Context, ready func(), heard func(text string)) error {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return storageError(err)
	}
	defer closeConn(conn)
	return conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("database: hints need a connection of pgx, not %T", driver)
		}
		if _, err := c.Conn().Exec(ctx, "LISTEN "+channel); err != nil {
			return storageError(err)
		}
		ready()
		for {
			n, err := c.Conn().WaitForNotification(ctx)
			if err != nil {
				// A canceled wait closes the connection, so it listens no more.
				closing, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = c.Conn().Close(closing)
				return storageError(err)
			}
			heard(n.Payload)
		}
	})
}

func closeConn(conn *sql.Conn) { _ = conn.Close() }

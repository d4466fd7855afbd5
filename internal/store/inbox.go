package store

import (
	"context"
	"database/sql"
)

// Message is a row of inbox: something that happened to a run because of another
// one. A later turn of the run takes it, on any server.
type Message struct {
	ID     int64
	Run    int64
	Kind   MessageKind
	Origin int64 // the run that it comes from, 0 for none
}

// MessageKind says what a message is about.
type MessageKind string

// The kinds of messages.
const (
	MessageChild     MessageKind = "child"     // a child run was made, or its status changed
	MessageGranted   MessageKind = "granted"   // a slot that the run waits for is its
	MessageCancel    MessageKind = "cancel"    // the run that it belongs to was canceled
	MessageReplaced  MessageKind = "replaced"  // a newer run of the flow takes its place
	MessageRedundant MessageKind = "redundant" // its ref has a newer commit
)

// Post puts messages into the inbox.
func (t *Tx) Post(ctx context.Context, list []Message) error {
	for _, m := range list {
		if _, err := t.execPrepared(ctx, "INSERT INTO inbox (run, kind, origin) VALUES (?, ?, ?)", m.Run, string(m.Kind), m.Origin); err != nil {
			return err
		}
	}
	return nil
}

// Inbox returns the first n messages. It locks nothing.
func (t *Tx) Inbox(ctx context.Context, n int) ([]Message, error) {
	rows, err := t.queryPrepared(ctx, "SELECT id, run, kind, origin FROM inbox ORDER BY id LIMIT ?", n)
	return collect(rows, err, scanMessage)
}

// TakeMessages removes messages and returns those that were there. The caller
// has the lock of their runs.
func (t *Tx) TakeMessages(ctx context.Context, ids []int64) (map[int64]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	in, args := inList(ids)
	rows, err := t.queryPrepared(ctx, "DELETE FROM inbox WHERE id IN "+in+" RETURNING id", args...)
	list, err := collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
	taken := make(map[int64]bool, len(list))
	for _, id := range list {
		taken[id] = true
	}
	return taken, err
}

func scanMessage(rows *sql.Rows) (Message, error) {
	var m Message
	err := rows.Scan(&m.ID, &m.Run, &m.Kind, &m.Origin)
	return m, err
}

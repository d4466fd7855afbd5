package store

import (
	"context"
	"database/sql"
	"time"
)

// Request is a row of requests: a request with an Idempotency-Key and its answer.
type Request struct {
	Actor, Key  string
	SHA256      string // of method, path and body
	Status      int    // of the answer; 0 while the request is under way
	ContentType string
	Body        []byte
	Created     time.Time
}

// BeginRequest notes that a request begins. If there is one of the actor and key it
// returns that one instead, unless it is under way since before stale: its server
// has ended. Requests from before expired are removed.
func (t *Tx) BeginRequest(ctx context.Context, r Request, stale, expired time.Time) (*Request, error) {
	if _, err := t.exec(ctx, "DELETE FROM requests WHERE created_at < ? OR actor = ? AND request_key = ? AND status = 0 AND created_at < ?",
		millis(expired), r.Actor, r.Key, millis(stale)); err != nil {
		return nil, err
	}
	added, err := t.changedOne(ctx, "INSERT INTO requests (actor, request_key, sha256, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", r.Actor, r.Key, r.SHA256, millis(r.Created))
	if err != nil || added {
		return nil, err
	}
	rows, err := t.query(ctx, "SELECT actor, request_key, sha256, status, content_type, body, created_at FROM requests WHERE actor = ? AND request_key = ?", r.Actor, r.Key)
	found, err := first(rows, err, func(rows *sql.Rows) (x Request, err error) {
		var created int64
		err = rows.Scan(&x.Actor, &x.Key, &x.SHA256, &x.Status, &x.ContentType, &x.Body, &created)
		x.Created = fromMillis(created)
		return x, err
	}, "no request %s", r.Key)
	return &found, err
}

// EndRequest keeps the answer to a request, or with status 0 forgets the request, so
// that it can be tried again.
func (t *Tx) EndRequest(ctx context.Context, r Request) error {
	if r.Status == 0 {
		_, err := t.exec(ctx, "DELETE FROM requests WHERE actor = ? AND request_key = ?", r.Actor, r.Key)
		return err
	}
	_, err := t.exec(ctx, "UPDATE requests SET status = ?, content_type = ?, body = ? WHERE actor = ? AND request_key = ?", r.Status, r.ContentType, r.Body, r.Actor, r.Key)
	return err
}

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"refline/internal/secret"
)

// NotifyRule is a row of notify_rules: who is notified of what. The address, which may be
// a secret itself, is in Sealed with everything else that is.
type NotifyRule struct {
	ID, Project int64 // project 0: for all projects
	Name        string
	Kind        string // webhook, slack or email
	Events      []string
	Template    string // "" for the default
	Sealed      secret.Sealed
	Version     int64
	Actor       string
	Created     time.Time
}

// Place is what the encrypted settings are bound to.
func (r NotifyRule) Place() secret.Place {
	return secret.Place{Kind: "notify", Scope: r.Project, Name: r.Name, Version: r.Version}
}

const selectRules = "SELECT id, project, name, kind, events, template, sealed_with, sealed, version, actor, created_at FROM notify_rules"

var ruleTable = table{name: "notify_rules", key: []string{"id"}, keep: []string{"project", "name", "created_at"},
	columns: []string{"id", "project", "name", "kind", "events", "template", "sealed_with", "sealed", "version", "actor", "created_at"}}

// PutNotifyRule writes a rule. Conflict if its project has another of the name.
func (t *Tx) PutNotifyRule(ctx context.Context, r NotifyRule) error {
	return t.putMany(ctx, &ruleTable, [][]any{{r.ID, r.Project, r.Name, r.Kind, joinLines(r.Events), r.Template,
		r.Sealed.Key, r.Sealed.Data, r.Version, r.Actor, millis(r.Created)}})
}

// RemoveNotifyRule removes a rule.
func (t *Tx) RemoveNotifyRule(ctx context.Context, id int64) error {
	_, err := t.exec(ctx, "DELETE FROM notify_rules WHERE id = ?", id)
	return err
}

// NotifyRule returns a rule by its id.
func (s *Store) NotifyRule(ctx context.Context, id int64) (NotifyRule, error) {
	rows, err := s.query(ctx, selectRules+" WHERE id = ?", id)
	return first(rows, err, scanRule, "the notification was removed")
}

// NotifyRules returns the rules of a project and those for all projects, by name.
func (s *Store) NotifyRules(ctx context.Context, project int64) ([]NotifyRule, error) {
	rows, err := s.query(ctx, selectRules+" WHERE project IN (0, ?) ORDER BY name, project", project)
	return collect(rows, err, scanRule)
}

// LockNotifyRules returns rules that another key than this one encrypts, at most
// n, locked until the transaction ends.
func (t *Tx) LockNotifyRules(ctx context.Context, notKey string, n int) ([]NotifyRule, error) {
	rows, err := t.query(ctx, selectRules+" WHERE sealed_with <> ? ORDER BY id LIMIT ?"+t.forUpdate(), notKey, n)
	return collect(rows, err, scanRule)
}

func scanRule(rows *sql.Rows) (NotifyRule, error) {
	var r NotifyRule
	var events string
	var created int64
	err := rows.Scan(&r.ID, &r.Project, &r.Name, &r.Kind, &events, &r.Template, &r.Sealed.Key, &r.Sealed.Data, &r.Version, &r.Actor, &created)
	r.Events, r.Created = splitLines(events), fromMillis(created)
	return r, err
}

// Notification is a row of notifications: what a target is to show. Its fields
// are those of the messages of package notify.
type Notification struct {
	ID, Project, Run int64
	Kind             string // status, comment, or the kind of a rule
	Target           string // unique in the project
	Body             []byte // wanted, JSON
	Sent             string // digest of the body that the target has
	Remote           string // id at the target, of a comment
	State            string // waiting, sent, stopped
	Attempts         int
	Next             time.Time
	Error            string
	Updated          time.Time
}

const selectNotifications = `SELECT id, project, run, kind, target, body, sent, remote, state, attempts, next_at, error, updated_at FROM notifications`

// WantNotification sets what a target is to show; what it shows already, and where,
// stays known. The same again changes nothing, and so does what an older run than
// the last one wants. A target that waits for its next attempt keeps the time, so
// a change does not undo the back-off.
func (t *Tx) WantNotification(ctx context.Context, n Notification) error {
	_, err := t.exec(ctx, `INSERT INTO notifications (id, project, run, kind, target, body, state, next_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?)
		ON CONFLICT (project, target) DO UPDATE SET run = excluded.run, body = excluded.body, updated_at = excluded.updated_at,
			next_at = CASE WHEN notifications.state = 'waiting' THEN notifications.next_at ELSE excluded.next_at END,
			attempts = CASE WHEN notifications.state = 'waiting' THEN notifications.attempts ELSE 0 END,
			error = CASE WHEN notifications.state = 'waiting' THEN notifications.error ELSE '' END,
			state = 'waiting'
		WHERE notifications.body <> excluded.body AND notifications.run <= excluded.run`,
		n.ID, n.Project, n.Run, n.Kind, n.Target, string(n.Body), millis(n.Next), millis(n.Updated))
	return err
}

// FinishNotification writes what an attempt came to. If another state is wanted
// meanwhile, only what the target shows now is noted, and it stays due.
func (t *Tx) FinishNotification(ctx context.Context, n Notification) error {
	_, err := t.exec(ctx, `UPDATE notifications SET sent = ?, remote = ?, attempts = ?, error = ?, updated_at = ?,
			state = CASE WHEN body = ? THEN ? ELSE 'waiting' END, next_at = ? WHERE id = ?`,
		n.Sent, n.Remote, n.Attempts, n.Error, millis(n.Updated), string(n.Body), n.State, millis(n.Next), n.ID)
	return err
}

// DueNotifications returns notifications that are due, at most n.
func (s *Store) DueNotifications(ctx context.Context, now time.Time, n int) ([]Notification, error) {
	rows, err := s.query(ctx, selectNotifications+" WHERE state = 'waiting' AND next_at <= ? ORDER BY next_at LIMIT ?", millis(now), n)
	return collect(rows, err, scanNotification)
}

// NextNotification returns when the first notification is due, zero if none waits.
func (s *Store) NextNotification(ctx context.Context) (time.Time, error) {
	due, err := s.count(ctx, "SELECT MIN(next_at) FROM notifications WHERE state = 'waiting'")
	return fromMillis(due), err
}

// Notifications returns the notifications of a run.
func (s *Store) Notifications(ctx context.Context, run int64) ([]Notification, error) {
	rows, err := s.query(ctx, selectNotifications+" WHERE run = ? ORDER BY id LIMIT ?", run, maxPage)
	return collect(rows, err, scanNotification)
}

// PruneNotifications removes at most n that were sent or stopped before a time.
// Those of comments stay while their merge request is open: they know its id.
func (t *Tx) PruneNotifications(ctx context.Context, before time.Time, n int) error {
	_, err := t.exec(ctx, `DELETE FROM notifications WHERE id IN
		(SELECT id FROM notifications WHERE state <> 'waiting' AND kind <> 'comment' AND updated_at < ? ORDER BY id LIMIT ?)`, millis(before), n)
	return err
}

// ForgetComments removes what is known of the comments on a merge request that is no
// longer open; those that still wait to be written stay.
func (t *Tx) ForgetComments(ctx context.Context, project, request int64) error {
	_, err := t.exec(ctx, "DELETE FROM notifications WHERE project = ? AND kind = 'comment' AND state <> 'waiting' AND target LIKE ?",
		project, fmt.Sprintf("comment %d %%", request))
	return err
}

func scanNotification(rows *sql.Rows) (Notification, error) {
	var n Notification
	var body string
	var next, updated int64
	err := rows.Scan(&n.ID, &n.Project, &n.Run, &n.Kind, &n.Target, &body, &n.Sent, &n.Remote, &n.State, &n.Attempts, &next, &n.Error, &updated)
	n.Body, n.Next, n.Updated = []byte(body), fromMillis(next), fromMillis(updated)
	return n, err
}

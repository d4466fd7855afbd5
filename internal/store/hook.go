package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"refline/internal/secret"
)

// Trigger is a row of triggers: a webhook of a forge for a project.
type Trigger struct {
	ID, Project   int64
	Forge         string
	ForgeURL      string // of the forge; "" for the host of the repository
	TokenVariable string // name of the variable with its token; "" for the project's
	Address       string // random last part of its URL
	Secret        secret.Sealed
	Previous      secret.Sealed // while the secret is replaced; without Data for none
	PreviousUntil time.Time
	Version       int64  // grows with each new secret
	Hook          string // its id at the forge, if it was created by us
	Created       time.Time
	Delivered     time.Time // last delivery, to the minute; zero for none
}

// Place is what the secret is bound to.
func (g Trigger) Place() secret.Place {
	return secret.Place{Kind: "trigger", Scope: g.Project, Name: g.Address, Version: g.Version}
}

// PreviousPlace is what the secret before is bound to.
func (g Trigger) PreviousPlace() secret.Place {
	p := g.Place()
	p.Version--
	return p
}

const selectTriggers = `SELECT id, project, forge, forge_url, token_variable, address, sealed_with, sealed, previous_with, previous, previous_until,
	version, hook, created_at, delivered_at FROM triggers`

var triggerTable = table{name: "triggers", key: []string{"id"}, keep: []string{"project", "address", "created_at", "delivered_at"},
	columns: []string{"id", "project", "forge", "forge_url", "token_variable", "address", "sealed_with", "sealed", "previous_with", "previous", "previous_until",
		"version", "hook", "created_at", "delivered_at"}}

// PutTrigger writes a trigger. Conflict if the address is taken.
func (t *Tx) PutTrigger(ctx context.Context, g Trigger) error {
	return t.putMany(ctx, &triggerTable, [][]any{{g.ID, g.Project, g.Forge, g.ForgeURL, g.TokenVariable, g.Address, g.Secret.Key, g.Secret.Data, g.Previous.Key, g.Previous.Data,
		millis(g.PreviousUntil), g.Version, g.Hook, millis(g.Created), millis(g.Delivered)}})
}

// RemoveTrigger removes a trigger with its deliveries.
func (t *Tx) RemoveTrigger(ctx context.Context, id int64) error {
	if _, err := t.exec(ctx, "DELETE FROM deliveries WHERE source = ?", id); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM triggers WHERE id = ?", id)
	return err
}

// TriggerAt returns the trigger with an address.
func (s *Store) TriggerAt(ctx context.Context, address string) (Trigger, error) {
	rows, err := s.query(ctx, selectTriggers+" WHERE address = ?", address)
	return first(rows, err, scanTrigger, "no webhook has this address; create it again: refline project hook")
}

// Triggers returns the triggers of a project; of all if project is 0.
func (s *Store) Triggers(ctx context.Context, project int64) ([]Trigger, error) {
	rows, err := s.query(ctx, selectTriggers+" WHERE project = ? OR ? = 0 ORDER BY id", project, project)
	return collect(rows, err, scanTrigger)
}

// LockTriggers returns triggers with a secret that another key than this one
// encrypts, at most n, locked until the transaction ends.
func (t *Tx) LockTriggers(ctx context.Context, notKey string, n int) ([]Trigger, error) {
	rows, err := t.query(ctx, selectTriggers+" WHERE sealed_with <> ? OR previous_with NOT IN ('', ?) ORDER BY id LIMIT ?"+t.forUpdate(), notKey, notKey, n)
	return collect(rows, err, scanTrigger)
}

func scanTrigger(rows *sql.Rows) (Trigger, error) {
	var g Trigger
	var until, created, delivered int64
	err := rows.Scan(&g.ID, &g.Project, &g.Forge, &g.ForgeURL, &g.TokenVariable, &g.Address, &g.Secret.Key, &g.Secret.Data, &g.Previous.Key, &g.Previous.Data,
		&until, &g.Version, &g.Hook, &created, &delivered)
	g.PreviousUntil, g.Created, g.Delivered = fromMillis(until), fromMillis(created), fromMillis(delivered)
	return g, err
}

// Delivery is a row of deliveries.
type Delivery struct {
	ID, Trigger, Project int64
	Delivery             string // the forge's id
	Kind, Name           string // what it means here; the forge's word
	Event                []byte // JSON; empty once it was read
	Received             time.Time
	Read                 time.Time // by a look; zero while it waits
	Wanted               []int64   // ids of the wanted runs that followed from it
}

// keptDeliveries is how many deliveries of a trigger are kept. GitHub sends one
// again for three days at most, on request.
const keptDeliveries = 1000

// AddDelivery keeps a delivery for the next look and reports whether it is new.
// Events without consequence are marked as read by their Read time.
func (t *Tx) AddDelivery(ctx context.Context, d Delivery) (bool, error) {
	res, err := t.exec(ctx, `INSERT INTO deliveries (id, source, delivery, project, kind, name, event, received_at, read_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source, delivery) DO NOTHING`,
		d.ID, d.Trigger, d.Delivery, d.Project, d.Kind, d.Name, string(d.Event), millis(d.Received), millis(d.Read))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, storageError(err)
	}
	_, err = t.exec(ctx, "UPDATE triggers SET delivered_at = ? WHERE id = ? AND delivered_at < ?",
		millis(d.Received), d.Trigger, millis(d.Received.Add(-time.Minute)))
	if err != nil || d.ID%64 != 0 {
		return true, err
	}
	_, err = t.exec(ctx, `DELETE FROM deliveries WHERE source = ? AND id <=
		(SELECT id FROM deliveries WHERE source = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`, d.Trigger, d.Trigger, keptDeliveries)
	return true, err
}

const selectDeliveries = "SELECT id, source, delivery, project, kind, name, event, received_at, read_at, wanted FROM deliveries"

// WaitingDeliveries returns the deliveries of a project that no look has read,
// oldest first, at most n.
func (s *Store) WaitingDeliveries(ctx context.Context, project int64, n int) ([]Delivery, error) {
	rows, err := s.query(ctx, selectDeliveries+" WHERE project = ? AND read_at = 0 ORDER BY id LIMIT ?", project, n)
	return collect(rows, err, scanDelivery)
}

// WaitingProjects returns projects with deliveries that no look has read: after a
// start, those to look at.
func (s *Store) WaitingProjects(ctx context.Context) ([]int64, error) {
	rows, err := s.query(ctx, "SELECT DISTINCT project FROM deliveries WHERE read_at = 0 ORDER BY project")
	return collect(rows, err, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) })
}

// Deliveries returns the newest deliveries of a trigger, at most n.
func (s *Store) Deliveries(ctx context.Context, trigger int64, n int) ([]Delivery, error) {
	rows, err := s.query(ctx, selectDeliveries+" WHERE source = ? ORDER BY id DESC LIMIT ?", trigger, min(n, maxPage))
	return collect(rows, err, scanDelivery)
}

// MarkRead notes that a look has read deliveries; their ids stay, for the check
// of doubles, the events go.
func (t *Tx) MarkRead(ctx context.Context, ids []int64, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE deliveries SET read_at = ?, event = '' WHERE id IN "+idList(ids), millis(at))
	return err
}

// NoteWanted notes which wanted runs followed from a delivery.
func (t *Tx) NoteWanted(ctx context.Context, delivery int64, wanted []int64) error {
	text, err := json.Marshal(wanted)
	if err == nil {
		_, err = t.exec(ctx, "UPDATE deliveries SET wanted = ? WHERE id = ?", string(text), delivery)
	}
	return err
}

// RemoveProjectHooks removes what a project's hooks, looks and notifications keep.
func (t *Tx) RemoveProjectHooks(ctx context.Context, project int64) error {
	if err := t.ForgetRefs(ctx, project); err != nil {
		return err
	}
	for _, table := range []string{"deliveries", "triggers", "notify_rules", "notifications"} {
		if _, err := t.exec(ctx, "DELETE FROM "+table+" WHERE project = ? AND project > 0", project); err != nil {
			return err
		}
	}
	return nil
}

func scanDelivery(rows *sql.Rows) (Delivery, error) {
	var d Delivery
	var event, wanted string
	var received, read int64
	err := rows.Scan(&d.ID, &d.Trigger, &d.Delivery, &d.Project, &d.Kind, &d.Name, &event, &received, &read, &wanted)
	d.Event, d.Received, d.Read = []byte(event), fromMillis(received), fromMillis(read)
	if err == nil && wanted != "" {
		err = json.Unmarshal([]byte(wanted), &d.Wanted)
	}
	return d, err
}

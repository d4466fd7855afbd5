package store

import (
	"context"
	"database/sql"
	"strconv"
)

// SlotKey names a slot: what a limited number of runs or jobs may have at a time.
type SlotKey struct {
	Scope SlotScope `json:"scope"`
	Name  string    `json:"name"`
}

// SlotScope says what a slot is about.
type SlotScope string

// ScopeNamed is the scope of slots with a name, shared by all projects; ScopeFlow
// that of the limit of a flow, by its id.
const (
	ScopeNamed SlotScope = "slot"
	ScopeFlow  SlotScope = "flow"
)

// FlowSlot is the slot of a flow's limit.
func FlowSlot(flow int64) SlotKey { return SlotKey{ScopeFlow, strconv.FormatInt(flow, 10)} }

// GroupScope is the scope of the resource groups of a project.
func GroupScope(project int64) SlotScope {
	return SlotScope("group:" + strconv.FormatInt(project, 10))
}

// Slot is a row of slots. Policy is what happens to a run that finds no place, or
// the mode of a resource group.
type Slot struct {
	SlotKey
	Max    int
	Policy string
}

// Claim is who has a slot or waits for it: a run, with Pos -1, or one of its jobs.
type Claim struct {
	SlotKey
	Run      int64
	Pos      int
	Attempt  int
	Priority int
	State    ClaimState
}

// ClaimState is where a claim is.
type ClaimState string

// The states of claims.
const (
	ClaimHeld    ClaimState = "held"
	ClaimWaiting ClaimState = "waiting"
	ClaimComing  ClaimState = "coming" // of a job that may want it later
)

// LockSlots makes this transaction the only one that decides who gets slots,
// until it ends.
func (t *Tx) LockSlots(ctx context.Context) error {
	_, err := t.number(ctx, "SELECT next FROM counters WHERE name = 'slots'"+t.forUpdate())
	return err
}

// PutSlot writes a slot.
func (t *Tx) PutSlot(ctx context.Context, s Slot) error {
	_, err := t.exec(ctx, `INSERT INTO slots (scope, name, max, policy) VALUES (?, ?, ?, ?)
		ON CONFLICT (scope, name) DO UPDATE SET max = excluded.max, policy = excluded.policy`, string(s.Scope), s.Name, s.Max, s.Policy)
	return err
}

// Slot returns a slot; one without a row has a place for one.
func (t *Tx) Slot(ctx context.Context, key SlotKey) (Slot, error) {
	rows, err := t.queryPrepared(ctx, "SELECT scope, name, max, policy FROM slots WHERE scope = ? AND name = ?", string(key.Scope), key.Name)
	list, err := collect(rows, err, scanSlot)
	if err != nil || len(list) == 0 {
		return Slot{SlotKey: key, Max: 1}, err
	}
	return list[0], nil
}

// RemoveSlot removes the row of a slot, which then has one place again.
func (t *Tx) RemoveSlot(ctx context.Context, key SlotKey) error {
	_, err := t.execPrepared(ctx, "DELETE FROM slots WHERE scope = ? AND name = ?", string(key.Scope), key.Name)
	return err
}

// SlotClaims returns who has a slot or waits for it, holders first, at most 100.
func (s *Store) SlotClaims(ctx context.Context, key SlotKey) ([]Claim, error) {
	rows, err := s.query(ctx, "SELECT "+claimColumns+" FROM slot_claims WHERE scope = ? AND name = ? AND state IN ('held', 'waiting') ORDER BY state, priority DESC, run, pos LIMIT 100", string(key.Scope), key.Name)
	return collect(rows, err, scanClaim)
}

// Slots returns all slots of a scope, by name.
func (s *Store) Slots(ctx context.Context, scope SlotScope) ([]Slot, error) {
	rows, err := s.query(ctx, "SELECT scope, name, max, policy FROM slots WHERE scope = ? ORDER BY name", string(scope))
	return collect(rows, err, scanSlot)
}

func scanSlot(rows *sql.Rows) (Slot, error) {
	var s Slot
	err := rows.Scan(&s.Scope, &s.Name, &s.Max, &s.Policy)
	return s, err
}

const claimColumns = "run, pos, scope, name, attempt, priority, state"

var claimTable = table{name: "slot_claims", key: []string{"run", "pos", "scope", "name"},
	columns: []string{"run", "pos", "scope", "name", "attempt", "priority", "state"}}

// PutClaims writes claims.
func (t *Tx) PutClaims(ctx context.Context, list []Claim) error {
	rows := make([][]any, len(list))
	for i, c := range list {
		rows[i] = []any{c.Run, c.Pos, string(c.Scope), c.Name, c.Attempt, c.Priority, string(c.State)}
	}
	return t.putMany(ctx, &claimTable, rows)
}

// DropClaims removes claims.
func (t *Tx) DropClaims(ctx context.Context, list []Claim) error {
	for _, c := range list {
		if _, err := t.execPrepared(ctx, "DELETE FROM slot_claims WHERE run = ? AND pos = ? AND scope = ? AND name = ?", c.Run, c.Pos, string(c.Scope), c.Name); err != nil {
			return err
		}
	}
	return nil
}

// ClaimsOf returns the claims of runs.
func (t *Tx) ClaimsOf(ctx context.Context, runs []int64) ([]Claim, error) {
	if len(runs) == 0 {
		return nil, nil
	}
	in, args := inList(runs)
	rows, err := t.queryPrepared(ctx, "SELECT "+claimColumns+" FROM slot_claims WHERE run IN "+in+" ORDER BY run, pos, scope, name", args...)
	return collect(rows, err, scanClaim)
}

// ClaimOrder is the order in which claims of a slot are looked at.
type ClaimOrder string

// The orders.
const (
	ByPriority ClaimOrder = "priority DESC, run, pos"
	OldestRun  ClaimOrder = "run, pos"
	NewestRun  ClaimOrder = "run DESC, pos"
)

// Claims returns claims of a slot in one of the states: n of them, without the
// first skip.
func (t *Tx) Claims(ctx context.Context, key SlotKey, order ClaimOrder, n, skip int, states ...ClaimState) ([]Claim, error) {
	in, args := "", []any{string(key.Scope), key.Name}
	for i, s := range states {
		if i > 0 {
			in += ", "
		}
		in, args = in+"?", append(args, string(s))
	}
	rows, err := t.queryPrepared(ctx, "SELECT "+claimColumns+" FROM slot_claims WHERE scope = ? AND name = ? AND state IN ("+in+") ORDER BY "+string(order)+" LIMIT ? OFFSET ?",
		append(args, n, skip)...)
	return collect(rows, err, scanClaim)
}

// CountHeld returns how many have a slot.
func (t *Tx) CountHeld(ctx context.Context, key SlotKey) (int, error) {
	n, err := t.number(ctx, "SELECT COUNT(*) FROM slot_claims WHERE scope = ? AND name = ? AND state = 'held'", string(key.Scope), key.Name)
	return int(n), err
}

// RunClaims returns the claims of a run, and SlotHolders who has a slot.
func (s *Store) RunClaims(ctx context.Context, run int64) ([]Claim, error) {
	rows, err := s.query(ctx, "SELECT "+claimColumns+" FROM slot_claims WHERE run = ? ORDER BY pos, scope, name", run)
	return collect(rows, err, scanClaim)
}

// SlotHolders returns who has a slot, at most 100.
func (s *Store) SlotHolders(ctx context.Context, key SlotKey) ([]Claim, error) {
	rows, err := s.query(ctx, "SELECT "+claimColumns+" FROM slot_claims WHERE scope = ? AND name = ? AND state = 'held' ORDER BY run, pos LIMIT 100", string(key.Scope), key.Name)
	return collect(rows, err, scanClaim)
}

func scanClaim(rows *sql.Rows) (Claim, error) {
	var c Claim
	err := rows.Scan(&c.Run, &c.Pos, &c.Scope, &c.Name, &c.Attempt, &c.Priority, &c.State)
	return c, err
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"
)

// RefImage is the kind of the ref of a flow whose files are in a container image.
const RefImage = "image"

// Flow is a row of flows: a registered definition.
type Flow struct {
	ID, Project int64
	Name        string
	Named       bool   // by a person; else the name follows from path and branch
	Path        string // of the file in the repository; "" for the project's pipeline file
	RefKind     string // branch, tag, commit or [RefImage]
	Ref         string // of an image: registry/name:tag
	Pinned      string // the commit of a tag or commit, the digest of an image, when it was registered
	FollowTag   bool   // a moved tag is taken as it is
	Runtime     string // "" for none
	Inputs      map[string]any
	Concurrency int    // runs at the same time; 0 for any
	WhenBusy    string // queue, skip or cancel-old
	Slots       []string
	Priority    int
	Paused      bool
	Archived    time.Time // zero if it is not
	Version     int64
	Actor       string
	Created     time.Time
	Updated     time.Time
}

const flowColumns = `id, project, name, named, path, ref_kind, ref, pinned, follow_tag, runtime, inputs,
	concurrency, when_busy, slots, priority, paused, archived_at, version, actor, created_at, updated_at`

var flowTable = table{name: "flows", key: []string{"id"}, keep: []string{"project", "created_at"},
	columns: []string{"id", "project", "name", "named", "path", "ref_kind", "ref", "pinned", "follow_tag", "runtime", "inputs",
		"concurrency", "when_busy", "slots", "priority", "paused", "archived_at", "version", "actor", "created_at", "updated_at"}}

// PutFlow writes a flow and keeps what it is as a version.
func (t *Tx) PutFlow(ctx context.Context, f Flow) error {
	inputs := ""
	if len(f.Inputs) > 0 {
		text, err := json.Marshal(f.Inputs)
		if err != nil {
			return err
		}
		inputs = string(text)
	}
	err := t.putMany(ctx, &flowTable, [][]any{{f.ID, f.Project, f.Name, bit(f.Named), f.Path, f.RefKind, f.Ref, f.Pinned, bit(f.FollowTag), f.Runtime, inputs,
		f.Concurrency, f.WhenBusy, joinLines(f.Slots), f.Priority, bit(f.Paused), millis(f.Archived), f.Version, f.Actor, millis(f.Created), millis(f.Updated)}})
	if err != nil {
		return err
	}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, "INSERT INTO flow_versions (flow, version, body, actor, created_at) VALUES (?, ?, ?, ?, ?)",
		f.ID, f.Version, string(body), f.Actor, millis(f.Updated))
	return err
}

// RemoveFlow removes a flow with its versions and schedules, and cancels its
// backfills; its runs stay.
func (t *Tx) RemoveFlow(ctx context.Context, id int64) error {
	for _, text := range []string{
		"DELETE FROM flow_versions WHERE flow = ?", "DELETE FROM schedules WHERE flow = ?",
		"UPDATE backfills SET state = 'canceled' WHERE flow = ? AND state = 'running'",
		"UPDATE occurrences SET state = 'canceled' WHERE flow = ? AND state = 'waiting'",
		"DELETE FROM flows WHERE id = ?",
	} {
		if _, err := t.exec(ctx, text, id); err != nil {
			return err
		}
	}
	return nil
}

func scanFlow(rows *sql.Rows) (Flow, error) {
	var f Flow
	var inputs, slots string
	var named, follow, paused int
	var archived, created, updated int64
	err := rows.Scan(&f.ID, &f.Project, &f.Name, &named, &f.Path, &f.RefKind, &f.Ref, &f.Pinned, &follow, &f.Runtime, &inputs,
		&f.Concurrency, &f.WhenBusy, &slots, &f.Priority, &paused, &archived, &f.Version, &f.Actor, &created, &updated)
	if err != nil {
		return f, err
	}
	f.Named, f.FollowTag, f.Paused, f.Slots = named != 0, follow != 0, paused != 0, splitLines(slots)
	f.Archived, f.Created, f.Updated = fromMillis(archived), fromMillis(created), fromMillis(updated)
	if inputs != "" {
		err = json.Unmarshal([]byte(inputs), &f.Inputs)
	}
	return f, err
}

// Flow returns a flow by its id.
func (s *Store) Flow(ctx context.Context, id int64) (Flow, error) {
	rows, err := s.query(ctx, "SELECT "+flowColumns+" FROM flows WHERE id = ?", id)
	return first(rows, err, scanFlow, "no flow %d", id)
}

// FlowFilter says which flows are listed. Zero values do not filter.
type FlowFilter struct {
	Project  int64
	Name     string
	Runtime  string
	Archived bool // those too
}

// Flows lists flows by project and name.
func (s *Store) Flows(ctx context.Context, f FlowFilter) ([]Flow, error) {
	where, args := f.where()
	rows, err := s.query(ctx, "SELECT "+flowColumns+" FROM flows WHERE "+where+" ORDER BY project, name", args...)
	return collect(rows, err, scanFlow)
}

// LastRuns returns the newest run of each flow that has one, by the flow's id.
func (s *Store) LastRuns(ctx context.Context, f FlowFilter) (map[int64]Run, error) {
	where, args := f.where()
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+` FROM runs WHERE id IN
		(SELECT (SELECT MAX(last.id) FROM runs AS last WHERE last.flow = flows.id) FROM flows WHERE `+where+")", args...)
	list, err := collect(rows, err, scanRun)
	byFlow := make(map[int64]Run, len(list))
	for _, r := range list {
		byFlow[r.Flow] = r
	}
	return byFlow, err
}

func (f FlowFilter) where() (text string, args []any) {
	text = "1 = 1"
	add := func(condition string, value any) { text, args = text+" AND "+condition, append(args, value) }
	if f.Project != 0 {
		add("project = ?", f.Project)
	}
	if f.Name != "" {
		add("name = ?", f.Name)
	}
	if f.Runtime != "" {
		add("runtime = ?", f.Runtime)
	}
	if !f.Archived {
		text += " AND archived_at = 0"
	}
	return text, args
}

// FlowVersion is what a flow was.
type FlowVersion struct {
	Version int64
	Flow    Flow
	Actor   string
	Created time.Time
}

// FlowVersions returns the last n versions of a flow, newest first.
func (s *Store) FlowVersions(ctx context.Context, flow int64, n int) ([]FlowVersion, error) {
	rows, err := s.query(ctx, "SELECT version, body, actor, created_at FROM flow_versions WHERE flow = ? ORDER BY version DESC LIMIT ?", flow, n)
	return collect(rows, err, func(rows *sql.Rows) (FlowVersion, error) {
		var v FlowVersion
		var body string
		var created int64
		err := rows.Scan(&v.Version, &body, &v.Actor, &created)
		v.Created = fromMillis(created)
		if err == nil {
			err = json.Unmarshal([]byte(body), &v.Flow)
		}
		return v, err
	})
}

// PutRunFacts keeps what a run's definition was made from.
func (t *Tx) PutRunFacts(ctx context.Context, run int64, body []byte) error {
	_, err := t.exec(ctx, "INSERT INTO run_facts (run, body) VALUES (?, ?)", run, body)
	return err
}

// RunFacts returns what [Tx.PutRunFacts] kept.
func (s *Store) RunFacts(ctx context.Context, run int64) ([]byte, error) {
	rows, err := s.query(ctx, "SELECT body FROM run_facts WHERE run = ?", run)
	return first(rows, err, func(rows *sql.Rows) ([]byte, error) {
		var body []byte
		return body, rows.Scan(&body)
	}, "no run %d", run)
}

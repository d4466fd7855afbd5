package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// maxInputValue bounds the text of an input by which runs can be found: longer ones
// do not fit into an index.
const maxInputValue = 200

var inputTable = table{name: "run_inputs", key: []string{"run", "name"}, columns: []string{"name", "value", "run"}}

// InputText is a value of an input as it is searched for.
func InputText(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// PutRunInputs keeps the inputs of a run, to find the run by them.
func (t *Tx) PutRunInputs(ctx context.Context, run int64, inputs map[string]any) error {
	var rows [][]any
	for name, v := range inputs {
		if text := InputText(v); len(name) <= maxInputValue && len(text) <= maxInputValue && !strings.ContainsRune(name+text, 0) {
			rows = append(rows, []any{name, text, run})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b []any) int { return strings.Compare(a[0].(string), b[0].(string)) })
	return t.putMany(ctx, &inputTable, rows)
}

// RunSearch says which runs are found. Zero values do not filter; all others hold.
type RunSearch struct {
	Project  int64
	Flows    []int64 // any of them; not nil and empty: none
	Ref      string
	Actor    string
	Commit   string // beginning of its name
	Sources  []pipeline.Trigger
	Statuses []pipeline.Status
	Inputs   map[string]string
	Number   int64 // in its project
	Since    time.Time
	Until    time.Time
	Before   int64 // smaller ids only: the cursor
	After    int64 // larger ids only
}

// where are the conditions. The newest runs of most conditions are a range of an index.
func (f RunSearch) where() (string, []any) {
	conditions, args := []string{"parent = 0"}, []any{}
	add := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if f.Project != 0 {
		add("project = ?", f.Project)
	}
	if f.Flows != nil {
		in, ids := inList(f.Flows)
		if len(f.Flows) == 0 {
			in = "(-1)"
		}
		add("flow IN "+in, ids...)
	}
	if f.Ref != "" {
		add("ref = ?", f.Ref)
	}
	if f.Actor != "" {
		add("actor = ?", f.Actor)
	}
	if f.Commit != "" {
		add("sha >= ? AND sha < ?", f.Commit, f.Commit+"g") // after every hexadecimal digit
	}
	if len(f.Sources) > 0 {
		add("source IN ("+marks(len(f.Sources))+")", texts(f.Sources)...)
	}
	if len(f.Statuses) > 0 {
		add("status IN ("+marks(len(f.Statuses))+")", texts(f.Statuses)...)
	}
	if f.Number != 0 {
		add("number = ?", f.Number)
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", millis(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at < ?", millis(f.Until))
	}
	if f.Before != 0 {
		add("id < ?", f.Before)
	}
	if f.After != 0 {
		add("id > ?", f.After)
	}
	names := make([]string, 0, len(f.Inputs))
	for name := range f.Inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		add("id IN (SELECT run FROM run_inputs WHERE name = ? AND value = ?)", name, f.Inputs[name])
	}
	return strings.Join(conditions, " AND "), args
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func texts[T ~string](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// SearchRuns returns the newest runs that are found, n at most.
func (s *Store) SearchRuns(ctx context.Context, f RunSearch, n int) ([]Run, error) {
	where, args := f.where()
	rows, err := s.query(ctx, "SELECT "+strings.Join(runTable.columns, ", ")+" FROM runs WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, min(n, maxPage))...)
	return collect(rows, err, scanRun)
}

// FoundRun is the little of a run that is counted.
type FoundRun struct {
	Created time.Time
	Status  pipeline.Status
}

// CountFound returns the little of the newest runs that are found, most at most.
func (s *Store) CountFound(ctx context.Context, f RunSearch, most int) ([]FoundRun, error) {
	where, args := f.where()
	rows, err := s.query(ctx, "SELECT created_at, status FROM runs WHERE "+where+" ORDER BY id DESC LIMIT ?", append(args, most)...)
	return collect(rows, err, func(rows *sql.Rows) (r FoundRun, err error) {
		var ms int64
		err = rows.Scan(&ms, &r.Status)
		r.Created = fromMillis(ms)
		return r, err
	})
}

// RunAudit returns the newest events about an object, n at most.
func (s *Store) RunAudit(ctx context.Context, object string, n int) ([]AuditEvent, error) {
	rows, err := s.query(ctx, "SELECT id, at, actor, action, project, object, detail FROM audit WHERE object = ? ORDER BY id DESC LIMIT ?", object, n)
	return collect(rows, err, func(rows *sql.Rows) (e AuditEvent, err error) {
		var at int64
		err = rows.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Project, &e.Object, &e.Detail)
		e.At = fromMillis(at)
		return e, err
	})
}

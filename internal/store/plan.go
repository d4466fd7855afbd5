package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"
)

// Plan is a row of plans: a plan of a stack in the artifacts of an attempt.
type Plan struct {
	Attempt, Project, Run int64
	Pos                   int
	Path                  string // in the job's workspace
	Ref                   string // of the run
	Review                bool   // the run is a merge request's
	Digest                string
	Target                string // what it would change: account, region and stack
	PlanFacts
}

// PlanFacts are what is shown of a plan without its file.
type PlanFacts struct {
	Stack       string    `json:"stack"`
	StackName   string    `json:"stackName"`
	Environment string    `json:"environment"`
	Account     string    `json:"account"`
	Region      string    `json:"region"`
	Commit      string    `json:"commit,omitempty"`
	New         bool      `json:"new,omitempty"`
	Empty       bool      `json:"empty,omitempty"`
	Summary     string    `json:"summary"`
	Refusals    []string  `json:"refusals,omitempty"`
	Problem     string    `json:"problem,omitempty"` // why the file cannot be read as a plan
	Created     time.Time `json:"created,omitzero"`
}

const planColumns = "attempt, path, project, run, pos, ref, review, digest, target, body"

var planTable = table{name: "plans", key: []string{"attempt", "path"}, columns: strings.Split(planColumns, ", ")}

// PutPlans writes the plans in the artifacts of attempts.
func (t *Tx) PutPlans(ctx context.Context, list []Plan) error {
	rows := make([][]any, len(list))
	for i, p := range list {
		body, err := json.Marshal(p.PlanFacts)
		if err != nil {
			return err
		}
		rows[i] = []any{p.Attempt, p.Path, p.Project, p.Run, p.Pos, p.Ref, bit(p.Review), p.Digest, p.Target, string(body)}
	}
	return t.putMany(ctx, &planTable, rows)
}

func scanPlan(rows *sql.Rows) (p Plan, err error) {
	var review int
	var body string
	err = rows.Scan(&p.Attempt, &p.Path, &p.Project, &p.Run, &p.Pos, &p.Ref, &review, &p.Digest, &p.Target, &body)
	if err == nil {
		err = json.Unmarshal([]byte(body), &p.PlanFacts)
	}
	p.Review = review != 0
	return p, err
}

// RunPlans returns the plans that the attempts of a run made, in the order of jobs
// and the newest attempt of each first.
func (s *Store) RunPlans(ctx context.Context, run int64) ([]Plan, error) {
	rows, err := s.query(ctx, "SELECT "+planColumns+" FROM plans WHERE run = ? ORDER BY pos, attempt DESC, path", run)
	return collect(rows, err, scanPlan)
}

// PlansByDigest returns the plans whose digest begins with a text, the newest run
// first and n at most; of all projects for project 0.
func (s *Store) PlansByDigest(ctx context.Context, project int64, prefix string, n int) ([]Plan, error) {
	where, args := "digest >= ? AND digest < ?", []any{prefix, prefix + "g"} // digests are hexadecimal
	if project != 0 {
		where, args = where+" AND project = ?", append(args, project)
	}
	rows, err := s.query(ctx, "SELECT "+planColumns+" FROM plans WHERE "+where+" ORDER BY run DESC, attempt DESC, path LIMIT ?", append(args, n)...)
	return collect(rows, err, scanPlan)
}

// LaterPlanRun returns the newest run after that of a plan, of the same ref, that
// planned the same stack; 0 if there is none.
func (s *Store) LaterPlanRun(ctx context.Context, p Plan) (int64, error) {
	return s.count(ctx, "SELECT run FROM plans WHERE project = ? AND target = ? AND run > ? AND ref = ? AND review = ? ORDER BY run DESC LIMIT 1",
		p.Project, p.Target, p.Run, p.Ref, bit(p.Review))
}

// Approval is a row of approvals: somebody had a job deploy reviewed plans.
type Approval struct {
	ID, Project, Run int64
	Pos              int
	Digests          []string
	Actor            string
	Created          time.Time
}

// AddApproval writes an approval.
func (t *Tx) AddApproval(ctx context.Context, a Approval) error {
	_, err := t.exec(ctx, "INSERT INTO approvals (id, project, run, pos, digests, actor, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
		a.ID, a.Project, a.Run, a.Pos, joinLines(a.Digests), a.Actor, millis(a.Created))
	return err
}

// Approvals returns the approvals in a run, the oldest first.
func (s *Store) Approvals(ctx context.Context, run int64) ([]Approval, error) {
	rows, err := s.query(ctx, "SELECT id, project, run, pos, digests, actor, created_at FROM approvals WHERE run = ? ORDER BY id", run)
	return collect(rows, err, func(rows *sql.Rows) (a Approval, err error) {
		var digests string
		var created int64
		err = rows.Scan(&a.ID, &a.Project, &a.Run, &a.Pos, &digests, &a.Actor, &created)
		a.Digests, a.Created = splitLines(digests), fromMillis(created)
		return a, err
	})
}

package store

import (
	"context"
	"database/sql"
	"time"
)

// Environment is a row of environments: where jobs of a project deploy to.
type Environment struct {
	ID, Project int64
	Name        string
	State       EnvironmentState
	URL         string
	Deployment  int64 // the last one
	Created     time.Time
	Updated     time.Time
}

// EnvironmentState says whether something is deployed.
type EnvironmentState string

// The states of environments.
const (
	EnvironmentAvailable EnvironmentState = "available"
	EnvironmentStopped   EnvironmentState = "stopped"
)

// Deployment is a row of deployments: a job that succeeded in an environment.
type Deployment struct {
	ID, Environment, Project int64
	Run                      int64
	Attempt                  int64 // the fence; once in the table
	Job                      string
	Action                   DeploymentAction
	Ref, SHA                 string
	URL                      string
	Plan                     string // digest of the plan that was deployed; "" if none is known
	Actor                    string
	Created                  time.Time
}

// DeploymentAction is what the job did.
type DeploymentAction string

// The actions that are kept.
const (
	DeploymentStart DeploymentAction = "start"
	DeploymentStop  DeploymentAction = "stop"
)

const (
	environmentColumns = "id, project, name, state, url, deployment, created_at, updated_at"
	deploymentColumns  = "id, environment, project, run, attempt, job, action, ref, sha, url, plan, actor, created_at"
)

// Deploy writes what a job did to the environment of a name, which is made with a
// given id if it is new. A deployment of the same attempt is written once.
func (t *Tx) Deploy(ctx context.Context, environment int64, name string, d Deployment) error {
	state := EnvironmentAvailable
	if d.Action == DeploymentStop {
		state = EnvironmentStopped
	}
	row := t.tx.QueryRowContext(ctx, t.s.rebind(`INSERT INTO environments (`+environmentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, name) DO UPDATE SET updated_at = excluded.updated_at RETURNING id`),
		environment, d.Project, name, string(state), d.URL, d.ID, millis(d.Created), millis(d.Created))
	if err := row.Scan(&d.Environment); err != nil {
		return storageError(err)
	}
	added, err := t.changedOne(ctx, `INSERT INTO deployments (`+deploymentColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (attempt) DO NOTHING`,
		d.ID, d.Environment, d.Project, d.Run, d.Attempt, d.Job, string(d.Action), d.Ref, d.SHA, d.URL, d.Plan, d.Actor, millis(d.Created))
	if err != nil || !added {
		return err
	}
	_, err = t.exec(ctx, "UPDATE environments SET state = ?, url = CASE WHEN ? <> '' THEN ? ELSE url END, deployment = ? WHERE id = ?",
		string(state), d.URL, d.URL, d.ID, d.Environment)
	return err
}

func scanEnvironment(rows *sql.Rows) (e Environment, err error) {
	var created, updated int64
	err = rows.Scan(&e.ID, &e.Project, &e.Name, &e.State, &e.URL, &e.Deployment, &created, &updated)
	e.Created, e.Updated = fromMillis(created), fromMillis(updated)
	return e, err
}

func scanDeployment(rows *sql.Rows) (d Deployment, err error) {
	var created int64
	err = rows.Scan(&d.ID, &d.Environment, &d.Project, &d.Run, &d.Attempt, &d.Job, &d.Action, &d.Ref, &d.SHA, &d.URL, &d.Plan, &d.Actor, &created)
	d.Created = fromMillis(created)
	return d, err
}

// Environments returns the environments of a project by name, or of all for 0.
func (s *Store) Environments(ctx context.Context, project int64) ([]Environment, error) {
	rows, err := s.query(ctx, "SELECT "+environmentColumns+" FROM environments WHERE project = ? OR ? = 0 ORDER BY project, name", project, project)
	return collect(rows, err, scanEnvironment)
}

// EnvironmentNamed returns an environment of a project.
func (s *Store) EnvironmentNamed(ctx context.Context, project int64, name string) (Environment, error) {
	rows, err := s.query(ctx, "SELECT "+environmentColumns+" FROM environments WHERE project = ? AND name = ?", project, name)
	return first(rows, err, scanEnvironment, "no environment %q; list them: refline environment list", name)
}

// Deployments returns the last n deployments of an environment with an id below
// before, newest first; before 0 is the end.
func (s *Store) Deployments(ctx context.Context, environment, before int64, n int) ([]Deployment, error) {
	if before == 0 {
		before = 1<<63 - 1
	}
	rows, err := s.query(ctx, "SELECT "+deploymentColumns+" FROM deployments WHERE environment = ? AND id < ? ORDER BY id DESC LIMIT ?", environment, before, min(n, maxPage))
	return collect(rows, err, scanDeployment)
}

// Deployment returns a deployment by its id.
func (s *Store) Deployment(ctx context.Context, id int64) (Deployment, error) {
	rows, err := s.query(ctx, "SELECT "+deploymentColumns+" FROM deployments WHERE id = ?", id)
	return first(rows, err, scanDeployment, "no deployment %d", id)
}

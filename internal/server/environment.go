package server

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/stack/planfile"
	"refline/internal/store"
)

// recordDeployment prepares what the end of an attempt writes if its job deployed to
// an environment or stopped it; nil if it did not. What it returns is called in the
// transaction of the result, so that there is no deployment without its success.
func (s *Server) recordDeployment(ctx context.Context, l store.Lease, r api.JobResult) (func(context.Context, *store.Tx) error, error) {
	if r.Status != pipeline.StatusSuccess {
		return nil, nil
	}
	run, err := s.store.Run(ctx, l.Run)
	if err != nil {
		return nil, err
	}
	compiled, err := s.compiledRun(ctx, run)
	if err != nil || compiled.Pipeline.Jobs[l.Pos].Environment == nil {
		return nil, err // the usual case, on the way of every job
	}
	d := dispatcher{s}
	w, err := d.work(ctx, l.ID)
	if err != nil {
		return nil, err
	}
	action := store.DeploymentStart
	switch w.job.Environment.Action {
	case "", "start":
	case "stop":
		action = store.DeploymentStop
	default:
		return nil, nil // prepare, verify, access: nothing is deployed
	}
	if w.variables, err = s.compileVariables(ctx, w.project); err != nil {
		return nil, err
	}
	dotenv, err := d.dotenv(ctx, w.run, l.Pos)
	if err != nil {
		return nil, err
	}
	below, above := w.facts.JobVariables(w.compiled.Pipeline, w.job, w.variables)
	name, url, err := pipeline.Deployment(w.job, pipeline.JobVariables(w.job, below, append(dotenv, r.Dotenv...), above))
	if err != nil || name == "" {
		return nil, err
	}
	approval, err := s.approved(ctx, w.run.ID, l.Pos)
	if err != nil {
		return nil, err
	}
	actor, plan := cmp.Or(approval.Actor, w.run.Actor), strings.Join(approval.Digests, " ")
	if plan == "" { // a job that nobody had to approve may report what it deployed
		for _, v := range r.Dotenv {
			if v.Name == planfile.ApprovedVariable {
				plan = v.Value
			}
		}
	}
	environments, err := s.store.NewIDs(ctx, "environment", 1)
	if err != nil {
		return nil, err
	}
	ids, err := s.store.NewIDs(ctx, "deployment", 1)
	if err != nil {
		return nil, err
	}
	row := store.Deployment{
		ID: ids[0], Project: w.project.ID, Run: w.run.ID, Attempt: l.ID, Job: w.job.Name, Action: action, Ref: w.run.Ref, SHA: w.run.SHA,
		URL: url, Plan: plan, Actor: actor, Created: s.options.Now().UTC().Truncate(time.Millisecond),
	}
	return func(ctx context.Context, tx *store.Tx) error { return tx.Deploy(ctx, environments[0], name, row) }, nil
}

// ByEnvironment names an environment in the path.
type ByEnvironment struct {
	ByProject
	Environment string `path:"environment" doc:"name of the environment, its slashes as %2F"`
}

func (s *Server) environmentRoutes(a huma.API) {
	op(s, a, "GET /api/v1/environments", need{action: actRead, filtered: true}, "list environments", func(ctx context.Context, in *struct {
		Project string `query:"project"`
	}) (*answer[[]api.Environment], error) {
		list, err := s.listEnvironments(ctx, in.Project)
		return &answer[[]api.Environment]{list}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/environments/{environment}", actRead, "show an environment with its deployments", func(ctx context.Context, in *ByEnvironment) (*answer[api.Environment], error) {
		e, err := s.showEnvironment(ctx, in.Project, in.Environment)
		return &answer[api.Environment]{e}, err
	})
	op(s, a, "POST /api/v1/projects/{project}/environments/{environment}/redeploy", actRun, "run the job of an earlier deployment again", func(ctx context.Context, in *struct {
		ByEnvironment
		Body struct {
			Deployment int64 `json:"deployment" doc:"id; 0 is the one before the last"`
		}
	}) (*answer[api.Run], error) {
		r, err := s.redeploy(ctx, in.Project, in.Environment, in.Body.Deployment)
		return &answer[api.Run]{r}, err
	})
}

func (s *Server) listEnvironments(ctx context.Context, project string) ([]api.Environment, error) {
	only, err := s.listedProject(ctx, project)
	if err != nil {
		return nil, err
	}
	list, err := s.store.Environments(ctx, only)
	if err != nil {
		return nil, err
	}
	names, err := s.projectNames(ctx)
	if err != nil {
		return nil, err
	}
	out := []api.Environment{}
	for _, e := range list {
		w := wireEnvironment(names[e.Project], e)
		last, err := s.store.Deployment(ctx, e.Deployment)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if err == nil {
			d := wireDeployment(last)
			w.Last = &d
		}
		out = append(out, w)
	}
	return out, nil
}

// shownDeployments is how many deployments an environment is shown with.
const shownDeployments = 50

func (s *Server) showEnvironment(ctx context.Context, project, name string) (api.Environment, error) {
	p, err := s.store.ProjectNamed(ctx, project)
	if err != nil {
		return api.Environment{}, err
	}
	e, err := s.store.EnvironmentNamed(ctx, p.ID, name)
	if err != nil {
		return api.Environment{}, err
	}
	out := wireEnvironment(p.Name, e)
	list, err := s.store.Deployments(ctx, e.ID, 0, shownDeployments)
	for _, d := range list {
		out.Deployments = append(out.Deployments, wireDeployment(d))
	}
	if len(out.Deployments) > 0 {
		out.Last = &out.Deployments[0]
	}
	return out, err
}

func wireEnvironment(project string, e store.Environment) api.Environment {
	return api.Environment{Name: e.Name, Project: project, State: string(e.State), URL: e.URL, Updated: e.Updated}
}

func wireDeployment(d store.Deployment) api.Deployment {
	return api.Deployment{
		ID: d.ID, Action: string(d.Action), Run: d.Run, Job: d.Job, Ref: d.Ref, Commit: d.SHA, URL: d.URL, Plan: d.Plan, Actor: d.Actor, Time: d.Created,
	}
}

// redeploy runs the job of a deployment again, in its run and so at its commit.
// Deployment 0 is the last one of another commit than what is deployed now.
func (s *Server) redeploy(ctx context.Context, project, name string, deployment int64) (api.Run, error) {
	e, err := s.showEnvironment(ctx, project, name)
	if err != nil {
		return api.Run{}, err
	}
	var found *api.Deployment
	for i := range e.Deployments {
		d := &e.Deployments[i]
		if d.ID == deployment || deployment == 0 && d.Action == string(store.DeploymentStart) && d.Commit != e.Last.Commit {
			found = d
			break
		}
	}
	switch {
	case found == nil && deployment == 0:
		return api.Run{}, errs.E(errs.NotFound, "environment %s has no deployment of another commit than %.7s", name, e.Last.Commit)
	case found == nil:
		return api.Run{}, errs.E(errs.NotFound, "environment %s has no deployment %d among its last %d; list them: refline environment show %s", name, deployment, shownDeployments, name)
	case found.Action != string(store.DeploymentStart):
		return api.Run{}, errs.E(errs.Invalid, "deployment %d stopped environment %s; choose one that started it", found.ID, name)
	}
	if err := s.act(ctx, found.Run, found.Job, pipeline.EventRetry); err != nil {
		return api.Run{}, err
	}
	return s.showRun(ctx, found.Run)
}

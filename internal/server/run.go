package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

// startRun starts a run of a flow or of a project's pipeline file.
func (s *Server) startRun(ctx context.Context, actor string, in api.RunInput) (api.Run, error) {
	project, err := s.projectFor(ctx, in.Project, "", false)
	if err != nil {
		return api.Run{}, err
	}
	if !Caller(ctx).Sees(project.ID) {
		return api.Run{}, unseen("project", project.Name)
	}
	n := scheduler.Launch{Project: project, Trigger: pipeline.TriggerAPI, Inputs: in.Inputs, Actor: actor, Trust: trustOf(ctx), Key: keyOfRequest(ctx)}
	if in.Ref != "" {
		n.Ref = git.Ref{Kind: git.Kind(cmp.Or(in.RefKind, string(git.KindBranch))), Name: in.Ref}
	}
	for name, value := range in.Variables {
		n.Variables = append(n.Variables, pipeline.Variable{Name: name, Value: value})
	}
	if in.Flow != "" {
		f, err := s.flowNamed(ctx, project, in.Flow)
		if err != nil {
			return api.Run{}, err
		}
		if !f.Archived.IsZero() {
			return api.Run{}, errs.E(errs.Conflict, "flow %s is archived: its branch %s is deleted; register it again", f.Name, f.Ref)
		}
		n.Flow = &f
	}
	run, err := s.launcher.Launch(ctx, n)
	if err != nil {
		return api.Run{}, err
	}
	return s.wireRun(ctx, run)
}

// listRuns returns a page of runs. Its cursor is bound to the filters.
func (s *Server) listRuns(ctx context.Context, f store.RunFilter, filters []string) (api.Runs, error) {
	list, err := s.store.Runs(ctx, f)
	if err != nil {
		return api.Runs{}, err
	}
	page := api.Runs{Runs: make([]api.Run, len(list))}
	names := s.newNames()
	for i, r := range list {
		if page.Runs[i], err = names.run(ctx, r); err != nil {
			return page, err
		}
	}
	if limit := min(cmp.Or(f.Limit, 50), 200); len(list) == limit && limit > 0 {
		page.Next = newCursor(list[len(list)-1].ID, filters...)
	}
	return page, nil
}

// names looks up projects and flows once for a page of runs.
type names struct {
	s        *Server
	projects map[int64]string
	flows    map[int64]string
}

func (s *Server) newNames() *names {
	return &names{s: s, projects: map[int64]string{}, flows: map[int64]string{}}
}

func (n *names) run(ctx context.Context, r store.Run) (api.Run, error) {
	if _, known := n.projects[r.Project]; !known {
		p, err := n.s.store.Project(ctx, r.Project)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return api.Run{}, err
		}
		n.projects[r.Project] = p.Name
	}
	if _, known := n.flows[r.Flow]; !known && r.Flow != 0 {
		f, err := n.s.store.Flow(ctx, r.Flow)
		if err != nil && !errs.Is(err, errs.NotFound) {
			return api.Run{}, err
		}
		n.flows[r.Flow] = f.Name
	}
	return api.Run{
		ID: r.ID, Number: r.Number, Project: n.projects[r.Project], Flow: n.flows[r.Flow], Status: r.Status, Result: r.Result, Stages: r.Stages,
		Trigger: r.Source, Ref: r.Ref, Commit: r.SHA, Actor: r.Actor, Parent: r.Parent, Version: r.Version,
		Created: r.Created, Started: r.Started, Finished: r.Finished,
	}, nil
}

func (s *Server) wireRun(ctx context.Context, r store.Run) (api.Run, error) {
	return s.newNames().run(ctx, r)
}

// showRun returns a run with its jobs, and says why those do not start that wait.
func (s *Server) showRun(ctx context.Context, id int64) (api.Run, error) {
	r, err := s.store.Run(ctx, id)
	if err != nil {
		return api.Run{}, err
	}
	out, err := s.runWithJobs(ctx, r)
	if err != nil {
		return out, err
	}
	if out.Notices, err = s.unsent(ctx, id); err != nil {
		return out, err
	}
	err = s.explain(ctx, r, &out)
	return out, err
}

// runWithJobs returns a run with its jobs.
func (s *Server) runWithJobs(ctx context.Context, r store.Run) (api.Run, error) {
	out, err := s.wireRun(ctx, r)
	if err != nil {
		return out, err
	}
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return out, err
	}
	rows, err := s.store.RunJobs(ctx, r.ID)
	if err != nil {
		return out, err
	}
	out.Jobs = make([]api.Job, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		out.Jobs[i] = api.Job{Name: j.Name, Stage: j.Stage, Status: pipeline.StatusCreated, Manual: j.When == pipeline.WhenManual, AllowFailure: j.AllowFailure,
			When: j.When, DAG: j.DAG, Trigger: j.Downstream != nil}
		if j.Environment != nil {
			out.Jobs[i].Environment = j.Environment.Name
		}
		for _, need := range j.Needs {
			out.Jobs[i].Needs = append(out.Jobs[i].Needs, need.Job)
		}
	}
	for _, row := range rows {
		j := &out.Jobs[row.Pos]
		j.Status, j.Reason, j.ExitCode, j.AllowFailure = row.Status, row.Reason, row.ExitCode, row.AllowFailure
		j.Started, j.Finished = row.Started, row.Finished
		if row.AttemptID != 0 {
			j.Attempt = row.Attempt
		}
	}
	return out, s.addFacts(ctx, r.ID, &out)
}

// addFacts adds what a run keeps of its definition.
func (s *Server) addFacts(ctx context.Context, id int64, out *api.Run) error {
	facts, err := s.runFacts(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	out.Title, _, _ = strings.Cut(facts.Facts.Message, "\n")
	out.Path, out.Tagged = facts.Facts.ConfigPath, facts.Facts.Tag != ""
	return err
}

// explain says why a run or its jobs do not start. Of many jobs only the first
// ones are explained.
func (s *Server) explain(ctx context.Context, r store.Run, out *api.Run) (err error) {
	const most = 20
	if out.Why, err = s.scheduler.Why(ctx, r.ID, -1); err != nil || r.Status.Done() {
		return err
	}
	var waiting []int
	for i := range out.Jobs {
		switch out.Jobs[i].Status {
		case pipeline.StatusPending, pipeline.StatusWaitingForResource, pipeline.StatusScheduled, pipeline.StatusPreparing:
			waiting = append(waiting, i)
		}
	}
	waiting = waiting[:min(most, len(waiting))]
	texts, err := s.scheduler.WhyJobs(ctx, r.ID, waiting)
	for i, text := range texts {
		out.Jobs[waiting[i]].Why = text
	}
	return err
}

// pipelineOf is the compiled pipeline of a run, which is not to be changed.
func (s *Server) pipelineOf(ctx context.Context, r store.Run) (*pipeline.Pipeline, error) {
	c, err := s.compiledRun(ctx, r)
	if err != nil {
		return nil, err
	}
	return c.Pipeline, nil
}

func (s *Server) runFacts(ctx context.Context, id int64) (definition.RunFacts, error) {
	var facts definition.RunFacts
	body, err := s.store.RunFacts(ctx, id)
	if err == nil {
		err = json.Unmarshal(body, &facts)
	}
	return facts, err
}

// waitRun returns a run when its version is above since, or with end when it has
// ended or waits for a person; after hold it returns the run as it is.
func (s *Server) waitRun(ctx context.Context, id, since int64, end bool, hold time.Duration) (api.Run, error) {
	within, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	watch := s.scheduler.Watch(id)
	defer watch.Close()
	for {
		r, err := s.store.Run(ctx, id)
		if err != nil {
			return api.Run{}, err
		}
		ended := !r.Finished.IsZero() || r.Result == pipeline.ResultWaiting
		if within.Err() != nil || ended && r.Version > since || !end && r.Version > since {
			return s.runWithJobs(ctx, r)
		}
		select {
		case <-within.Done():
		case _, ok := <-watch.Ready:
			if !ok {
				return api.Run{}, errs.E(errs.Unavailable, "the server is stopping")
			}
			watch.Take()
		}
	}
}

// mayGoOn refuses to let jobs of a protected run start for somebody who could not
// have started it: they would get the secrets of who did.
func (s *Server) mayGoOn(ctx context.Context, r store.Run) error {
	if !r.Protected {
		return nil
	}
	facts, err := s.runFacts(ctx, r.ID)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	if caller := Caller(ctx); facts.Trust.Level > caller.Level() {
		return withHint(errs.E(errs.Denied, "run %d is of a protected ref, and its jobs get secrets that %s may not use", r.ID, caller),
			"use a token with this scope: refline token create NAME --scope "+string(actDeploy))
	}
	return nil
}

// act applies what a person asks of a run or of one of its jobs.
func (s *Server) act(ctx context.Context, id int64, job string, kind pipeline.EventKind) error {
	return s.actFrom(ctx, id, job, kind, false)
}

// actFrom is act; with fromFailed a retry takes the results of tasks that are kept.
func (s *Server) actFrom(ctx context.Context, id int64, job string, kind pipeline.EventKind, fromFailed bool) error {
	r, err := s.store.Run(ctx, id)
	if err == nil && kind != pipeline.EventCancel {
		err = s.mayGoOn(ctx, r)
	}
	if err != nil {
		return err
	}
	if job != "" {
		pos, j, err := s.findJob(ctx, r, job)
		if err == nil && kind == pipeline.EventRetry {
			err = s.retryable(ctx, r, pos, j)
		}
		if err != nil {
			return err
		}
		job = j.Name
	}
	if kind == pipeline.EventRetry {
		if err := s.retryFrom(ctx, r, job, fromFailed); err != nil {
			return err
		}
	}
	return s.actAndNote(ctx, r, pipeline.Event{Kind: kind, Job: job})
}

// actAndNote applies what a person asks of a run, and keeps who it was.
func (s *Server) actAndNote(ctx context.Context, r store.Run, e pipeline.Event) error {
	if err := s.scheduler.Act(ctx, r.ID, e); err != nil {
		return err
	}
	return s.secrets.change(ctx, func(_ *store.Tx, t *trail) error {
		detail := ""
		if e.Job != "" {
			detail = clip("job " + e.Job)
		}
		t.add(Caller(ctx), "run."+string(e.Kind), r.Project, auditedRun(r.ID), detail)
		return nil
	})
}

// auditedRun is how the audit names a run.
func auditedRun(id int64) string { return fmt.Sprintf("run %d", id) }

// findJob finds a job of a run by its name, or by its base name if that means
// one job.
func (s *Server) findJob(ctx context.Context, r store.Run, name string) (int, *pipeline.Job, error) {
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return 0, nil, err
	}
	var found []int
	for i := range p.Jobs {
		if p.Jobs[i].Name == name {
			return i, &p.Jobs[i], nil
		}
		if p.Jobs[i].Base == name {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], &p.Jobs[found[0]], nil
	case len(found) > 1:
		return 0, nil, errs.E(errs.Invalid, "run %d has %d jobs %q; name one: %s", r.ID, len(found), name, p.Jobs[found[0]].Name)
	}
	return 0, nil, errs.E(errs.NotFound, "run %d has no job %q; list them: refline runs show %d", r.ID, name, r.ID)
}

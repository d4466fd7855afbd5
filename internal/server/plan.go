package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/stack/planfile"
	"refline/internal/store"
)

// play starts a job that waits for a person. If the job takes plans of stacks that
// change something, their digests must be named: so the caller has approved what
// the job will deploy. The approval is kept before the job starts.
func (s *Server) play(ctx context.Context, run int64, job string, digests []string) error {
	r, err := s.store.Run(ctx, run)
	if err == nil {
		err = s.mayGoOn(ctx, r)
	}
	if err != nil {
		return err
	}
	pos, j, err := s.findJob(ctx, r, job)
	if err != nil {
		return err
	}
	plans, err := s.plansFor(ctx, r, pos)
	if err != nil {
		return err
	}
	if len(digests) > 0 && len(plans) == 0 {
		return errs.E(errs.Conflict, "job %s of run %d takes no plan, so there is no digest to approve; it takes those in the artifacts of the jobs that it needs", j.Name, run)
	}
	if !needsApproval(j) && len(digests) == 0 {
		plans = nil
	}
	ready, err := s.startable(ctx, run, pos)
	if err != nil {
		return err
	}
	if len(plans) > 0 && ready {
		if err := s.approve(ctx, r, pos, j, plans, digests); err != nil {
			return err
		}
	}
	return s.actAndNote(ctx, r, pipeline.Event{Kind: pipeline.EventPlay, Job: j.Name})
}

// startable reports whether a job waits for a person, or has ended. If it is
// neither, it cannot be played, whatever is approved.
func (s *Server) startable(ctx context.Context, run int64, pos int) (bool, error) {
	rows, err := s.store.RunJobs(ctx, run)
	for _, row := range rows {
		if row.Pos == pos {
			return row.Status == pipeline.StatusManual || row.Status == pipeline.StatusScheduled || row.Status.Done(), err
		}
	}
	return false, err
}

// retryable reports that a job may run again. A manual job that takes plans needs
// an approval; one that it has holds for its retries.
func (s *Server) retryable(ctx context.Context, r store.Run, pos int, j *pipeline.Job) error {
	if !needsApproval(j) {
		return nil
	}
	plans, err := s.plansFor(ctx, r, pos)
	if err != nil || !slices.ContainsFunc(plans, changesSomething) {
		return err
	}
	approved, err := s.approved(ctx, r.ID, pos)
	if err == nil && len(approved.Digests) == 0 {
		err = needDigest(r.ID, j, plans)
	}
	return err
}

// needsApproval reports whether a job that takes plans deploys them when a person
// starts it. One that ends an environment or only looks at it gets the artifacts
// too, but deploys nothing.
func needsApproval(j *pipeline.Job) bool {
	deploys := j.Environment == nil || j.Environment.Action == "" || j.Environment.Action == "start"
	return j.When == pipeline.WhenManual && deploys
}

func changesSomething(p store.Plan) bool { return !p.Empty || p.Problem != "" }

// plansFor are the plans in the artifacts that a job takes, as its next attempt
// will see them.
func (s *Server) plansFor(ctx context.Context, r store.Run, pos int) ([]store.Plan, error) {
	c, err := s.compiledRun(ctx, r)
	if err != nil {
		return nil, err
	}
	from := c.Graph.ArtifactSources(pos)
	own, err := s.currentPlans(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(own, func(p store.Plan) bool { return !slices.Contains(from.Jobs, p.Pos) })
	if len(from.Parent) == 0 || r.Parent == 0 {
		return out, nil
	}
	parent, err := s.store.Run(ctx, r.Parent)
	if err != nil {
		return nil, err
	}
	p, err := s.pipelineOf(ctx, parent)
	if err != nil {
		return nil, err
	}
	theirs, err := s.currentPlans(ctx, parent.ID)
	if err != nil {
		return nil, err
	}
	theirs = slices.DeleteFunc(theirs, func(plan store.Plan) bool { return !slices.Contains(from.Parent, p.Jobs[plan.Pos].Name) })
	return append(theirs, out...), nil
}

// currentPlans are the plans of the last attempt of each job of a run.
func (s *Server) currentPlans(ctx context.Context, run int64) ([]store.Plan, error) {
	all, err := s.store.RunPlans(ctx, run)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	rows, err := s.store.RunJobs(ctx, run)
	if err != nil {
		return nil, err
	}
	last := map[int]int64{}
	for _, row := range rows {
		last[row.Pos] = row.AttemptID
	}
	return slices.DeleteFunc(all, func(p store.Plan) bool { return last[p.Pos] != p.Attempt }), nil
}

// approve checks that the digests are those of the plans, and that these may be
// deployed, and keeps who approved them.
func (s *Server) approve(ctx context.Context, r store.Run, pos int, j *pipeline.Job, plans []store.Plan, digests []string) error {
	named := 0
	var missing []store.Plan
	for _, p := range plans {
		switch {
		case slices.Contains(digests, p.Digest) && p.Digest != "":
			named++
		case changesSomething(p):
			missing = append(missing, p)
		}
	}
	switch {
	case len(digests) == 0 && len(missing) == 0:
		return nil // nothing would change
	case len(digests) == 0:
		for _, p := range plans {
			if p.Problem != "" {
				return s.deployable(ctx, r, p)
			}
		}
		return needDigest(r.ID, j, plans)
	}
	if err := s.unknownDigest(ctx, r, j, plans, digests); err != nil {
		return err
	}
	if len(missing) > 0 {
		return errs.E(errs.Conflict, "job %s of run %d deploys these plans too: %s; review them, then name all: %s", j.Name, r.ID, planList(missing), playAll(r.ID, j, plans))
	}
	if r.Protected && Caller(ctx).Level() < secret.LevelProtected {
		return errs.E(errs.Denied, "run %d is of a protected ref: to approve its plans needs the scope deploy; make a token: refline token create NAME --scope deploy", r.ID)
	}
	for _, p := range plans {
		if err := s.deployable(ctx, r, p); err != nil {
			return err
		}
	}
	ids, err := s.store.NewIDs(ctx, "approval", 1)
	if err != nil {
		return err
	}
	actor := Caller(ctx)
	return s.secrets.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(actor, "plan.approve", r.Project, fmt.Sprintf("job %s of run %d", j.Name, r.ID), clip(planList(plans)))
		return tx.AddApproval(ctx, store.Approval{ID: ids[0], Project: r.Project, Run: r.ID, Pos: pos, Digests: digests, Actor: actor.String(), Created: t.now})
	})
}

// needDigest is the error of who starts a job without having named its plans.
func needDigest(run int64, j *pipeline.Job, plans []store.Plan) error {
	return errs.E(errs.Conflict, "job %s of run %d deploys %s; review it: refline runs plan %d; then name the plan's digest: %s",
		j.Name, run, planList(plans), run, playAll(run, j, plans))
}

// unknownDigest refuses a digest that is of none of the plans, with what is known
// of it.
func (s *Server) unknownDigest(ctx context.Context, r store.Run, j *pipeline.Job, plans []store.Plan, digests []string) error {
	for _, d := range digests {
		if slices.ContainsFunc(plans, func(p store.Plan) bool { return p.Digest == d && d != "" }) {
			continue
		}
		why := "no plan of this job has the digest " + clip(planfile.Short(d))
		all, err := s.store.RunPlans(ctx, r.ID)
		if err != nil {
			return err
		}
		current, err := s.currentPlans(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, other := range all { // the newest attempt first
			if other.Digest != d || d == "" {
				continue
			}
			why = fmt.Sprintf("the plan %s is of an earlier attempt, which was replaced", clip(planfile.Short(d)))
			if slices.ContainsFunc(current, func(p store.Plan) bool { return p.Attempt == other.Attempt }) {
				why = fmt.Sprintf("the plan %s is of a job whose artifacts this one does not take", clip(planfile.Short(d)))
			}
			break
		}
		return errs.E(errs.Conflict, "%s; job %s of run %d deploys %s; review again: refline runs plan %d", why, j.Name, r.ID, planList(plans), r.ID)
	}
	return nil
}

// deployable refuses a plan that must not be deployed in a run.
func (s *Server) deployable(ctx context.Context, r store.Run, p store.Plan) error {
	switch {
	case p.Problem != "":
		return errs.E(errs.Conflict, "nothing can be approved here: %s; run the job that made it again", p.Problem)
	case p.Empty:
		return nil
	case len(p.Refusals) > 0:
		return errs.E(errs.Denied, "the plan of %s is refused: %s", p.StackName, strings.Join(p.Refusals, "; "))
	case p.Commit != r.SHA:
		return errs.E(errs.Conflict, "the plan of %s names commit %q, but run %d is of %.12s; plan in this run", p.StackName, fmt.Sprintf("%.12s", p.Commit), r.ID, r.SHA)
	}
	later, err := s.store.LaterPlanRun(ctx, p)
	if err != nil {
		return err
	}
	if later != 0 {
		return errs.E(errs.Conflict, "the plan %s of %s is outdated: run %d planned it again; review that: refline runs plan %d", planfile.Short(p.Digest), p.StackName, later, later)
	}
	return nil
}

// approved is the last approval of plans for a job; it has no digests if there is none.
func (s *Server) approved(ctx context.Context, run int64, pos int) (store.Approval, error) {
	list, err := s.store.Approvals(ctx, run)
	var out store.Approval
	for _, a := range list {
		if a.Pos == pos {
			out = a
		}
	}
	return out, err
}

package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/stack/planfile"
	"refline/internal/store"
)

// wirePlans lists the plans of a run's last attempts.
func (s *Server) wirePlans(ctx context.Context, run int64) ([]api.Plan, error) {
	out := []api.Plan{}
	r, err := s.store.Run(ctx, run)
	if err != nil {
		return out, err
	}
	list, err := s.currentPlans(ctx, run)
	if err != nil || len(list) == 0 {
		return out, err
	}
	return s.describePlans(ctx, r, list, list)
}

// describePlans says of plans of a run what a caller needs to know; current are those
// of the last attempts.
func (s *Server) describePlans(ctx context.Context, r store.Run, list, current []store.Plan) ([]api.Plan, error) {
	out := []api.Plan{}
	c, err := s.compiledRun(ctx, r)
	if err != nil {
		return out, err
	}
	jobs := c.Pipeline.Jobs
	approvals, err := s.store.Approvals(ctx, r.ID)
	if err != nil {
		return out, err
	}
	for _, plan := range list {
		w := api.Plan{
			Run: r.ID, Job: jobs[plan.Pos].Name, Path: plan.Path, Digest: plan.Digest, Stack: plan.Stack, StackName: plan.StackName,
			Environment: plan.Environment, Account: plan.Account, Region: plan.Region, Commit: plan.Commit, New: plan.New, Empty: plan.Empty,
			Summary: plan.Summary, Refusals: plan.Refusals, Problem: plan.Problem, Created: plan.Created,
		}
		for i := range jobs {
			if needsApproval(&jobs[i]) && slices.Contains(c.Graph.ArtifactSources(i).Jobs, plan.Pos) {
				w.DeployJobs = append(w.DeployJobs, jobs[i].Name)
			}
		}
		if plan.Target != "" {
			if w.ReplacedBy, err = s.store.LaterPlanRun(ctx, plan); err != nil {
				return out, err
			}
		}
		w.Void = void(r, plan, w.ReplacedBy, slices.ContainsFunc(current, func(p store.Plan) bool { return p.Attempt == plan.Attempt }))
		for _, a := range approvals {
			if plan.Digest != "" && slices.Contains(a.Digests, plan.Digest) {
				w.Approvals = append(w.Approvals, api.PlanApproval{Job: jobs[a.Pos].Name, Actor: a.Actor, At: a.Created})
			}
		}
		out = append(out, w)
	}
	return out, nil
}

// void says why a plan cannot be approved any more; "" if it can be.
func void(r store.Run, p store.Plan, later int64, current bool) string {
	switch {
	case p.Problem != "":
		return ""
	case !current:
		return fmt.Sprintf("its job ran again and planned %s anew", p.StackName)
	case p.Empty:
		return ""
	case p.Commit != r.SHA:
		return fmt.Sprintf("it names commit %.12s, but run %d is of %.12s", cmp.Or(p.Commit, "none"), r.ID, r.SHA)
	case later != 0:
		return fmt.Sprintf("run %d planned %s again", later, p.StackName)
	}
	return ""
}

// findPlans lists plans by the begin of their digest.
func (s *Server) findPlans(ctx context.Context, digest string) ([]api.Plan, error) {
	out := []api.Plan{}
	found, err := s.store.PlansByDigest(ctx, Caller(ctx).Project, "sha256:"+strings.TrimPrefix(strings.ToLower(digest), "sha256:"), mostFoundPlans)
	if err != nil {
		return out, err
	}
	for _, plan := range found {
		r, err := s.store.Run(ctx, plan.Run)
		if err != nil {
			return out, err
		}
		current, err := s.currentPlans(ctx, r.ID)
		if err != nil {
			return out, err
		}
		described, err := s.describePlans(ctx, r, []store.Plan{plan}, current)
		if err != nil {
			return out, err
		}
		out = append(out, described...)
	}
	return out, nil
}

const mostFoundPlans = 10

// servePlan sends the file of a plan.
func (s *Server) servePlan(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	if err != nil {
		return errs.E(errs.Invalid, "%q is not the id of a run", r.PathValue("run"))
	}
	body, err := s.openPlan(r.Context(), id, r.PathValue("digest"))
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.Copy(w, body)
	return nil
}

// openPlan opens the file of a plan of a run.
func (s *Server) openPlan(ctx context.Context, run int64, digest string) (io.ReadCloser, error) {
	list, err := s.store.RunPlans(ctx, run)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		if p.Digest != digest || digest == "" {
			continue
		}
		a, err := s.store.Artifacts(ctx, p.Attempt)
		if errs.Is(err, errs.NotFound) {
			return nil, errs.E(errs.NotFound, "the artifacts with the plan of %s in run %d have expired; plan again", p.StackName, run)
		}
		if err != nil {
			return nil, err
		}
		return s.files.archive(a.Content).OpenFile(ctx, p.Path)
	}
	return nil, errs.E(errs.NotFound, "run %d has no plan %s; list them: refline runs show %d", run, planfile.Short(digest), run)
}

// planList names plans in an error: "landing-dev (sha256:9c1f0a…, 6 added)".
func planList(plans []store.Plan) string {
	var words []string
	for i, p := range plans {
		if i == 5 {
			words = append(words, fmt.Sprintf("%d more", len(plans)-i))
			break
		}
		switch {
		case p.Problem != "":
			words = append(words, fmt.Sprintf("%s (not readable as a plan)", p.Path))
		default:
			words = append(words, fmt.Sprintf("%s (%s, %s)", p.StackName, planfile.Short(p.Digest), p.Summary))
		}
	}
	return strings.Join(words, " and ")
}

// playAll is the command that approves plans.
func playAll(run int64, j *pipeline.Job, plans []store.Plan) string {
	text := fmt.Sprintf("refline runs play %d %s", run, commandWord(j.Name))
	for i, p := range plans {
		if i == 5 {
			return text + " …"
		}
		if changesSomething(p) && p.Digest != "" {
			text += " --digest " + p.Digest
		}
	}
	return text
}

// commandWord quotes a name in a command that an error shows, if need be.
func commandWord(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./@%+", r)
	}
	if strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

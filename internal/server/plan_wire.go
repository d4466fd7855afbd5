package server

import (
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
	p, err := s.pipelineOf(ctx, r)
	if err != nil {
		return out, err
	}
	approvals, err := s.store.Approvals(ctx, run)
	if err != nil {
		return out, err
	}
	for _, plan := range list {
		w := api.Plan{
			Run: run, Job: p.Jobs[plan.Pos].Name, Path: plan.Path, Digest: plan.Digest, Stack: plan.Stack, StackName: plan.StackName,
			Environment: plan.Environment, Account: plan.Account, Region: plan.Region, Commit: plan.Commit, New: plan.New, Empty: plan.Empty,
			Summary: plan.Summary, Refusals: plan.Refusals, Problem: plan.Problem, Created: plan.Created,
		}
		if plan.Target != "" {
			if w.ReplacedBy, err = s.store.LaterPlanRun(ctx, plan); err != nil {
				return out, err
			}
		}
		for _, a := range approvals {
			if plan.Digest != "" && slices.Contains(a.Digests, plan.Digest) {
				w.Approvals = append(w.Approvals, api.PlanApproval{Job: p.Jobs[a.Pos].Name, Actor: a.Actor, At: a.Created})
			}
		}
		out = append(out, w)
	}
	return out, nil
}

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

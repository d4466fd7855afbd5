package server

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	"refline/internal/artifact"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/stack/planfile"
	"refline/internal/store"
)

const (
	maxPlans    = 200      // in the artifacts of one job
	maxPlanFile = 16 << 20 // bytes
	maxPlanWord = 500      // characters of a text of a plan that is shown
)

// plansIn reads the plans of stacks in the artifacts of an attempt. A file with the
// name of a plan that is something else is none.
func plansIn(ctx context.Context, archive *artifact.Archive, run store.Run, attempt int64, pos int) ([]store.Plan, error) {
	files, err := archive.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []store.Plan
	for _, f := range files {
		if !strings.HasSuffix(f.Path, planfile.Suffix) || !f.Mode.IsRegular() {
			continue
		}
		if len(out) == maxPlans {
			return nil, errs.E(errs.Invalid, "the artifacts hold more than %d plans", maxPlans)
		}
		p := store.Plan{
			Attempt: attempt, Project: run.Project, Run: run.ID, Pos: pos, Path: f.Path,
			Ref: run.Ref, Review: run.Source == pipeline.TriggerMergeRequest,
		}
		is := true
		if f.Size > maxPlanFile {
			p.Problem = clip(f.Path) + " is larger than 16 MiB, which a server does not read as a plan"
		} else if is, err = readPlan(ctx, archive, f.Path, &p); err != nil {
			return nil, err
		}
		if is {
			out = append(out, p)
		}
	}
	return out, nil
}

// readPlan reads a plan file and reports whether it is one.
func readPlan(ctx context.Context, archive *artifact.Archive, path string, p *store.Plan) (bool, error) {
	body, err := archive.OpenFile(ctx, path)
	if err != nil {
		return false, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxPlanFile+1))
	if err != nil {
		return false, err
	}
	plan, err := planfile.Decode(path, text)
	if err != nil {
		// Other programs have files of this name too. What names a stack and a digest
		// is meant as a plan: it was changed, or another version of refline wrote it.
		var head struct{ StackName, Digest string }
		if json.Unmarshal(text, &head) != nil || head.StackName == "" || head.Digest == "" {
			return false, nil
		}
		p.StackName, p.Problem = clip(head.StackName), clip(err.Error())
		return true, nil
	}
	p.Digest = plan.Digest
	p.Target = clip(plan.Account) + "/" + clip(plan.Region) + "/" + clip(plan.StackName)
	p.PlanFacts = store.PlanFacts{
		Stack: clip(plan.Stack), StackName: clip(plan.StackName), Environment: clip(plan.Environment),
		Account: clip(plan.Account), Region: clip(plan.Region), Commit: clip(plan.Origin.Commit),
		New: plan.New, Empty: plan.Empty, Summary: plan.Summary(), Created: plan.Created,
	}
	for _, r := range plan.Refusals[:min(len(plan.Refusals), 20)] {
		p.Refusals = append(p.Refusals, clip(r.Message))
	}
	return true, nil
}

// clip bounds a text of somebody else that is kept.
func clip(s string) string {
	s = planfile.Plain(s)
	if len(s) > maxPlanWord {
		s = strings.ToValidUTF8(s[:maxPlanWord], "") + "…"
	}
	return s
}

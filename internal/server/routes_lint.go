package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
)

const (
	lintTime     = 30 * time.Second
	lintsAtOnce  = 2
	branchMost   = 200
	branchLatest = 200 // newest runs that say which branches are shown first
)

// lintRoutes read a project's repository at any ref.
func (s *Server) lintRoutes(a huma.API) {
	s.lints = make(chan struct{}, lintsAtOnce)
	op(s, a, "GET /api/v1/projects/{project}/lint", actRead, "find all mistakes of a pipeline file at a ref", func(ctx context.Context, in *struct {
		ByProject
		Ref  string `query:"ref" maxLength:"300" doc:"a branch, a tag or a commit; by default the default branch"`
		File string `query:"file" maxLength:"1000" doc:"by default the project's pipeline file"`
	}) (*answer[api.Lint], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		l, err := s.lint(ctx, p, in.Ref, in.File)
		return &answer[api.Lint]{l}, err
	})
	op(s, a, "GET /api/v1/projects/{project}/branches", actRead, "list a project's branches with their last pipeline", func(ctx context.Context, in *ByProject) (*answer[api.Branches], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		b, err := s.branches(ctx, p)
		return &answer[api.Branches]{b}, err
	})
}

// lint compiles the pipeline of a ref, without any protected or masked variable, and
// makes no run. Few are made at once and each has a limit of time: it may fetch.
func (s *Server) lint(ctx context.Context, p store.Project, ref, file string) (api.Lint, error) {
	out := api.Lint{Jobs: []string{}, Findings: []api.Finding{}, File: cmp.Or(cleanPath(file), p.File)}
	select {
	case s.lints <- struct{}{}:
		defer func() { <-s.lints }()
	default:
		return out, errs.E(errs.Unavailable, "%d pipelines are being checked already; try again in a few seconds", lintsAtOnce)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lintTime, errs.E(errs.Unavailable, "the check took longer than %s; run it where the repository is: refline lint", lintTime))
	defer cancel()
	n := scheduler.Launch{Project: p, File: out.File, Trigger: pipeline.TriggerWeb}
	var err error
	if ref = strings.TrimSpace(ref); ref != "" {
		if n.Ref, err = s.refNamed(ctx, p, ref); err != nil {
			return out, timedOut(ctx, err)
		}
	}
	found, err := s.launcher.Compile(ctx, n, 0)
	var failure *diag.Failure
	if errors.As(err, &failure) { // Jsonnet that does not evaluate
		out.RefKind, out.Ref, out.Findings = string(n.Ref.Kind), n.Ref.Name, api.Findings(failure.Findings)
		return out, nil
	}
	if err != nil {
		return out, timedOut(ctx, err)
	}
	d := found.Definition
	out.RefKind, out.Ref, out.Commit = string(found.Commit.Kind), cmp.Or(found.Commit.Name, found.Commit.Commit), found.Commit.Commit
	// Inputs without a value come with each run.
	list := slices.DeleteFunc(slices.Clone(d.Findings), func(f diag.Finding) bool { return f.Rule == "missing-input" })
	out.File, out.Findings = d.File, api.Findings(list)
	if d.Pipeline == nil {
		return out, nil
	}
	for _, j := range d.Pipeline.Jobs {
		out.Jobs = append(out.Jobs, j.Name)
	}
	return out, nil
}

func timedOut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// branches are those of the last look, those with the newest runs first.
func (s *Server) branches(ctx context.Context, p store.Project) (api.Branches, error) {
	out := api.Branches{Branches: []api.Branch{}}
	refs, err := s.store.Refs(ctx, p.ID)
	if err != nil {
		return out, err
	}
	newest, err := s.store.Runs(ctx, store.RunFilter{Project: p.ID, Limit: branchLatest})
	if err != nil {
		return out, err
	}
	latest := map[string]int64{}
	for _, r := range newest {
		if r.Flow == 0 && r.Parent == 0 {
			latest[r.Ref] = max(latest[r.Ref], r.ID)
		}
	}
	for ref, commit := range refs {
		if name, is := strings.CutPrefix(ref, "refs/heads/"); is {
			out.Branches = append(out.Branches, api.Branch{Name: name, Commit: commit})
		}
	}
	slices.SortFunc(out.Branches, func(a, b api.Branch) int {
		return cmp.Or(cmp.Compare(latest[b.Name], latest[a.Name]), strings.Compare(a.Name, b.Name))
	})
	out.Total = len(out.Branches)
	out.Branches = out.Branches[:min(len(out.Branches), branchMost)]
	names := s.newNames()
	for i := range out.Branches {
		runs, err := s.store.LineRuns(ctx, store.RunLine{Project: p.ID, Ref: out.Branches[i].Name}, 1)
		if err != nil {
			return out, err
		}
		for _, r := range runs {
			w, err := names.run(ctx, r)
			if err != nil {
				return out, err
			}
			out.Branches[i].Last = &w
		}
	}
	return out, nil
}

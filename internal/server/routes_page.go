package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
)

// overviewRoutes are what the first page shows.
func (s *Server) overviewRoutes(a huma.API) {
	op(s, a, "GET /api/v1/overview", need{action: actRead, filtered: true}, "show what waits, what is red and what goes on", func(ctx context.Context, in *struct {
		Project string `query:"project"`
	}) (*answer[api.Overview], error) {
		project, err := s.listedProject(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		out, err := s.overview(ctx, project, in.Project)
		return &answer[api.Overview]{out}, err
	})
	op(s, a, "GET /api/v1/waiting", need{action: actRead, filtered: true}, "list what waits for a person", func(ctx context.Context, in *struct {
		Project string `query:"project"`
		Count   bool   `query:"count" doc:"count only"`
	}) (*answer[api.Waiting], error) {
		project, err := s.listedProject(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		ask := s.waiting
		if in.Count {
			ask = s.countWaiting
		}
		out, err := ask(ctx, project, in.Project)
		return &answer[api.Waiting]{out}, err
	})
}

// detailRoutes are what the page of a run shows.
func (s *Server) detailRoutes(a huma.API) {
	op(s, a, "GET /api/v1/runs/{run}/detail", actRead, "show all that explains a run", func(ctx context.Context, in *ByRun) (*answer[api.RunDetail], error) {
		out, err := s.runDetail(ctx, in.Run)
		return &answer[api.RunDetail]{out}, err
	})
	op(s, a, "GET /api/v1/plans", need{action: actRead, filtered: true}, "find plans of stacks by their digest", func(ctx context.Context, in *struct {
		Digest string `query:"digest" required:"true" minLength:"6" maxLength:"80" doc:"its begin: 6 characters or more; sha256: may be left out"`
	}) (*answer[[]api.Plan], error) {
		list, err := s.findPlans(ctx, in.Digest)
		return &answer[[]api.Plan]{list}, err
	})
}

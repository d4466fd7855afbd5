package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
)

// ByRunner names a runner in the path.
type ByRunner struct {
	Runner string `path:"runner" doc:"name of the runner"`
}

func (s *Server) statusRoutes(a huma.API) {
	op(s, a, "GET /api/v1/status", actRead, "show how the server does", func(ctx context.Context, _ *struct{}) (*answer[api.Status], error) {
		out, err := s.status(ctx)
		return &answer[api.Status]{out}, err
	})
	op(s, a, "POST /api/v1/check", actAdmin, "verify the state of the server", func(ctx context.Context, _ *struct{}) (*answer[api.Check], error) {
		broken, err := s.store.Check(ctx)
		if broken == nil {
			broken = []string{}
		}
		return &answer[api.Check]{api.Check{Broken: broken}}, err
	})
	op(s, a, "GET /api/v1/runners", actRead, "list runners", func(ctx context.Context, _ *struct{}) (*answer[[]api.Runner], error) {
		list, err := s.listRunners(ctx)
		return &answer[[]api.Runner]{list}, err
	})
	op(s, a, "GET /api/v1/runners/{runner}", actRead, "show a runner", func(ctx context.Context, in *ByRunner) (*answer[api.Runner], error) {
		r, err := s.showRunner(ctx, in.Runner)
		return &answer[api.Runner]{r}, err
	})
	op(s, a, "POST /api/v1/runners/{runner}/drain", actAdmin, "say whether a runner takes more jobs", func(ctx context.Context, in *struct {
		ByRunner
		Body struct {
			On bool `json:"on"`
		}
	}) (*answer[api.Runner], error) {
		r, err := s.drainRunner(ctx, in.Runner, in.Body.On)
		return &answer[api.Runner]{r}, err
	})
	op(s, a, "DELETE /api/v1/runners/{runner}", actAdmin, "remove a runner with its token", func(ctx context.Context, in *struct {
		ByRunner
		Force bool `query:"force" doc:"also if it is online: its jobs fail"`
	}) (*struct{}, error) {
		return nil, s.removeRunner(ctx, in.Runner, in.Force)
	})
}

package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
)

func (s *Server) inputRoutes(a huma.API) {
	op(s, a, "GET /api/v1/projects/{project}/flows/{flow}/inputs", actRead, "show what a flow takes at a ref", func(ctx context.Context, in *struct {
		ByFlow
		RefKind string `query:"ref_kind" enum:"branch,tag,commit" doc:"absent: a branch, else a tag, else a commit of this name"`
		Ref     string `query:"ref" maxLength:"300" doc:"instead of the flow's"`
	}) (*answer[api.FlowInputs], error) {
		p, f, err := s.findFlow(ctx, in.Project, in.Flow)
		if err != nil {
			return nil, err
		}
		out, err := s.flowInputs(ctx, p, f, in.RefKind, in.Ref)
		return &answer[api.FlowInputs]{out}, err
	})
}

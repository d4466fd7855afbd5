package server

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"refline/internal/api"
	"refline/internal/store"
)

func (s *Server) retentionRoutes(a huma.API) {
	op(s, a, "PUT /api/v1/projects/{project}/retention", actWrite, "say how long the runs of a project are kept", func(ctx context.Context, in *struct {
		ByProject
		Body api.Retention
	}) (*answer[api.Retention], error) {
		p, err := s.store.ProjectNamed(ctx, in.Project)
		if err != nil {
			return nil, err
		}
		keep := store.Retention{Project: p.ID, Age: time.Duration(in.Body.Seconds) * time.Second, Count: in.Body.Runs, KeepLastGood: in.Body.LastGood}
		err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRetention(ctx, keep) })
		return &answer[api.Retention]{in.Body}, err
	})
}

// wireRetention returns how long the runs of a project are kept; nil for ever.
func (s *Server) wireRetention(ctx context.Context, project int64) (*api.Retention, error) {
	list, err := s.store.Retentions(ctx)
	for _, r := range list {
		if r.Project == project && (r.Age > 0 || r.Count > 0) {
			return &api.Retention{Seconds: int64(r.Age / time.Second), Runs: r.Count, LastGood: r.KeepLastGood}, err
		}
	}
	return nil, err
}

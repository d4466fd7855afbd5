package server

import (
	"context"
	"strconv"

	"refline/internal/errs"
)

// projectFinders say which parameters of paths name something of a project.
func (s *Server) projectFinders() projectFinders {
	return projectFinders{
		"project": func(ctx context.Context, name string) (int64, error) {
			p, err := s.store.ProjectNamed(ctx, name)
			return p.ID, err
		},
		"run": func(ctx context.Context, value string) (int64, error) {
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, errs.E(errs.Invalid, "%q is not the id of a run", value)
			}
			r, err := s.store.Run(ctx, id)
			return r.Project, err
		},
	}
}

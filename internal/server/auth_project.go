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
		"schedule": func(ctx context.Context, value string) (int64, error) {
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, errs.E(errs.Invalid, "%q is not the id of a schedule", value)
			}
			n, err := s.store.Schedule(ctx, id)
			if err != nil {
				return 0, err
			}
			return s.projectOfFlow(ctx, n.Flow)
		},
		"approval": s.projectOfApproval,
		"backfill": func(ctx context.Context, value string) (int64, error) {
			id, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, errs.E(errs.Invalid, "%q is not the id of a backfill", value)
			}
			b, err := s.store.Backfill(ctx, id)
			if err != nil {
				return 0, err
			}
			return s.projectOfFlow(ctx, b.Flow)
		},
	}
}

// listedProject is the project that a list is limited to: the one that is asked
// for, else the only one that the caller sees, else 0 for all.
func (s *Server) listedProject(ctx context.Context, name string) (int64, error) {
	only := Caller(ctx).Project
	if name == "" {
		return only, nil
	}
	p, err := s.store.ProjectNamed(ctx, name)
	if only != 0 && (errs.Is(err, errs.NotFound) || err == nil && p.ID != only) {
		return 0, unseen("project", name)
	}
	return p.ID, err
}

// unseen is the answer for what a token of one project does not see. It is the same
// for what is not there.
func unseen(what, name string) error {
	return errs.E(errs.NotFound, "no %s %q that this token can see: it is for one project only", what, name)
}

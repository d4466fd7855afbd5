package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

// listRunners returns the runners, online or not, with what they run.
func (s *Server) listRunners(ctx context.Context) ([]api.Runner, error) {
	list, err := s.store.Runners(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := s.store.OpenSessions(ctx)
	if err != nil {
		return nil, err
	}
	seen, err := s.store.LastSeen(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]api.Runner, len(list))
	for i, r := range list {
		out[i] = api.Runner{
			ID: r.ID, Name: r.Name, Tags: r.Tags, Protected: r.Protected, Draining: r.Draining, Version: r.Version, System: r.System, Executors: r.Executors, Seen: laterOf(r.Seen, seen[r.ID]),
		}
		for _, session := range sessions {
			if session.Runner != r.ID {
				continue
			}
			out[i].Online, out[i].Seen, out[i].Tags = true, s.options.Now(), session.Tags
			out[i].Draining = out[i].Draining || session.Draining
			jobs, err := s.sessionJobs(ctx, session.ID)
			if err != nil {
				return nil, err
			}
			out[i].Jobs = append(out[i].Jobs, jobs...)
		}
	}
	return out, nil
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sessionJobs names the jobs that a session runs.
func (s *Server) sessionJobs(ctx context.Context, session int64) ([]string, error) {
	open, err := s.store.SessionLeases(ctx, session)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range open {
		r, err := s.store.Run(ctx, a.Run)
		if err != nil {
			return nil, err
		}
		c, err := s.compiledRun(ctx, r)
		if err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("run %d, %s", a.Run, c.Pipeline.Jobs[a.Pos].Name))
	}
	return names, nil
}

func (s *Server) showRunner(ctx context.Context, name string) (api.Runner, error) {
	list, err := s.listRunners(ctx)
	if err != nil {
		return api.Runner{}, err
	}
	for _, r := range list {
		if r.Name == name {
			return r, nil
		}
	}
	return api.Runner{}, errs.E(errs.NotFound, "no runner %q; list them: refline runner list", name)
}

// drainRunner says whether a runner takes more jobs; it holds for its later
// sessions too.
func (s *Server) drainRunner(ctx context.Context, name string, on bool) (api.Runner, error) {
	r, err := s.store.RunnerNamed(ctx, name)
	if err != nil {
		return api.Runner{}, err
	}
	r.Draining = on
	if err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRunner(ctx, r) }); err != nil {
		return api.Runner{}, err
	}
	sessions, err := s.store.OpenSessions(ctx)
	if err != nil {
		return api.Runner{}, err
	}
	for _, session := range sessions {
		if session.Runner == r.ID {
			if err := s.scheduler.Drain(ctx, session.ID, on); err != nil && !errs.Is(err, errs.NotFound) {
				return api.Runner{}, err
			}
		}
	}
	return s.showRunner(ctx, name)
}

// removeRunner removes a runner and revokes its token. One that is online is
// refused unless force is set.
func (s *Server) removeRunner(ctx context.Context, name string, force bool) error {
	r, err := s.showRunner(ctx, name)
	if err != nil {
		return err
	}
	if r.Online && !force {
		return errs.E(errs.Conflict, "runner %s is online; stop it first, or end its jobs (%s) with --force", name, orNone(r.Jobs))
	}
	if err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.RevokeRunnerTokens(ctx, r.ID, s.options.Now()); err != nil {
			return err
		}
		return tx.RemoveRunner(ctx, r.ID)
	}); err != nil {
		return err
	}
	sessions, err := s.store.OpenSessions(ctx)
	if err != nil {
		return err
	}
	for _, session := range sessions {
		if session.Runner == r.ID {
			if err := s.scheduler.EndSession(ctx, session.ID); err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
		}
	}
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none now"
	}
	return strings.Join(list, "; ")
}

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/scheduler"
	"refline/internal/secret"
	"refline/internal/store"
)

// Bounds of the loops below: how long they sleep at least and at most. The most is
// how late they notice what another server of the database did.
const (
	shortestSleep = time.Second
	longestSleep  = 30 * time.Second
)

// openLooks prepares what looks at the refs of projects.
func (s *Server) openLooks() {
	s.looker = &scheduler.Looker{Store: s.store, Remote: s.remote, Apply: s.applyLook, Launch: s.launchWanted, Now: s.options.Now}
	s.looks = scheduler.NewLookQueue(s.look)
	s.polls, s.wanted = make(chan struct{}, 1), make(chan struct{}, 1)
}

// wakeUp ends the sleep of a loop.
func wakeUp(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}

// rest sleeps until a time, zero for none, or until the loop is woken up.
func (s *Server) rest(ctx context.Context, loop <-chan struct{}, until time.Time) {
	wait := longestSleep
	if !until.IsZero() {
		wait = min(max(until.Sub(s.options.Now()), shortestSleep), longestSleep)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-loop:
	case <-timer.C:
	}
}

// lookAround asks for the looks that are due, until ctx is done; at its begin also
// for those at projects whose deliveries wait since before this start.
func (s *Server) lookAround(ctx context.Context) {
	waiting, err := s.store.WaitingProjects(ctx)
	if err != nil && ctx.Err() == nil {
		s.options.Log.Error("read which deliveries wait", "error", err)
	}
	for _, project := range waiting {
		s.looks.Ask(project)
	}
	for ctx.Err() == nil {
		due, err := s.store.DueLooks(ctx, s.options.Now(), 100)
		var next time.Time
		if err == nil {
			for _, l := range due {
				s.looks.Ask(l.Project)
			}
			next, err = s.store.NextLook(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("read which repositories are due to be looked at", "error", err)
		}
		s.rest(ctx, s.polls, next)
	}
}

// launchRuns makes the runs that looks decided on, until ctx is done.
func (s *Server) launchRuns(ctx context.Context) {
	for ctx.Err() == nil {
		next, err := s.looker.LaunchDue(ctx)
		if err != nil && ctx.Err() == nil {
			s.options.Log.Error("make the runs of pushes", "error", err)
		}
		s.rest(ctx, s.wanted, next)
	}
}

// look looks at a project once. What goes wrong is kept with the project, and the
// look is repeated.
func (s *Server) look(ctx context.Context, project int64) {
	p, err := s.store.Project(ctx, project)
	if errs.Is(err, errs.NotFound) { // removed while a look was wanted
		err = s.store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveProjectHooks(ctx, project) })
	} else if err == nil {
		err = s.lookAt(ctx, p)
	}
	if err != nil && ctx.Err() == nil {
		s.options.Log.Warn("look at a repository", "project", project, "error", err)
	}
	wakeUp(s.polls)
}

func (s *Server) lookAt(ctx context.Context, p store.Project) error {
	triggers, err := s.store.Triggers(ctx, p.ID)
	if err != nil {
		return err
	}
	last, err := s.store.LookOf(ctx, p.ID)
	if err != nil {
		return err
	}
	slow := len(triggers) > 0 && !last.Looked.IsZero() && !s.options.Now().Before(last.Next)
	result, err := s.looker.Look(ctx, p, repositoryPath(p.URL), len(triggers) > 0)
	if err != nil {
		return err
	}
	if slow && len(result.Unsaid) > 0 {
		s.options.Log.Warn("the webhook did not report what changed: see its deliveries at the forge, and refline project hook "+p.Name+" --deliveries",
			"project", p.Name, slog.Any("refs", result.Unsaid[:min(len(result.Unsaid), 10)]))
	}
	if len(result.Wanted) > 0 {
		s.wantApprovals(ctx, p, result.Wanted)
		wakeUp(s.wanted)
	}
	return nil
}

// mostUnmade is how many runs that could not be made are shown.
const mostUnmade = 5

// wireLook says what the last look at a project came to.
func (s *Server) wireLook(ctx context.Context, p store.Project) (*api.Look, error) {
	l, err := s.store.LookOf(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	hooks, err := s.store.Triggers(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	out := &api.Look{Looked: timeOrNil(l.Looked), Error: l.Error, Hook: len(hooks) > 0}
	rows, err := s.store.WantedRuns(ctx, p.ID)
	for _, row := range rows {
		var w scheduler.Wanted
		if row.Error == "" || len(out.Unmade) == mostUnmade || json.Unmarshal(row.Body, &w) != nil {
			continue
		}
		out.Unmade = append(out.Unmade, fmt.Sprintf("%s at %.7s: %s", w.Ref.Name, w.Commit, row.Error))
	}
	return out, err
}

// repositoryPath is the path of a repository at its forge: data/flows.
func repositoryPath(repository string) string {
	p := repository
	if u, err := url.Parse(repository); err == nil && u.Host != "" {
		p = u.Path
	} else if hostOf(repository) != "" {
		_, p, _ = strings.Cut(repository, ":")
	}
	return strings.TrimSuffix(strings.Trim(p, "/"), ".git")
}

// applyLook does what follows from a look beside runs: flows of deleted branches
// are archived.
func (s *Server) applyLook(ctx context.Context, tx *store.Tx, p store.Project, r scheduler.LookResult) error {
	if len(r.Deleted) == 0 {
		return nil
	}
	flows, err := s.store.Flows(ctx, store.FlowFilter{Project: p.ID})
	if err != nil {
		return err
	}
	now := s.options.Now()
	for _, gone := range r.Deleted {
		branch, is := strings.CutPrefix(gone.Ref, "refs/heads/")
		for _, f := range flows {
			if !is || f.RefKind != "branch" || f.Ref != branch {
				continue
			}
			f.Archived, f.Updated, f.Version, f.Actor = now, now, f.Version+1, "branch deleted"
			if err := tx.PutFlow(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// launchWanted makes the run of a push or a merge request. A project without a
// pipeline file, or whose rules let no job in, gets none.
func (s *Server) launchWanted(ctx context.Context, p store.Project, w scheduler.Wanted, key string) error {
	n := w.Request(p, key)
	n.Skip = w.Skip
	// Who may push to a protected branch decides the forge. Code of another
	// repository gets nothing, whoever allowed it.
	n.Trust = secret.Trust{Level: secret.LevelProtected, Fork: w.Approval}
	_, err := s.launcher.Launch(ctx, n)
	var nothing *scheduler.NothingToRun
	var findings *diag.Failure
	switch {
	case errors.As(err, &nothing):
		return nil
	case errors.As(err, &findings), errs.Is(err, errs.Invalid): // it is as wrong the next time
		s.wantFault(ctx, p, w, err)
		return errs.E(errs.Invalid, "%w", err)
	}
	return err
}

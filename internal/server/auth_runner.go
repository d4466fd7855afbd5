package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

// anyTag in a runner's token lets its sessions have all tags.
const anyTag = "*"

// mountRunner serves the runner protocol. Calls about an attempt are open to its
// runner, which the lease decides, and to the attempt itself; all others to runners.
func (s *Server) mountRunner(h http.Handler) {
	// The protocol bounds each call and answers with its own kind of problem.
	s.router.handle(api.RunnerPath+"/attempts/{fence}/{call...}", need{action: actAttempt, body: unbounded, stream: true}, h.ServeHTTP)
	// The pod's service-account token in the body says who asks.
	s.router.handle("POST "+api.RunnerPath+"/token", need{action: actPublic, body: maxClaim}, h.ServeHTTP)
	s.router.handle(api.RunnerPath+"/{call...}", need{action: actRunner, body: unbounded, stream: true}, h.ServeHTTP)
}

// runnerIdentity is the caller of a route of [Server.mountRunner].
func (s *Server) runnerIdentity(r *http.Request) (RunnerIdentity, error) {
	actor := Caller(r.Context())
	id := RunnerIdentity{Runner: actor.Runner, Name: actor.Name, Tags: actor.Tags, Protected: actor.Protected, Attempt: actor.Attempt}
	if slices.Contains(actor.Tags, anyTag) {
		id.Tags, id.AnyTags = nil, true
	}
	if actor.Kind == ActorRunner && id.Runner == 0 {
		runner, err := s.firstSeen(r.Context(), actor)
		if err != nil {
			return RunnerIdentity{}, err
		}
		id.Runner, id.Name = runner.ID, runner.Name
	}
	return id, nil
}

// firstSeen makes the runner of a token that none has used yet.
func (s *Server) firstSeen(ctx context.Context, actor Actor) (store.Runner, error) {
	ids, err := s.store.NewIDs(ctx, "runner", 1)
	if err != nil {
		return store.Runner{}, err
	}
	now := s.options.Now()
	runner := store.Runner{ID: ids[0], Name: actor.Name, Tags: actor.Tags, Protected: actor.Protected, Seen: now, Created: now}
	if _, err := s.store.RunnerNamed(ctx, runner.Name); err == nil {
		runner.Name = fmt.Sprintf("%s-%d", actor.Name, runner.ID)
	} else if !errs.Is(err, errs.NotFound) {
		return runner, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if have, err := tx.BindRunnerToken(ctx, actor.ID, runner.ID); err != nil || have != runner.ID {
			runner.ID = have // another call of the runner was faster
			return err
		}
		return tx.PutRunner(ctx, runner)
	})
	return runner, err
}

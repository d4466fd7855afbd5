package server

import (
	"context"
	"net/http"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/store"
)

// runnerRoutes serves the runner protocol to runners' tokens.
func (s *Server) runnerRoutes() {
	a := &RunnerAPI{
		Scheduler: s.scheduler, Store: s.store, Logs: s.logs, Dispatch: dispatcher{s}, Authenticate: s.runnerIdentity,
	}
	h := a.Handler()
	s.router.handle(api.RunnerPath+"/", need{action: actRunner, body: unbounded, stream: true}, h.ServeHTTP)
}

// runnerIdentity finds the runner of a token. The first request with a token makes
// its runner.
func (s *Server) runnerIdentity(r *http.Request) (RunnerIdentity, error) {
	actor := Caller(r.Context())
	who := RunnerIdentity{Runner: actor.Runner, Name: actor.Name, Tags: actor.Tags, Protected: actor.Protected}
	if actor.Kind != ActorRunner {
		return who, errs.E(errs.Denied, "the runner protocol needs a runner's token; make one: refline runner token create")
	}
	if who.Runner != 0 {
		return who, nil
	}
	row, err := s.makeRunner(r.Context(), actor.Name, actor.Tags, actor.Protected)
	if err != nil {
		return who, err
	}
	who.Runner = row.ID
	return who, s.secrets.BindRunner(r.Context(), actor, row.ID)
}

// makeRunner finds or makes the runner of a name.
func (s *Server) makeRunner(ctx context.Context, name string, tags []string, protected bool) (store.Runner, error) {
	row, err := s.store.RunnerNamed(ctx, name)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return row, err
	}
	now := s.options.Now().UTC().Truncate(time.Millisecond)
	if err != nil {
		ids, err := s.store.NewIDs(ctx, "runner", 1)
		if err != nil {
			return row, err
		}
		row = store.Runner{ID: ids[0], Name: name, Created: now}
	}
	row.Tags, row.Protected, row.Seen = tags, protected, now
	return row, s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRunner(ctx, row) })
}

// localRunner is the name of the runner in the server's own process.
const localRunner = "local"

// LocalRunner makes a token for the runner in this process. Older ones end.
func (s *Server) LocalRunner(ctx context.Context) (token string, err error) {
	older, err := s.store.Tokens(ctx, store.TokenRunner)
	if err != nil {
		return "", err
	}
	row, err := s.makeRunner(ctx, localRunner, []string{localRunner}, false)
	if err != nil {
		return "", err
	}
	text, t, err := s.secrets.addToken(ctx, System("start of the server"), store.Token{Kind: store.TokenRunner, Name: localRunner, Tags: row.Tags, Runner: row.ID}, false)
	if err != nil {
		return "", err
	}
	return text.RevealString(), s.store.Update(ctx, func(tx *store.Tx) error {
		for _, old := range older {
			if old.Name == localRunner && old.ID != t.ID && old.Runner == row.ID && old.Revoked.IsZero() {
				if err := tx.RevokeToken(ctx, old.ID, s.options.Now()); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

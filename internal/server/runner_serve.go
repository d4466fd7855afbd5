package server

import (
	"context"

	"refline/internal/errs"
	"refline/internal/store"
)

// runnerRoutes serves the runner protocol to runners' tokens.
func (s *Server) runnerRoutes() {
	a := &RunnerAPI{
		Scheduler: s.scheduler, Store: s.store, Logs: s.logs, Dispatch: dispatcher{s}, Authenticate: s.runnerIdentity, Files: s.files, Record: s.recordDeployment, Room: s.room.short,
		AttemptToken: s.attemptToken,
	}
	s.mountRunner(a.Handler())
}

// localRunner is the name of the runner in the server's own process.
const localRunner = "local"

// LocalRunner makes a token for the runner in this process. Older ones end.
func (s *Server) LocalRunner(ctx context.Context) (token string, err error) {
	older, err := s.store.Tokens(ctx, store.TokenRunner)
	if err != nil {
		return "", err
	}
	row, err := s.store.RunnerNamed(ctx, localRunner)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return "", err
	}
	now := s.options.Now()
	if err != nil {
		ids, err := s.store.NewIDs(ctx, "runner", 1)
		if err != nil {
			return "", err
		}
		row = store.Runner{ID: ids[0], Name: localRunner, Created: now}
	}
	row.Tags, row.Seen = []string{localRunner}, now
	if err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.PutRunner(ctx, row) }); err != nil {
		return "", err
	}
	text, t, err := s.secrets.addToken(ctx, System("start of the server"), store.Token{Kind: store.TokenRunner, Name: localRunner, Tags: row.Tags, Runner: row.ID}, false)
	if err != nil {
		return "", err
	}
	return text.RevealString(), s.store.Update(ctx, func(tx *store.Tx) error {
		for _, old := range older {
			if old.Name == localRunner && old.ID != t.ID && old.Runner == row.ID && old.Revoked.IsZero() {
				if err := tx.RevokeToken(ctx, old.ID, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

package server

import (
	"errors"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/lock"
)

// lock makes this the only server of the data folder.
func (s *Server) lock() error {
	f, err := lock.Open(filepath.Join(s.options.Data, "server.lock"), lock.ModeTry)
	if errors.Is(err, lock.ErrHeld) {
		return errs.E(errs.Conflict, "another server uses %s; stop it, or give this one a folder of its own with --data", s.options.Data)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "the data folder: %w", err)
	}
	s.unlock = func() { lock.Release(f) }
	return nil
}

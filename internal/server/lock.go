package server

import (
	"errors"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/lock"
)

// Lock makes the caller the only one that changes a data folder. Conflict if a server
// uses it.
func Lock(data string) (unlock func(), err error) {
	f, err := lock.Open(filepath.Join(data, "server.lock"), lock.ModeTry)
	if errors.Is(err, lock.ErrHeld) {
		return nil, errs.E(errs.Conflict, "another server uses %s; stop it, or give this one a folder of its own with --data", data)
	}
	if err != nil {
		return nil, errs.E(errs.Unavailable, "the data folder: %w", err)
	}
	_ = f.Chmod(0o600) // as all that is beside it
	return func() { lock.Release(f) }, nil
}

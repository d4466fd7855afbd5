package store

import (
	"errors"
	"io/fs"
	"os"

	"refline/internal/errs"
)

// ownFile makes a database file that only this user can read, or takes the rights of
// others from one that is there. SQLite gives the files beside it the same rights.
func ownFile(path string) error {
	// Only a new file is opened here: closing one would end SQLite's locks on it.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return errs.E(errs.Unavailable, "the database cannot be opened: %w", err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err == nil {
			err = os.Chmod(file, 0o600)
		}
		if err != nil {
			return errs.E(errs.Unavailable, "the database must not be open to other users: %w", err)
		}
	}
	return nil
}

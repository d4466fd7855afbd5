package engine

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"refline/internal/errs"
)

// lockMode is how lockFile locks.
type lockMode uint32

const (
	lockShared lockMode = 0
	lockWait   lockMode = windows.LOCKFILE_EXCLUSIVE_LOCK
	lockTry    lockMode = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
)

var errLocked = errs.E(errs.Conflict, "another process holds the lock")

// lockFile makes or opens path and locks it until the file is closed.
func lockFile(path string, mode lockMode) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	var at windows.Overlapped
	if err := windows.LockFileEx(windows.Handle(f.Fd()), uint32(mode), 0, 1, 0, &at); err != nil {
		_ = f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, errLocked
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, nil
}

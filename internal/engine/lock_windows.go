package engine

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// lockMode is how lockFile locks.
type lockMode uint32

const (
	lockShared lockMode = 0
	lockWait   lockMode = windows.LOCKFILE_EXCLUSIVE_LOCK
	lockTry    lockMode = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	lockNone   lockMode = ^lockMode(0)
)

func flock(f *os.File, mode lockMode) error {
	var at windows.Overlapped
	if mode == lockNone {
		return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), uint32(mode), 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	if err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

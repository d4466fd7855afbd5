//go:build linux || darwin

package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"refline/internal/errs"
)

// lockMode is how lockFile locks.
type lockMode int

const (
	lockShared lockMode = unix.LOCK_SH
	lockWait   lockMode = unix.LOCK_EX
	lockTry    lockMode = unix.LOCK_EX | unix.LOCK_NB // errLocked when somebody has it
)

var errLocked = errs.E(errs.Conflict, "another process holds the lock")

// lockFile makes or opens path and locks it until the file is closed. The
// system lets go when the process ends.
func lockFile(path string, mode lockMode) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	_, err = ignoreEINTR(func() (int, error) { return 0, unix.Flock(int(f.Fd()), int(mode)) })
	if err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, pathError("lock", path, err)
	}
	return f, nil
}

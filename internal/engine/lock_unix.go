//go:build linux || darwin

package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockMode is how lockFile locks.
type lockMode int

const (
	lockShared lockMode = unix.LOCK_SH
	lockWait   lockMode = unix.LOCK_EX
	lockTry    lockMode = unix.LOCK_EX | unix.LOCK_NB
	lockNone   lockMode = unix.LOCK_UN
)

func flock(f *os.File, mode lockMode) error {
	_, err := ignoreEINTR(func() (int, error) { return 0, unix.Flock(int(f.Fd()), int(mode)) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return pathError("lock", f.Name(), err)
}

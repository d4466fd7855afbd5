package engine

import (
	"os"

	"refline/internal/errs"
)

// errLocked is what lockTry gives for a lock that somebody has.
var errLocked = errs.E(errs.Conflict, "another process holds the lock")

// lockFile makes or opens path and locks it until the file is closed. The
// system lets go when the process ends, in whatever way.
func lockFile(path string, mode lockMode) (*os.File, error) {
	return lockOpen(path, os.O_RDWR|os.O_CREATE, mode)
}

// lockExisting is lockFile for a file that must be there.
func lockExisting(path string, mode lockMode) (*os.File, error) {
	return lockOpen(path, os.O_RDWR, mode)
}

func lockOpen(path string, flags int, mode lockMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return nil, err
	}
	if err := flock(f, mode); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// unlockFile gives a lock back, also where a program that is just being
// started still has the file open.
func unlockFile(f *os.File) {
	_ = flock(f, lockNone)
	_ = f.Close()
}

package git

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// farAway keeps the locked byte apart from the text that others may read.
const farAway = 1 << 30

func lockFile(f *os.File) (held bool, err error) {
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{Offset: farAway})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// unlockFile has nothing to do: no child holds the file, so closing it is enough.
func unlockFile(*os.File) {}

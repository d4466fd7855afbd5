package git

import (
	"fmt"
	"os"

	"refline/internal/errs"
)

// onDisk classifies an error of a file or folder of ours: a full disk is
// Unavailable, since it passes and says nothing about the data on it; all others
// are a Conflict.
func onDisk(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if isDiskFull(err) {
		return lasting{errs.E(errs.Unavailable, "%s: the disk is full; free some space, or clear the caches: %w", what, err), 1}
	}
	return errs.E(errs.Conflict, "%s: %w", what, err)
}

// probeDisk reports a disk that is full. git does not always name that as its
// reason, and a mirror on a full disk must not be mistaken for a damaged one.
func probeDisk(dirs ...string) error {
	const some = 256 << 10
	for _, dir := range dirs {
		f, err := os.CreateTemp(dir, ".probe-*")
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			_, err = f.Write(make([]byte, some))
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
		if err != nil {
			return onDisk(err, "write to %s", dir)
		}
	}
	return nil
}

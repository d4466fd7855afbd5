package git

import (
	"fmt"
	"os"

	"refline/internal/errs"
)

// onDisk gives an error of a file or folder of ours its kind: a full disk is
// Unavailable, since it passes and says nothing about what is on it, all else a
// Conflict.
func onDisk(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if isDiskFull(err) {
		return lasting{errs.E(errs.Unavailable, "%s: the disk is full; free some space, or clear the caches: %w", what, err), 1}
	}
	return errs.E(errs.Conflict, "%s: %w", what, err)
}

// probeDisk reports a disk that takes no more files. git does not always say so
// when it fails for it, and a mirror on a full disk must not be taken for damaged.
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

package workspace

import (
	"errors"

	"refline/internal/lock"
)

// Sweep removes the folders in parent whose process is gone, with what is
// mounted inside. If there are any, it first calls quiet, which ends what still
// runs in them; quiet may be nil. It may run at any time, also beside others.
func Sweep(parent string, quiet func() error) error {
	return lock.Sweep(parent, lock.SweepOptions{Remove: Remove, Quiet: quiet})
}

// Remove removes a folder of [lock.Folder], or anything in one, with all
// that is mounted or left in it.
func Remove(dir string) error {
	return errors.Join(unmountBelow(dir), RemoveAll(dir))
}

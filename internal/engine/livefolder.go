package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// lockName is the file by which a folder belongs to a living process.
const lockName = ".lock"

// LockFolder makes dir and marks it as in use by this process, until unlock or
// the process's end in whatever way. It is an error when another process has
// it. [Sweep] of the folder above removes those that nobody holds.
func LockFolder(dir string) (unlock func(), err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	// A sweep must not meet the folder between its making and its locking.
	outer, err := lockFile(filepath.Join(parent, lockName), lockShared)
	if err != nil {
		return nil, err
	}
	defer outer.Close()
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	inner, err := lockFile(filepath.Join(dir, lockName), lockTry)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	return func() { _ = inner.Close() }, nil
}

// Sweep removes the folders in parent whose process is gone, with what is
// mounted inside. It may run at any time, also beside others.
func Sweep(parent string) error {
	dead, err := findDead(parent, func(string) bool { return false })
	var all []error
	for dir, lock := range dead {
		all = append(all, unmountBelow(dir), removeAll(dir))
		lock.Close()
	}
	return errors.Join(append(all, err)...)
}

// findDead takes the locks of the folders that nobody holds, but for those to
// keep by their name.
func findDead(parent string, keep func(name string) bool) (map[string]*os.File, error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(entries) <= 1 { // nothing but the lock
		return nil, nil
	}
	outer, err := lockFile(filepath.Join(parent, lockName), lockWait)
	if err != nil {
		return nil, err
	}
	defer outer.Close()
	dead := map[string]*os.File{}
	for _, e := range entries {
		if !e.IsDir() || keep(e.Name()) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := lockFile(filepath.Join(dir, lockName), lockTry)
		switch {
		case errors.Is(err, errLocked), errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return dead, err
		default:
			dead[dir] = lock
		}
	}
	return dead, nil
}

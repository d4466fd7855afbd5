package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	defer unlockFile(outer)
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	inner, err := lockFile(filepath.Join(dir, lockName), lockTry)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	return func() { unlockFile(inner) }, nil
}

// Sweep removes the folders in parent whose process is gone, with what is
// mounted inside. It may run at any time, also beside others.
func Sweep(parent string) error {
	return sweep(parent, func() (map[string]bool, error) { return nil, nil })
}

// deadSuffix marks a folder that is being removed.
const deadSuffix = ".dead"

// sweep is Sweep but for those that keep names; it is asked again once a
// folder is locked, when nobody can be giving it a name any more.
func sweep(parent string, keep func() (map[string]bool, error)) error {
	dead, err := findDead(parent, keep)
	all := []error{err}
	for _, d := range dead {
		all = append(all, d.remove())
	}
	return errors.Join(all...)
}

// deadFolder is a folder that nobody uses, and its lock.
type deadFolder struct {
	dir  string
	lock *os.File
}

// findDead takes the locks of the folders that nobody holds.
func findDead(parent string, keep func() (map[string]bool, error)) (dead []deadFolder, err error) {
	entries, err := os.ReadDir(parent)
	if notThere(err) || err == nil && len(entries) <= 1 { // nothing but the lock
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kept, err := keep()
	if err != nil {
		return nil, err
	}
	outer, err := lockFile(filepath.Join(parent, lockName), lockWait)
	if err != nil {
		return nil, err
	}
	defer unlockFile(outer)
	for _, e := range entries {
		if !e.IsDir() || kept[e.Name()] {
			continue
		}
		d, err := takeDead(filepath.Join(parent, e.Name()), keep)
		if err != nil {
			return dead, err
		}
		if d.lock != nil {
			dead = append(dead, d)
		}
	}
	return dead, nil
}

// takeDead locks one folder and renames it, so that two sweeps do not meet in
// it: what is called dead gets no lock again that it has lost.
func takeDead(dir string, keep func() (map[string]bool, error)) (deadFolder, error) {
	open := lockFile
	if strings.HasSuffix(dir, deadSuffix) {
		open = lockExisting
	}
	lock, err := open(filepath.Join(dir, lockName), lockTry)
	switch {
	case notThere(err):
		_ = os.Remove(dir) // all but itself was removed before
		return deadFolder{}, nil
	case errors.Is(err, errLocked):
		return deadFolder{}, nil
	case err != nil:
		return deadFolder{}, err
	}
	kept, err := keep()
	if err != nil || kept[filepath.Base(dir)] {
		unlockFile(lock)
		return deadFolder{}, err
	}
	if !strings.HasSuffix(dir, deadSuffix) && os.Rename(dir, dir+deadSuffix) == nil {
		dir += deadSuffix
	}
	return deadFolder{dir, lock}, nil
}

// remove removes the folder, its lock last.
func (d deadFolder) remove() error {
	defer unlockFile(d.lock)
	err := unmountBelow(d.dir)
	_ = os.Chmod(d.dir, 0o700)
	entries, readErr := os.ReadDir(d.dir)
	err = errors.Join(err, readErr)
	for _, e := range entries {
		if e.Name() != lockName {
			err = errors.Join(err, removeAll(filepath.Join(d.dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	return removeAll(d.dir)
}

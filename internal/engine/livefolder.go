package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/executor"
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
	inner, err := lockNew(filepath.Join(dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	noteOwner(inner)
	return func() { unlockFile(inner) }, nil
}

// lockNew is lockTry for a file that nobody may have yet. Without an owner in it
// a lock is that of somebody who looks whether there is one, for a moment, or of
// one who is about to write there.
func lockNew(path string) (*os.File, error) {
	const patience = time.Second
	deadline := time.Now().Add(patience)
	for {
		lock, err := lockFile(path, lockTry)
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			return lock, err
		}
		if owner, rerr := os.ReadFile(path); rerr != nil || len(owner) > 0 {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}

// InUse reports whether a living process has dir from [LockFolder].
func InUse(dir string) bool {
	path := filepath.Join(dir, lockName)
	lock, err := lockExisting(path, lockTry)
	switch {
	case err == nil:
		unlockFile(lock)
		return false
	case errors.Is(err, errLocked):
		return !ownerDead(path)
	default:
		return !notThere(err)
	}
}

// Sweep removes the folders in parent whose process is gone, with what is
// mounted inside. Before, when there are any, it calls quiet, which ends what
// still runs in them. It may run at any time, also beside others.
func Sweep(parent string, quiet func() error) error {
	return sweep(parent, func() (map[string]bool, error) { return nil, nil }, quiet)
}

// deadSuffix marks a folder that is being removed.
const deadSuffix = ".dead"

// sweep is Sweep but for those that keep names; it is asked again once a
// folder is locked, when nobody can be giving it a name any more.
func sweep(parent string, keep func() (map[string]bool, error), quiet func() error) error {
	dead, err := findDead(parent, keep)
	all := []error{err}
	if len(dead) > 0 && quiet != nil {
		all = append(all, quiet())
	}
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
	path := filepath.Join(dir, lockName)
	lock, err := open(path, lockTry)
	if errors.Is(err, errLocked) && ownerDead(path) {
		lock, err = lockOfDead(path, open)
	}
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
	noteOwner(lock)
	if !strings.HasSuffix(dir, deadSuffix) && os.Rename(dir, dir+deadSuffix) == nil {
		dir += deadSuffix
	}
	return deadFolder{dir, lock}, nil
}

// noteOwner writes into a lock whose process holds it. It is a help for
// ownerDead, so its failure is none.
func noteOwner(lock *os.File) {
	self, err := executor.Self()
	if err != nil {
		return
	}
	if lock.Truncate(0) == nil {
		_, _ = lock.WriteAt([]byte(self.String()), 0)
	}
}

// ownerDead reports whether the process that took the lock at path is known to
// be gone.
func ownerDead(path string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	self, err := executor.Self()
	owner, ok := executor.ParseOwner(string(text))
	return err == nil && ok && owner.Dead(self)
}

// lockOfDead waits for a lock that outlives its owner: a process killed while
// it starts a program leaves a copy of itself, with its locks, which becomes
// that program as soon as the system lets it run.
func lockOfDead(path string, open func(string, lockMode) (*os.File, error)) (*os.File, error) {
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	for {
		lock, err := open(path, lockTry)
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			return lock, err
		}
		time.Sleep(2 * time.Millisecond)
	}
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

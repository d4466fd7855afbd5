package lock

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// FileName is the name of the file in a folder by which the folder belongs to a
// living process.
const FileName = ".lock"

// Folder makes dir and marks it as in use by this process, until unlock is
// called or the process ends, however that happens. It is an error if another
// process holds it. [Sweep] of the parent folder removes folders without a
// holder.
func Folder(dir string) (unlock func(), err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return nil, err
	}
	// A sweep must not meet the folder between its making and its locking.
	outer, err := Open(filepath.Join(parent, FileName), ModeShared)
	if err != nil {
		return nil, err
	}
	defer Release(outer)
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	inner, err := lockNew(filepath.Join(dir, FileName))
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	noteOwner(inner)
	return func() { Release(inner) }, nil
}

// lockNew takes the lock of a folder that should be free. A lock without an
// owner belongs to a process that is probing it or about to write its owner, so
// it waits for that process for a moment.
func lockNew(path string) (*os.File, error) {
	const patience = time.Second
	deadline := time.Now().Add(patience)
	for {
		lock, err := Open(path, ModeTry)
		if !errors.Is(err, ErrHeld) || time.Now().After(deadline) {
			return lock, err
		}
		if owner, rerr := os.ReadFile(path); rerr != nil || len(owner) > 0 {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
}

// InUse reports whether a living process holds dir by [Folder].
func InUse(dir string) bool {
	path := filepath.Join(dir, FileName)
	lock, err := OpenExisting(path, ModeTry)
	switch {
	case err == nil:
		Release(lock)
		return false
	case errors.Is(err, ErrHeld):
		return !ownerDead(path)
	default:
		return !errors.Is(err, fs.ErrNotExist)
	}
}

// deadSuffix marks a folder that is being removed.
const deadSuffix = ".dead"

// SweepOptions say how [Sweep] removes folders.
type SweepOptions struct {
	// Remove removes a file or folder with everything in it.
	Remove func(path string) error

	// Quiet, if set, is called once before anything is removed, and only if
	// there is something to remove: it ends what still runs in the folders.
	Quiet func() error

	// Keep, if set, returns the names of folders that stay although they have no
	// holder. It is called again once a folder is locked, when its name can no
	// longer become one of them.
	Keep func() (map[string]bool, error)
}

// Sweep removes the folders in parent that were made by [Folder] and whose
// process is gone. It may run at any time, also beside others.
func Sweep(parent string, o SweepOptions) error {
	if o.Keep == nil {
		o.Keep = func() (map[string]bool, error) { return nil, nil }
	}
	dead, err := findDead(parent, o.Keep)
	all := []error{err}
	if len(dead) > 0 && o.Quiet != nil {
		all = append(all, o.Quiet())
	}
	for _, d := range dead {
		all = append(all, d.remove(o.Remove))
	}
	return errors.Join(all...)
}

// deadFolder is a folder without a holder, and its lock.
type deadFolder struct {
	dir  string
	lock *os.File
}

// findDead takes the locks of the folders without a holder.
func findDead(parent string, keep func() (map[string]bool, error)) (dead []deadFolder, err error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) <= 1 { // nothing but the lock
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kept, err := keep()
	if err != nil {
		return nil, err
	}
	outer, err := Open(filepath.Join(parent, FileName), ModeExclusive)
	if err != nil {
		return nil, err
	}
	defer Release(outer)
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
// it. A folder with the dead name never gets its lock file back.
func takeDead(dir string, keep func() (map[string]bool, error)) (deadFolder, error) {
	open := Open
	if strings.HasSuffix(dir, deadSuffix) {
		open = OpenExisting
	}
	path := filepath.Join(dir, FileName)
	lock, err := open(path, ModeTry)
	if errors.Is(err, ErrHeld) && ownerDead(path) {
		lock, err = lockOfDead(path, open)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_ = os.Remove(dir) // all but itself was removed before
		return deadFolder{}, nil
	case errors.Is(err, ErrHeld):
		return deadFolder{}, nil
	case err != nil:
		return deadFolder{}, err
	}
	kept, err := keep()
	if err != nil || kept[filepath.Base(dir)] {
		Release(lock)
		return deadFolder{}, err
	}
	noteOwner(lock)
	if !strings.HasSuffix(dir, deadSuffix) && os.Rename(dir, dir+deadSuffix) == nil {
		dir += deadSuffix
	}
	return deadFolder{dir, lock}, nil
}

// noteOwner writes the lock's owner into it, for ownerDead. Without the note
// the lock still works, so a failure is ignored.
func noteOwner(lock *os.File) {
	self, err := Self()
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
	self, err := Self()
	owner, ok := ParseOwner(string(text))
	return err == nil && ok && owner.Dead(self)
}

// lockOfDead waits for a lock that outlives its owner. A process that is killed
// while it starts a program leaves a copy of itself with its locks; the copy
// becomes that program as soon as the system lets it run.
func lockOfDead(path string, open func(string, Mode) (*os.File, error)) (*os.File, error) {
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	for {
		lock, err := open(path, ModeTry)
		if !errors.Is(err, ErrHeld) || time.Now().After(deadline) {
			return lock, err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// remove removes the folder, its lock last.
func (d deadFolder) remove(remove func(string) error) error {
	defer Release(d.lock)
	_ = os.Chmod(d.dir, 0o700)
	entries, err := os.ReadDir(d.dir)
	for _, e := range entries {
		if e.Name() != FileName {
			err = errors.Join(err, remove(filepath.Join(d.dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	return remove(d.dir)
}

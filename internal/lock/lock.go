// Package lock locks files and folders among processes of one computer.
//
// It promises that a lock ends with its process, however that ends, and that a
// folder of a process that is gone can be found and removed. It does not know
// what the files and folders are for.
package lock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
)

// Mode says how a file is locked.
type Mode int

// The modes. Shared and Exclusive wait for others; Try returns [ErrHeld] instead.
const (
	ModeShared Mode = iota
	ModeExclusive
	ModeTry // exclusive
)

// ErrHeld is the error of ModeTry for a lock that another process holds.
var ErrHeld = errs.E(errs.Conflict, "another process holds the lock")

// Open opens path, made if need be, and locks it until [Release] or until the
// file is closed here and in every child that shares it.
func Open(path string, mode Mode) (*os.File, error) {
	return open(path, os.O_RDWR|os.O_CREATE, mode)
}

// OpenExisting is Open for a file that must exist.
func OpenExisting(path string, mode Mode) (*os.File, error) {
	return open(path, os.O_RDWR, mode)
}

func open(path string, flags int, mode Mode) (*os.File, error) {
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

// Release ends a lock and closes its file. Closing alone would leave the lock
// to a child that is just being started, until that runs its program. If a
// child is meant to keep the lock, close the file instead.
func Release(f *os.File) {
	_ = unlock(f)
	_ = f.Close()
}

// Wait takes the lock file at path, whose folder it makes, and waits for it
// until ctx is done. It calls waiting once, with the holder's description, when
// it has to wait for a moment; waiting may be nil.
func Wait(ctx context.Context, path string, waiting func(holder string)) (*os.File, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		f, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		if waiting != nil && pause >= 40*time.Millisecond {
			holder, _ := os.ReadFile(path)
			waiting(strings.TrimSpace(string(holder)))
			waiting = nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// Try is Wait without waiting: the error is [ErrHeld] if another process holds
// the lock. The holder of the lock may remove the folder of path.
func Try(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := Open(path, ModeTry)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrHeld // the folder was removed meanwhile
	}
	if err != nil {
		return nil, err
	}
	// The holder before us may have removed the file that we locked.
	now, err := os.Stat(path)
	mine, err2 := f.Stat()
	if err != nil || err2 != nil || !os.SameFile(now, mine) {
		Release(f)
		return nil, ErrHeld
	}
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "process %d\n", os.Getpid()), 0) // for people only
	}
	return f, nil
}

// WaitName takes the lock called name among all processes that use dir, and
// returns its release. It waits until ctx is done. Names may hold anything.
func WaitName(ctx context.Context, dir, name string) (release func(), err error) {
	sum := sha256.Sum256([]byte(name)) // a name may be longer than a file's
	f, err := Wait(ctx, filepath.Join(dir, hex.EncodeToString(sum[:16])+".lock"), nil)
	if err != nil {
		return nil, err
	}
	return func() { Release(f) }, nil
}

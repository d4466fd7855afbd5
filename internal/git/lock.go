package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
)

// lock takes the lock file at path, telling notice once when it must wait. The
// lock ends when the returned file is closed here and in every child it was
// shared with, or when they die.
func lock(ctx context.Context, path string, notice func(string)) (*os.File, error) {
	told := false
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		// Each time: whoever holds the lock may be removing the folder.
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, errs.E(errs.Conflict, "the cache folder: %w", err)
		}
		f, err := tryLock(path)
		if f != nil || err != nil {
			return f, err
		}
		if !told && pause >= 40*time.Millisecond {
			told = true
			holder, _ := os.ReadFile(path)
			notice(fmt.Sprintf("waiting for %s, which holds %s", or(strings.TrimSpace(string(holder)), "another process"), path))
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

// release ends a lock that no child of ours works under. Closing alone would
// leave it to a child that is just being started for something else, until that
// runs its program.
func release(f *os.File) {
	unlockFile(f)
	f.Close()
}

// tryLock returns nil and no error when another holds the lock.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if os.IsNotExist(err) {
		return nil, nil // the folder went meanwhile
	}
	if err != nil {
		return nil, errs.E(errs.Conflict, "the lock of the mirror: %w", err)
	}
	held, err := lockFile(f)
	if err != nil || !held {
		f.Close()
		if err != nil {
			return nil, errs.E(errs.Conflict, "lock %s: %w", path, err)
		}
		return nil, nil
	}
	// Whoever cleared the cache may have removed the file we locked.
	now, err := os.Stat(path)
	mine, err2 := f.Stat()
	if err != nil || err2 != nil || !os.SameFile(now, mine) {
		f.Close()
		return nil, nil
	}
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "process %d\n", os.Getpid()), 0) // for people only
	}
	return f, nil
}

package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"refline/internal/errs"
)

func TestSweepLeavesLivingFolders(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "runs")
	must(t, Sweep(parent, nil)) // nothing there yet

	mine, theirs, dead := filepath.Join(parent, "mine"), filepath.Join(parent, "theirs"), filepath.Join(parent, "dead")
	unlock, err := LockFolder(mine)
	must(t, err)
	startRole(t, "hold", theirs)
	killed := startRole(t, "hold", dead)
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	plantIn(t, dead, files{"jobs/1/work/sealed/f": "x"})
	must(t, os.Chmod(filepath.Join(dead, "jobs/1/work/sealed"), 0o555))
	plantIn(t, parent, files{"half-made/": "", "note.txt": "not a folder"})

	if _, err := LockFolder(theirs); !errs.Is(err, errs.Conflict) {
		t.Errorf("a folder of another process was taken: %v", err)
	}
	must(t, Sweep(parent, nil))
	for dir, want := range map[string]bool{"mine": true, "theirs": true, "dead": false, "half-made": false, "note.txt": true} {
		_, err := os.Lstat(filepath.Join(parent, dir))
		if got := !errors.Is(err, fs.ErrNotExist); got != want {
			t.Errorf("%s there after the sweep: %v, want %v", dir, got, want)
		}
	}
	unlock()
	must(t, Sweep(parent, nil))
	if _, err := os.Lstat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an unlocked folder was not swept")
	}
}

// A run that is killed while it starts a program is dead before its lock is
// free. Its folder goes all the same, and what runs in it ends first.
func TestSweepOfOutlivedLock(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "runs")
	dir, pipe := filepath.Join(parent, "7"), filepath.Join(t.TempDir(), "pipe")
	makePipe(t, pipe)
	killed := startRole(t, "outlived", dir, "REFLINE_TEST_PIPE="+pipe)
	if !InUse(dir) {
		t.Error("not in use by a living process")
	}
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	if InUse(dir) {
		t.Error("in use by a process that was killed")
	}
	swept, quiet := make(chan error, 1), 0
	go func() { swept <- Sweep(parent, func() error { quiet++; return nil }) }()
	heir, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	must(t, err)
	must(t, heir.Close())
	must(t, <-swept)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) || quiet != 1 {
		t.Errorf("after the sweep: %v, quiet called %d times", err, quiet)
	}
}

// Whoever asks whether a folder is in use has its lock for a moment. A run that
// begins right then begins all the same.
func TestLookDoesNotKeepAFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("who has a lock cannot be read there")
	}
	dir := filepath.Join(t.TempDir(), "runs", "7")
	must(t, os.MkdirAll(dir, 0o700))
	look, err := lockFile(filepath.Join(dir, lockName), lockTry)
	must(t, err)
	time.AfterFunc(20*time.Millisecond, func() { unlockFile(look) })
	unlock, err := LockFolder(dir)
	must(t, err)
	if _, err := LockFolder(dir); !errs.Is(err, errs.Conflict) {
		t.Errorf("taken twice: %v", err)
	}
	unlock()
}

package lock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"refline/internal/errs"
)

func TestSweepLeavesLivingFolders(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "runs")
	must(t, Sweep(parent, SweepOptions{Remove: os.RemoveAll})) // nothing there yet

	mine, theirs, dead := filepath.Join(parent, "mine"), filepath.Join(parent, "theirs"), filepath.Join(parent, "dead")
	unlock, err := Folder(mine)
	must(t, err)
	startRole(t, "hold", theirs)
	killed := startRole(t, "hold", dead)
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	must(t, os.MkdirAll(filepath.Join(dead, "jobs/1/work"), 0o755))
	must(t, os.Mkdir(filepath.Join(parent, "half-made"), 0o755))
	must(t, os.WriteFile(filepath.Join(parent, "note.txt"), nil, 0o644))

	if _, err := Folder(theirs); !errs.Is(err, errs.Conflict) {
		t.Errorf("a folder of another process was taken: %v", err)
	}
	must(t, Sweep(parent, SweepOptions{Remove: os.RemoveAll}))
	for dir, want := range map[string]bool{"mine": true, "theirs": true, "dead": false, "half-made": false, "note.txt": true} {
		_, err := os.Lstat(filepath.Join(parent, dir))
		if got := !errors.Is(err, fs.ErrNotExist); got != want {
			t.Errorf("%s there after the sweep: %v, want %v", dir, got, want)
		}
	}
	unlock()
	must(t, Sweep(parent, SweepOptions{Remove: os.RemoveAll}))
	if _, err := os.Lstat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an unlocked folder was not swept")
	}
}

// A process that is killed while it starts a program is dead before its lock is
// free. Its folder is removed all the same, after what runs in it has ended.
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
	go func() {
		swept <- Sweep(parent, SweepOptions{Remove: os.RemoveAll, Quiet: func() error { quiet++; return nil }})
	}()
	heir, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	must(t, err)
	must(t, heir.Close())
	must(t, <-swept)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) || quiet != 1 {
		t.Errorf("after the sweep: %v, quiet called %d times", err, quiet)
	}
}

// A process that probes whether a folder is in use holds its lock for a moment.
// Another that takes the folder right then gets it.
func TestProbeDoesNotKeepAFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "runs", "7")
	must(t, os.MkdirAll(dir, 0o700))
	look, err := Open(filepath.Join(dir, FileName), ModeTry)
	must(t, err)
	time.AfterFunc(20*time.Millisecond, func() { Release(look) })
	unlock, err := Folder(dir)
	must(t, err)
	if _, err := Folder(dir); !errs.Is(err, errs.Conflict) {
		t.Errorf("taken twice: %v", err)
	}
	unlock()
}

// Folders that Keep names stay, also those that get their name only when the
// sweep has begun.
func TestSweepKeepsNamedFolders(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	for _, name := range []string{"kept", "kept-late", "free"} {
		must(t, os.Mkdir(filepath.Join(parent, name), 0o755))
	}
	asked := 0
	keep := func() (map[string]bool, error) {
		asked++
		return map[string]bool{"kept": true, "kept-late": asked > 1}, nil
	}
	must(t, Sweep(parent, SweepOptions{Remove: os.RemoveAll, Keep: keep}))
	for name, want := range map[string]bool{"kept": true, "kept-late": true, "free": false} {
		if _, err := os.Lstat(filepath.Join(parent, name)); (err == nil) != want {
			t.Errorf("%s is there after the sweep: %v, want %v", name, err == nil, want)
		}
	}
}

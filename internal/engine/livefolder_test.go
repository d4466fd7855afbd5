package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"refline/internal/errs"
)

func TestSweepLeavesLivingFolders(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "runs")
	must(t, Sweep(parent)) // nothing there yet

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
	must(t, Sweep(parent))
	for dir, want := range map[string]bool{"mine": true, "theirs": true, "dead": false, "half-made": false, "note.txt": true} {
		_, err := os.Lstat(filepath.Join(parent, dir))
		if got := !errors.Is(err, fs.ErrNotExist); got != want {
			t.Errorf("%s there after the sweep: %v, want %v", dir, got, want)
		}
	}
	unlock()
	must(t, Sweep(parent))
	if _, err := os.Lstat(mine); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an unlocked folder was not swept")
	}
}

package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"refline/internal/lock"
	"testing"
)

// A folder without write permission inside does not keep a run's folder.
func TestSweepRemovesSealedFolders(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "runs")
	sealed := filepath.Join(parent, "dead", "jobs", "1", "work", "sealed")
	plantIn(t, sealed, files{"f": "x"})
	plantIn(t, parent, files{lock.FileName: ""})
	must(t, os.Chmod(sealed, 0o555))
	must(t, Sweep(parent, nil))
	if _, err := os.Lstat(filepath.Join(parent, "dead")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the sweep: %v, want none", err)
	}
}

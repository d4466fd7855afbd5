package git

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"refline/internal/errs"
)

func TestNewEnough(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.31.0": true, "2.39.5": true, "2.50.1 (Apple Git-155)": true, "2.45.1.windows.1": true, "3.0": true,
		"2.30.9": false, "1.8.3.1": false, "2": false, "": false,
	} {
		if got := NewEnough(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

// TestOldGit: a git that would leave our settings out is not used at all.
func TestOldGit(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("stands in for git by a shell script")
	}
	src := newRepo(t)
	src.commit("one", "a", "1")
	w := open(t, src.dir)
	bin := t.TempDir()
	script := `#!/bin/sh
case "$1" in
--config-env=*) echo "unknown option: $1" >&2; echo "usage: git [--version] …" >&2; exit 129;;
esac
touch "$0".ran
`
	old := filepath.Join(bin, "git")
	if err := os.WriteFile(old, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	_, resolve := remote(t, src.dir, localAccess(t)).Resolve(context.Background(), Ref{})
	_, update := remote(t, src.dir, localAccess(t)).Update(context.Background(), Ref{KindBranch, "main"}, 0)
	_, files := w.Files(context.Background())
	for _, err := range []error{resolve, update, files} {
		if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "too old; install git "+MinVersion) {
			t.Errorf("got %v: %v", errs.KindOf(err), err)
		}
	}
	if _, err := os.Stat(old + ".ran"); err == nil {
		t.Error("it was started without what it must refuse")
	}
}

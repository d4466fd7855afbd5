package pythonenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestPackageIsWrittenOnce(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	var wait sync.WaitGroup
	dirs := make([]string, 8)
	for i := range dirs {
		wait.Go(func() {
			dir, err := Package(cache)
			if err != nil {
				t.Error(err)
			}
			dirs[i] = dir
		})
	}
	wait.Wait()
	for _, dir := range dirs {
		if dir != dirs[0] {
			t.Errorf("several folders: %q", dirs)
		}
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries are left in the cache, %v", len(entries), err)
	}
	// A folder that is not whole is made again.
	if err := os.Remove(filepath.Join(dirs[0], readyFile)); err != nil {
		t.Fatal(err)
	}
	if dir, err := Package(cache); err != nil || dir != dirs[0] {
		t.Errorf("got %q, %v", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dirs[0], readyFile)); err != nil {
		t.Error(err)
	}
}

// PYTHONPATH comes before site-packages, but a version that is installed wins.
func TestInstalledPackageWins(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3: scripts/setup installs it")
	}
	dir, err := Package(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	site := t.TempDir()
	run := func(path ...string) string {
		t.Helper()
		cmd := exec.Command(python, "-B", "-c", "import refline; print(refline.__version__, refline.task.__module__)")
		cmd.Env = append(os.Environ(), "PYTHONPATH="+strings.Join(path, string(os.PathListSeparator)))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	own := run(dir, site)
	if !strings.HasSuffix(own, "refline._task\n") || strings.Contains(own, "installed") {
		t.Fatalf("without an installed one: %q", own)
	}
	version, _, _ := strings.Cut(own, " ")
	if err := os.CopyFS(site, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_version.py", "__init__.py"} {
		if err := os.Chmod(filepath.Join(site, "refline", name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(dir, site); got != own {
		t.Errorf("the same version: %q, want %q", got, own)
	}
	if err := os.WriteFile(filepath.Join(site, "refline", "_version.py"), []byte("__version__ = \"9.9\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := "refline: version 9.9 of the Python package is installed and is used; the program brings " + version + "\n9.9 refline._task\n"
	if got := run(dir, site); got != want {
		t.Errorf("another version: %q, want %q", got, want)
	}
}

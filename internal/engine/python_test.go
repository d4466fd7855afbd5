package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/pipeline"
)

// The Python package is the last of PYTHONPATH; a container has it by a read-only
// mount, with the version in its path.
func TestPythonPackageOfAJob(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "refline-1.2.3")
	must(t, os.Mkdir(dir, 0o755))
	for _, container := range []bool{false, true} {
		h := newJob(t, pipeline.Job{Script: []string{"true"}})
		h.in.PythonPackage = func() (string, error) { return dir, nil }
		h.in.KeepResults = "results/1"
		h.fake.InContainer = container
		script := ""
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			for _, m := range h.fake.Specs[0].Mounts {
				if text, err := os.ReadFile(filepath.Join(m.Source, scriptMain)); err == nil {
					script = string(text)
				}
			}
			return 0, nil
		}
		if res := h.run(); res.Err != nil {
			t.Fatal(res.Err)
		}
		want := dir
		if container {
			want = "/builds/project.python/refline-1.2.3"
		}
		if line := `export PYTHONPATH="${PYTHONPATH:+$PYTHONPATH:}"`; !strings.Contains(script, line) || !strings.Contains(script, want) {
			t.Errorf("in a container %v: the script lacks %s%s:\n%s", container, line, want, script)
		}
		mounted, results := false, false
		for _, m := range h.fake.Specs[0].Mounts {
			mounted = mounted || m.Source == dir && m.Target == want && m.ReadOnly
			results = results || m.Target == "/builds/project.results" && !m.ReadOnly
		}
		if mounted != container || results != container {
			t.Errorf("in a container %v: the package is mounted: %v, the folder of results: %v", container, mounted, results)
		}
	}
}

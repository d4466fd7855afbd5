//go:build unix

package sdkpython

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// prefectVersion is the Prefect whose flows are run in each test of the package.
const prefectVersion = "3.8.8"

// TestPrefect runs flows of Prefect, installed from PyPI once. REFLINE_TEST_PREFECT
// names other versions, with spaces between them, and runs all of their tests:
// scripts/e2e-prefect.
func TestPrefect(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python")
	}
	versions, some := []string{prefectVersion}, "a_flow_and_its_tasks or a_failure"
	if list := os.Getenv("REFLINE_TEST_PREFECT"); list != "" {
		versions, some = strings.Fields(list), ""
	}
	p, ok := prefectPython(pythons(t))
	if !ok {
		t.Skip("flows of Prefect are not tested: no Python from 3.10 to 3.13 with venv; scripts/setup installs it")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder for the environment of the tests: %v", err)
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(cache, "refline-test", "python-"+p.version+"-prefect-"+version)
			if err := makeEnvironment(p, dir, []string{"pytest", "prefect==" + version}); err != nil {
				t.Skipf("flows of Prefect %s are not tested, since it cannot be installed: %v", version, err)
			}
			args := []string{"-m", "pytest", "-q", "-rs", "tests/test_prefect.py"}
			if some != "" {
				args = append(args, "-k", some)
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "python"), args...)
			cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("pytest with Prefect %s: %v\n%s", version, err, out)
			}
			if !strings.Contains(string(out), " passed") {
				t.Fatalf("no test ran:\n%s", out)
			}
			t.Logf("%s", out)
		})
	}
}

// prefectPython prefers the version that all of Prefect's install on.
func prefectPython(found []python) (python, bool) {
	for _, minor := range []string{"3.11.", "3.12.", "3.10.", "3.13."} {
		if i := slices.IndexFunc(found, func(p python) bool { return strings.HasPrefix(p.version, minor) }); i >= 0 {
			return found[i], true
		}
	}
	return python{}, false
}

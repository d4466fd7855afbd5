//go:build unix

package sdkpython

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPackage runs the tests of the Python package with the lowest and the highest
// Python of this computer. The highest one also tests Dask and types.
func TestPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python")
	}
	found := pythons(t)
	if len(found) == 0 {
		t.Skip("no Python 3.9 or later with venv: scripts/setup installs it")
	}
	lowest, highest := found[0], found[len(found)-1]
	t.Run("highest "+highest.version, func(t *testing.T) {
		t.Parallel()
		runTests(t, highest, "pytest", "distributed", "mypy")
	})
	if lowest.version == highest.version {
		t.Logf("only Python %s is here; the package is for 3.9 and later", lowest.version)
		return
	}
	t.Run("lowest "+lowest.version, func(t *testing.T) {
		t.Parallel()
		runTests(t, lowest, "pytest")
	})
}

type python struct{ path, version string }

// pythons finds the versions of Python from 3.9 on, lowest first.
func pythons(t *testing.T) []python {
	t.Helper()
	var paths []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, pattern := range []string{"python3", "python3.?", "python3.??"} {
			list, _ := filepath.Glob(filepath.Join(dir, pattern))
			paths = append(paths, list...)
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		list, _ := filepath.Glob(filepath.Join(home, ".pyenv", "versions", "3.*", "bin", "python3"))
		paths = append(paths, list...)
	}
	minor := map[int]python{}
	for _, path := range paths {
		out, err := exec.Command(path, "-I", "-c", "import sys, venv, ensurepip; print('.'.join(map(str, sys.version_info[:3])))").Output()
		m := regexp.MustCompile(`^3\.(\d+)\.\d+\n$`).FindSubmatch(out)
		if err != nil || m == nil {
			continue
		}
		if n, _ := strconv.Atoi(string(m[1])); n >= 9 && minor[n].path == "" {
			minor[n] = python{path, strings.TrimSpace(string(out))}
		}
	}
	var numbers []int
	for n := range minor {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	var list []python
	for _, n := range numbers {
		list = append(list, minor[n])
	}
	return list
}

// runTests runs pytest in an environment with packages.
func runTests(t *testing.T, p python, packages ...string) {
	t.Helper()
	dir := environment(t, p, packages...)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pytest", "-q", "tests")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "TMPDIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("pytest with Python %s: %v\n%s", p.version, err, out)
	} else {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Log(lines[len(lines)-1])
	}
}

// environment is the folder of an environment with packages, which is kept in the user's
// cache folder for the next time.
func environment(t *testing.T, p python, packages ...string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder for the environment of the tests: %v", err)
	}
	dir := filepath.Join(cache, "refline-test", fmt.Sprintf("python-%s-%s", p.version, strings.Join(packages, "-")))
	if err := makeEnvironment(p, dir, packages); err != nil {
		t.Skipf("the tests of the Python package with Python %s are left out, since their tools cannot be installed: %v", p.version, err)
	}
	return dir
}

// makeEnvironment makes dir whole or not at all.
func makeEnvironment(p python, dir string, packages []string) error {
	ready := filepath.Join(dir, "ready")
	if _, err := os.Stat(ready); err == nil {
		return nil
	}
	for _, args := range [][]string{
		{p.path, "-I", "-m", "venv", "--clear", dir},
		append([]string{filepath.Join(dir, "bin", "python"), "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, packages...),
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return os.WriteFile(ready, nil, 0o644)
}

//go:build unix

package sdkpython

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDistribution: the wheel and the sdist are the same bytes whenever and wherever they
// are built, and the wheel has the files that the program embeds.
func TestDistribution(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package; run without -short")
	}
	t.Parallel()
	found := pythons(t)
	if len(found) == 0 {
		t.Skip("no Python 3.9 or later with venv: scripts/setup installs it")
	}
	highest := found[len(found)-1]
	tools := environment(t, highest, "hatchling")
	built := make([]map[string][]byte, 2)
	for i := range built {
		// The second build is elsewhere, of files with other times and rights.
		source := filepath.Join(t.TempDir(), strings.Repeat("x", i+1))
		if err := os.CopyFS(source, os.DirFS(".")); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := os.Chmod(filepath.Join(source, "src", "refline", "_flow.py"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out := t.TempDir()
		cmd := exec.CommandContext(t.Context(), filepath.Join(tools, "bin", "python"), "-m", "hatchling", "build", "-d", out)
		cmd.Dir = source
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		built[i] = readFiles(t, out)
	}
	if len(built[0]) != 2 {
		t.Fatalf("built %d files, want a wheel and an sdist", len(built[0]))
	}
	for name, first := range built[0] {
		if !bytes.Equal(first, built[1][name]) {
			t.Errorf("%s differs between two builds", name)
		}
		if strings.HasSuffix(name, ".whl") {
			if diff := cmp.Diff(embedded(t), inWheel(t, first)); diff != "" {
				t.Errorf("files of %s (-embedded +wheel):\n%s", name, diff)
			}
		}
	}
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func embedded(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := fs.ReadDir(Files, "src/refline")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(Files, "src/refline/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all["refline/"+e.Name()] = string(text)
	}
	return all
}

// inWheel are the files of the package in a wheel.
func inWheel(t *testing.T, wheel []byte) map[string]string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range r.File {
		if strings.HasPrefix(f.Name, "refline/") {
			text, err := fs.ReadFile(r, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			all[f.Name] = string(text)
		}
	}
	return all
}

// TestOldSyntax: every file of the package, and of its examples, is Python 3.9, whatever
// Python is at hand.
func TestOldSyntax(t *testing.T) {
	t.Parallel()
	found := pythons(t)
	if len(found) == 0 {
		t.Skip("no Python 3.9 or later with venv: scripts/setup installs it")
	}
	const check = `import ast, pathlib, sys
bad = 0
for folder in sys.argv[2:]:
    for file in sorted(f for f in pathlib.Path(folder).rglob("*.py*") if f.suffix in (".py", ".pyi")):
        try:
            ast.parse(file.read_bytes(), str(file), feature_version=tuple(map(int, sys.argv[1].split("."))))
        except SyntaxError as e:
            bad += 1
            print("%s:%s: %s" % (file, e.lineno, e.msg))
sys.exit(bad > 0)
`
	run := func(version string, folders ...string) (string, error) {
		out, err := exec.Command(found[len(found)-1].path, append([]string{"-I", "-c", check, version}, folders...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := run("3.9", "src", "../../examples/flows"); err != nil {
		t.Errorf("not Python 3.9: %v\n%s", err, out)
	}
	// The check sees newer syntax.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "new.py"), []byte("match x:\n    case 1: pass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run("3.9", dir); err == nil {
		t.Errorf("newer syntax is not seen: %s", out)
	}
}

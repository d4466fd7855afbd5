package jsonnet

import (
	"os"
	"path/filepath"
	"testing"

	"refline/internal/errs"
)

func TestFilesFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.libsonnet"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := FilesFrom(dir)
	for _, path := range []string{"a.libsonnet", filepath.Join(dir, "a.libsonnet")} {
		if text, err := read(path); err != nil || string(text) != "{}" {
			t.Errorf("read %s: got %q, %v; want {}", path, text, err)
		}
	}
	if _, err := read("."); !errs.Is(err, errs.Invalid) {
		t.Errorf("read a folder: got %v, want an invalid input", err)
	}
	if _, err := read("none"); !os.IsNotExist(err) {
		t.Errorf("read a missing file: got %v, want one that does not exist", err)
	}
}

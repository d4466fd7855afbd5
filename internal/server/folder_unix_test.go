//go:build !windows

package server

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDataFolderIsClosedToOthers: the data folder has mode 0700, and each file in it 0600.
func TestDataFolderIsClosedToOthers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	entries, err := os.ReadDir(s.data)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 5 {
		t.Fatalf("%d entries in the data folder; want the database, keys and more", len(entries))
	}
	paths := []string{s.data}
	for _, e := range entries {
		paths = append(paths, filepath.Join(s.data, e.Name()))
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
		}
	}
}

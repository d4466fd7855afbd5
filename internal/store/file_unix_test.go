//go:build !windows

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"refline/internal/store"
)

// TestOthersCannotReadTheDatabase: SQLite makes files that all may read; a database
// made so before, or widened since, is closed to others when it is opened.
func TestOthersCannotReadTheDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "refline.db")
	for _, before := range []os.FileMode{0, 0o644, 0o666} {
		if before != 0 {
			if err := os.Chmod(path, before); err != nil {
				t.Fatal(err)
			}
		}
		s, err := store.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, path + "-wal", path + "-shm"} {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != 0o600 {
				t.Errorf("made with %o: %s has mode %o, want 600", before, filepath.Base(name), got)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package workspace

import (
	"errors"
	"os"
	"path/filepath"
)

// KeepOnlyGit empties a checkout but for its .git: GIT_CHECKOUT=false.
func KeepOnlyGit(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.Name() != ".git" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

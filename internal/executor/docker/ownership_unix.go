//go:build unix

package docker

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// foreignFiles lists, relative to root, files that belong to another user and
// changed since. The content of a listed folder is not listed. On the way it makes
// the user's own files readable: if root in a container is this user, a job may have
// changed their mode.
func foreignFiles(root string, since time.Time) []string {
	uid := uint32(os.Getuid())
	since = since.Add(-time.Second) // file systems have coarser times
	var list []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // an unreadable folder is listed already, or is not the job's
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || changed(stat).Before(since) {
			return nil
		}
		if stat.Uid == uid {
			makeReadable(path, info)
			return nil
		}
		if rel, err := filepath.Rel(root, path); err == nil {
			list = append(list, rel)
		}
		if entry.IsDir() && path != root {
			return fs.SkipDir
		}
		return nil
	})
	return list
}

func makeReadable(path string, info fs.FileInfo) {
	want := fs.FileMode(0o400)
	if info.IsDir() {
		want = 0o700
	}
	if info.Mode()&(fs.ModeType&^fs.ModeDir) == 0 && info.Mode()&want != want {
		_ = os.Chmod(path, info.Mode().Perm()|want) // reading it reports the error
	}
}

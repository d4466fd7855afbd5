package docker

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"refline/internal/errs"
)

func changed(s *syscall.Stat_t) time.Time { return time.Unix(s.Ctim.Unix()) }

// makeWorldWritable lets any user write below root, because the container's user is
// another one. GitLab's runner does so too, with an empty umask.
func makeWorldWritable(root string) error {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&^fs.ModeDir != 0 { // links and sockets stay as they are
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		want := mode | 0o666
		if mode&0o100 != 0 || entry.IsDir() {
			want |= 0o111
		}
		if want == mode {
			return nil
		}
		return os.Chmod(path, want|info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky))
	})
	if err != nil {
		return errs.E(errs.Denied, "make the job's folder writable for the container's user: %w", err)
	}
	return nil
}

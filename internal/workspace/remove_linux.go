package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// RemoveAll removes dir with everything inside, also folders that were made
// read-only. It never goes through a mount: what a job mounted in its
// workspace is unmounted, not emptied.
func RemoveAll(dir string) error {
	parent, err := openFolder(filepath.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.close()
	return parent.removeAll(filepath.Base(dir), dir)
}

// removeAll removes name, which is full for messages, in f.
func (f folder) removeAll(name, full string) error {
	err := unix.Unlinkat(f.fd, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EBUSY) {
		return pathError("remove", full, err)
	}
	sub, openErr := f.openForRemoval(name)
	switch {
	case errors.Is(openErr, unix.ENOTDIR) || errors.Is(openErr, unix.ELOOP): // a file or link that stays
		return pathError("remove", full, err)
	case errors.Is(openErr, unix.EXDEV):
		if err := unix.Unmount(full, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
			return pathError("unmount", full, err)
		}
		return f.removeAll(name, full)
	case errors.Is(openErr, unix.ENOENT):
		return nil
	case openErr != nil:
		return pathError("remove", full, openErr)
	}
	err = sub.empty(full)
	sub.close()
	if err != nil {
		return err
	}
	err = unix.Unlinkat(f.fd, name, unix.AT_REMOVEDIR)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return pathError("remove", full, err)
}

// empty removes what is in f.
func (f folder) empty(full string) error {
	fd, err := openat(f.fd, ".", openFolderFlags, 0)
	if err != nil {
		return pathError("open", full, err)
	}
	dir := os.NewFile(uintptr(fd), full)
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	writable := false
	for _, e := range entries {
		if !e.IsDir() {
			err := unix.Unlinkat(f.fd, e.Name(), 0)
			if err == nil {
				continue
			}
		}
		err := f.removeAll(e.Name(), full+"/"+e.Name())
		if errors.Is(err, fs.ErrPermission) && !writable {
			writable = true
			if unix.Fchmod(f.fd, 0o700) == nil {
				err = f.removeAll(e.Name(), full+"/"+e.Name())
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// openForRemoval opens a directory unless another file system is mounted
// there (EXDEV).
func (f folder) openForRemoval(name string) (folder, error) {
	how := unix.OpenHow{Flags: openFolderFlags | unix.O_NOFOLLOW, Resolve: unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS}
	open := func() (int, error) {
		fd, err := unix.Openat2(f.fd, name, &how)
		if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
			// A kernel before 5.6, or a sandbox without the call.
			return unix.Openat(f.fd, name, openFolderFlags|unix.O_NOFOLLOW, 0)
		}
		return fd, err
	}
	fd, err := ignoreEINTR(open)
	if errors.Is(err, unix.EACCES) && unix.Fchmodat(f.fd, name, 0o700, 0) == nil {
		fd, err = ignoreEINTR(open)
	}
	return folder{fd}, err
}

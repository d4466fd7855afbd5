package workspace

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// smallFile is the size up to which reading and writing beats asking the
// kernel to copy.
const smallFile = 64 << 10

// share is for systems that clone a file by its name.
func (f folder) share(folder, *fileNode) bool { return false }

// copyContent copies what is left of from. copy_file_range shares the blocks
// itself on file systems that can (XFS, btrfs, bcachefs, NFS), so there is
// nothing to find out beforehand.
func copyContent(to, from int, size int64) (int64, error) {
	if size <= smallFile && !sharesSmall(to) {
		return copyBuffered(to, from, size)
	}
	var total int64
	for {
		n, err := unix.CopyFileRange(from, nil, to, nil, 1<<30, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil && total == 0:
			// Another device on an old kernel, a file system without it.
			return copyBuffered(to, from, size)
		case err != nil:
			return total, err
		case n == 0 && total == 0:
			// Some virtual file systems claim to have nothing to copy.
			return copyBuffered(to, from, size)
		case n == 0:
			return total, nil
		default:
			total += int64(n)
		}
	}
}

// sharesSmall reports whether a file is on btrfs, where writing even a small
// one costs more than sharing it (measured; on XFS it is the other way round).
func sharesSmall(file int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(file, &fs) == nil && fs.Type == unix.BTRFS_SUPER_MAGIC
}

// sharesBlocks tries to make file to as a clone of from.
func sharesBlocks(from, to string) bool {
	src, err := os.Open(from)
	if err != nil {
		return false
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return false
	}
	defer dst.Close()
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) == nil
}

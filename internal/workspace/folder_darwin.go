package workspace

import "golang.org/x/sys/unix"

// share makes the file as a clone of the one in src, with its permissions and
// times, where the file system (APFS) can and where that pays.
func (f folder) share(src folder, n *fileNode) bool {
	const small = 64 << 10
	return n.size > small && unix.Clonefileat(src.fd, n.name, f.fd, n.name, unix.CLONE_NOFOLLOW) == nil
}

// copyContent copies what is left of from.
func copyContent(to, from int, size int64) (int64, error) { return copyBuffered(to, from, size) }

// sharesBlocks tries to make file to as a clone of from.
func sharesBlocks(from, to string) bool { return unix.Clonefile(from, to, unix.CLONE_NOFOLLOW) == nil }

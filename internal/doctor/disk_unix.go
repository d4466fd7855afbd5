//go:build !windows

package doctor

import "golang.org/x/sys/unix"

// freeSpace is how many bytes of the disk of dir this user may still fill.
func freeSpace(dir string) (uint64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return uint64(fs.Bavail) * uint64(fs.Bsize), err //nolint:unconvert,gosec // the types differ by system
}

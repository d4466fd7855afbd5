//go:build !windows

// Package diskspace says how much room a disk has. It does not know what for.
package diskspace

import "golang.org/x/sys/unix"

// Free returns how many bytes of the disk of dir this user may still fill.
func Free(dir string) (uint64, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return uint64(fs.Bavail) * uint64(fs.Bsize), err //nolint:unconvert,gosec // the types differ by system
}

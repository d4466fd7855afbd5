package workspace

import (
	"os"

	"golang.org/x/sys/unix"
)

// cloneTree fills the empty folder dst with a clone of src in one call, if the
// file system (APFS) supports it.
func cloneTree(src, dst string) bool {
	if os.Remove(dst) != nil {
		return false
	}
	if unix.Clonefile(src, dst, unix.CLONE_NOFOLLOW) == nil {
		return true
	}
	_ = RemoveAll(dst)
	_ = os.Mkdir(dst, 0o777) // the next method needs it, and reports if it is missing
	return false
}

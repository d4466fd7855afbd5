package workspace

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs f as a user who owns nothing: this thread's view of files is
// changed, and the thread ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f() // whoever is not root cannot read what has no permissions either
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, e := unix.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0); e != 0 {
			t.Error(e)
			return
		}
		f()
	}()
	<-done
}

// What may not be read is left out and named, in a tree of memory and in one on
// disk.
func TestSnapshotOfUnreadableFiles(t *testing.T) {
	t.Parallel()
	for name, large := range map[string]int{"in memory": 0, "on disk": memoryBytes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := plant(t, files{"a": "1", "closed/f": "2", "d/locked": "3", "d/z": string(make([]byte, large+1)), "b": "4"})
			dst := filepath.Join(t.TempDir(), "base")
			for _, dir := range []string{filepath.Dir(root), root, filepath.Dir(filepath.Dir(dst)), filepath.Dir(dst)} {
				must(t, os.Chmod(dir, 0o777))
			}
			must(t, os.Chmod(filepath.Join(root, "closed"), 0))
			must(t, os.Chmod(filepath.Join(root, "d/locked"), 0))
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(root, "closed"), 0o755) })
			var tree *Tree
			var err error
			asNobody(t, func() {
				tree, err = SnapshotTree(t.Context(), dst, root, []string{"a", "b", "closed/f", "d/locked", "d/z"})
			})
			must(t, err)
			if got := tree.LeftOut(); !slices.Equal(got, []string{"closed/f", "d/locked"}) {
				t.Errorf("left out: %v", got)
			}
			for path, want := range map[string]bool{"a": true, "b": true, "d/z": true, "closed/f": false, "d/locked": false} {
				if got := tree.Has(path); got != want {
					t.Errorf("%s in the tree: %v", path, got)
				}
			}
		})
	}
}

// The name of a file is bytes, and need not be text.
func TestSnapshotOfNamesThatAreNoText(t *testing.T) {
	t.Parallel()
	for name, large := range map[string]int{"in memory": 0, "on disk": memoryBytes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := files{"f\xff.txt": "1", "d\xfc/f": string(make([]byte, large+1))}
			root, dst := plant(t, want), filepath.Join(t.TempDir(), "base")
			tree, err := SnapshotTree(t.Context(), dst, root, []string{"f\xff.txt", "d\xfc/f"})
			must(t, err)
			work, err := tree.Clone(t.Context(), filepath.Join(t.TempDir(), "work"))
			must(t, err)
			defer work.Close()
			for path := range want {
				if _, err := os.Lstat(filepath.Join(work.Dir, path)); err != nil || !tree.Has(path) {
					t.Errorf("%q is missing: %v", path, err)
				}
			}
		})
	}
}

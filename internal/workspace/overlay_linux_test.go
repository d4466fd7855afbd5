package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// needMount skips where overlays cannot be had.
func needMount(t *testing.T) {
	t.Helper()
	lower, dst := t.TempDir(), t.TempDir()
	if !canMount() {
		t.Skip("overlay mounts need root: run this test as root")
	}
	if err := mountOverlay(lower, dst); err != nil {
		t.Skipf("no overlay mounts here (%v): run on a file system and in a container that allow them", err)
	}
	must(t, unmountOverlay(dst))
}

func mountTable(t *testing.T) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return string(table)
}

func TestLargeTreesAreMounted(t *testing.T) {
	t.Parallel()
	needMount(t)
	base := plant(t, manyFiles(overlayFiles))
	w, err := NewTree(base).Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	if len(mountsBelow(mountTable(t), w.Dir)) != 1 {
		t.Error("not a mount")
	}
	// A process that still stands in it does not keep it.
	in, err := os.Open(w.Dir)
	must(t, err)
	defer in.Close()
	must(t, w.Close())
	same(t, len(mountsBelow(mountTable(t), filepath.Dir(w.Dir))), 0)
	left, err := os.ReadDir(filepath.Dir(w.Dir))
	must(t, err)
	same(t, len(left), 0)
}

func TestSweepUnmounts(t *testing.T) {
	t.Parallel()
	needMount(t)
	tree := manyFiles(overlayFiles)
	base := plant(t, tree)
	parent := filepath.Join(t.TempDir(), "runs")
	killed := startRole(t, "overlay", filepath.Join(parent, "dead"), "REFLINE_TEST_BASE="+base)
	must(t, killed.Process.Kill())
	_ = killed.Wait()
	same(t, len(mountsBelow(mountTable(t), parent)), 1)
	must(t, Sweep(parent, nil))
	same(t, len(mountsBelow(mountTable(t), parent)), 0)
	same(t, harvest(t, base), tree)
	if _, err := os.Lstat(filepath.Join(parent, "dead")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the folder is left")
	}
}

func TestRemovalDoesNotEnterMounts(t *testing.T) {
	t.Parallel()
	needMount(t)
	precious := plant(t, files{"keep": "me"})
	w, err := NewTree(plant(t, files{"f": "x"})).Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	inside := filepath.Join(w.Dir, "a", "mounted here")
	must(t, os.MkdirAll(inside, 0o755))
	// The same file system: a comparison of devices would not notice.
	must(t, unix.Mount(precious, inside, "", unix.MS_BIND, ""))
	must(t, w.Close())
	same(t, harvest(t, precious), files{"keep": "me"})
	same(t, len(mountsBelow(mountTable(t), w.Dir)), 0)
}

// What a job wrote is moved out of an overlay, not copied; what it did not
// touch is copied, since it is not its own.
func TestMoveFromAnOverlay(t *testing.T) {
	t.Parallel()
	needMount(t)
	base := manyFiles(overlayFiles)
	base["out/tracked"], base["out/changed"], base["out/gone"], base["old/f"] = "base", "base", "base", "base"
	dir := plant(t, base)
	tree := NewTree(dir)
	w, err := tree.Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	plantIn(t, w.Dir, files{"out/new/deep/f": "new", "out/big": strings.Repeat("x", 1<<20)})
	must(t, os.WriteFile(filepath.Join(w.Dir, "out/changed"), []byte("changed"), 0o644))
	must(t, os.Remove(filepath.Join(w.Dir, "out/gone")))
	must(t, os.Rename(filepath.Join(w.Dir, "old"), filepath.Join(w.Dir, "out", "renamed")))
	var before unix.Stat_t
	must(t, unix.Stat(filepath.Join(w.Dir+overlaySuffix, "upper/out/big"), &before))

	dst := filepath.Join(filepath.Dir(w.Dir), "a")
	sel, err := Select(t.Context(), w.Dir, Wanted{Paths: []string{"out"}})
	must(t, err)
	must(t, sel.CopyTo(t.Context(), dst, CopyOptions{Move: true}))
	sel.Close()
	same(t, harvest(t, dst), files{
		"out/tracked": "base", "out/changed": "changed", "out/new/deep/f": "new", "out/renamed/f": "base", "out/big": strings.Repeat("x", 1<<20),
	})
	var after unix.Stat_t
	must(t, unix.Stat(filepath.Join(dst, "out/big"), &after))
	same(t, after.Ino, before.Ino)
	must(t, w.Close())
	same(t, harvest(t, dir), base)
}

func TestMountsBelow(t *testing.T) {
	t.Parallel()
	table := strings.Join([]string{
		`22 1 254:0 / / rw - ext4 /dev/vda rw`,
		`40 22 0:30 / /s/runs/1/w rw - overlay refline rw`,
		`41 40 0:31 / /s/runs/1/w/a\040b\134 rw - tmpfs x rw`,
		`42 22 0:32 / /s/runs/10 rw - tmpfs x rw`,
		`short`,
	}, "\n")
	same(t, mountsBelow(table, "/s/runs/1"), []string{`/s/runs/1/w/a b\`, "/s/runs/1/w"})
}

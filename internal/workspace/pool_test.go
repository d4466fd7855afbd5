//go:build linux || darwin

package workspace

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// facts is a tree with everything that a job could see of each name.
func facts(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, content := range harvest(t, dir) {
		out[name] = content
	}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		text := fmt.Sprint(info.Mode(), info.Sys().(*syscall.Stat_t).Gid)
		if !d.IsDir() {
			text += info.ModTime().UTC().Format(time.RFC3339Nano)
		}
		if n, err := unix.Llistxattr(path, nil); err == nil && n > 0 {
			text += " has attributes"
		}
		out[rel+": facts"] = text
		return nil
	}))
	return out
}

func poolTree(t testing.TB, inMemory bool) (tree *Tree, clone func() *Workspace) {
	t.Helper()
	base := plant(t, files{
		"a": "one", "b": "two", "bin/tool": "!run", "deep/er/f": "x", "deep/g": "y", "link": "-> a", "empty/": "",
		"other/h": "z", "other/i": "zz",
	})
	old := time.Date(2020, 2, 3, 4, 5, 6, 789000000, time.UTC)
	for _, name := range []string{"a", "b", "bin/tool", "deep/er/f", "deep/g", "other/h", "other/i"} {
		must(t, os.Chtimes(filepath.Join(base, name), old, old))
	}
	tree = NewTree(base)
	tree.noMount.Store(true)
	must(t, tree.load())
	if !inMemory {
		tree.dir = base
		for i := range tree.dirs {
			for j := range tree.dirs[i].files {
				tree.dirs[i].files[j].data = nil
			}
		}
	}
	top := t.TempDir()
	tree.UsePool(filepath.Join(top, "pool"))
	n := 0
	return tree, func() *Workspace {
		n++
		w, err := tree.Clone(t.Context(), filepath.Join(top, "jobs", string(rune('0'+n%10))+string(rune('a'+n/10)), "work"))
		must(t, err)
		return w
	}
}

// mischief is what a job may do to its workspace. The paths are of poolTree;
// outside is a folder that no workspace may reach.
var mischief = map[string]func(dir, outside string) error{
	"nothing":              func(string, string) error { return nil },
	"same size, same time": func(dir, _ string) error { return rewrite(filepath.Join(dir, "a"), "eno") },
	"longer":               func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "a"), []byte("longer"), 0o644) },
	"touch":                func(dir, _ string) error { return os.Chtimes(filepath.Join(dir, "b"), time.Now(), time.Now()) },
	"remove":               func(dir, _ string) error { return os.Remove(filepath.Join(dir, "deep/er/f")) },
	"remove a folder":      func(dir, _ string) error { return os.RemoveAll(filepath.Join(dir, "deep")) },
	"remove all":           func(dir, _ string) error { return emptied(dir) },
	"mode":                 func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "bin/tool"), 0o644) },
	"mode of a folder":     func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "other"), 0o700) },
	"a sealed folder":      func(dir, _ string) error { return os.Chmod(filepath.Join(dir, "other"), 0) },
	"mode of the root":     func(dir, _ string) error { return os.Chmod(dir, 0o700) },
	"a file for a folder": func(dir, _ string) error {
		return swap(dir, "other", func(p string) error { return os.WriteFile(p, nil, 0o644) })
	},
	"a folder for a file": func(dir, _ string) error {
		return swap(dir, "b", func(p string) error { return os.MkdirAll(p+"/in/side", 0o755) })
	},
	"a link for a folder": func(dir, out string) error {
		return swap(dir, "other", func(p string) error { return os.Symlink(out, p) })
	},
	"a link for an upper": func(dir, out string) error {
		return swap(dir, "deep", func(p string) error { return os.Symlink(out, p) })
	},
	"a link for a file": func(dir, out string) error {
		return swap(dir, "a", func(p string) error { return os.Symlink(out+"/h", p) })
	},
	"a pipe for a file": func(dir, _ string) error {
		return swap(dir, "a", func(p string) error { return unix.Mkfifo(p, 0o644) })
	},
	"another link": func(dir, _ string) error {
		return swap(dir, "link", func(p string) error { return os.Symlink("b", p) })
	},
	"another hard link":          func(dir, out string) error { return os.Link(filepath.Join(dir, "a"), filepath.Join(out, "linked")) },
	"two files change places":    func(dir, _ string) error { return exchange(dir, "a", "b") },
	"two folders change places":  func(dir, _ string) error { return exchange(dir, "deep", "other") },
	"new files":                  func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "deep/new"), nil, 0o600) },
	"new folders":                func(dir, _ string) error { return os.MkdirAll(filepath.Join(dir, "build/x/y"), 0o755) },
	"a new file in an empty one": func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, "empty/n"), nil, 0o644) },
	"an attribute":               func(dir, _ string) error { return attribute(filepath.Join(dir, "a")) },
	"another group":              func(dir, _ string) error { return regroup(filepath.Join(dir, "other")) },
	"an attribute of a folder":   func(dir, _ string) error { return attribute(filepath.Join(dir, "other")) },
}

// rewrite changes a file's content and leaves its times as they were.
func rewrite(path, content string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

func emptied(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	return err
}

func swap(dir, name string, put func(path string) error) error {
	path := filepath.Join(dir, name)
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return put(path)
}

func exchange(dir, a, b string) error {
	a, b = filepath.Join(dir, a), filepath.Join(dir, b)
	for _, step := range [][2]string{{a, a + ".tmp"}, {b, a}, {a + ".tmp", b}} {
		if err := os.Rename(step[0], step[1]); err != nil {
			return err
		}
	}
	return nil
}

// regroup does nothing for who may not give files away.
func regroup(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(path, -1, 4321)
}

func attribute(path string) error {
	err := unix.Setxattr(path, "user.left", []byte("x"), 0)
	if err == unix.ENOTSUP {
		return nil
	}
	return err
}

// Whatever a job did, the next one finds its workspace as new.
func TestReusedWorkspacesAreAsNew(t *testing.T) {
	t.Parallel()
	for name, do := range mischief {
		for _, inMemory := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "/memory", false: "/disk"}[inMemory], func(t *testing.T) {
				t.Parallel()
				outside := plant(t, files{"h": "not ours", "er/f": "nor this"})
				_, clone := poolTree(t, inMemory)
				w := clone()
				want := facts(t, w.Dir)
				for range 3 {
					must(t, do(w.Dir, outside))
					w.Release()
					must(t, w.Close())
					w = clone()
					same(t, facts(t, w.Dir), want)
					_ = os.Remove(filepath.Join(outside, "linked"))
					same(t, harvest(t, outside), files{"h": "not ours", "er/f": "nor this"})
				}
			})
		}
	}
}

// The same with several things done in any order, and some time between.
func TestReusedWorkspacesAreAsNewAfterAnything(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range mischief {
		if name != "another hard link" && name != "a pipe for a file" { // a job would wait at the pipe
			names = append(names, name)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		_, clone := poolTree(t, rapid.Bool().Draw(r, "in memory"))
		outside := t.TempDir()
		w := clone()
		want := facts(t, w.Dir)
		for _, job := range rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom(names), 0, 4), 1, 4).Draw(r, "jobs") {
			for _, name := range job {
				_ = mischief[name](w.Dir, outside) // some cannot follow others
			}
			w.Release()
			w = clone()
			same(t, facts(t, w.Dir), want)
		}
	})
}

// Released workspaces are used again, and what was in them is not in the way.
func TestReleasedWorkspaceIsTaken(t *testing.T) {
	t.Parallel()
	tree, clone := poolTree(t, true)
	w := clone()
	before, err := os.Stat(w.Dir)
	must(t, err)
	must(t, os.MkdirAll(filepath.Join(w.Dir, "node_modules/x"), 0o755))
	w.Release()
	same(t, len(tree.pool), 1)
	w = clone()
	after, err := os.Stat(w.Dir)
	must(t, err)
	if !os.SameFile(before, after) {
		t.Error("another folder was made")
	}
	same(t, len(tree.pool), 0)
	other := clone() // while the first is in use
	must(t, other.Close())
	w.Release()
	must(t, w.Close())
	files, err := tree.CloneFiles(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	files.Release()
	must(t, files.Close())
	same(t, len(tree.pool), 1)
}

func TestCtimeIsTrusted(t *testing.T) {
	t.Parallel()
	const now = int64(1_800_000_000_000_000_000)
	for name, c := range map[string]struct {
		ctime int64
		want  bool
	}{
		"long before":                     {now - 1e9 - 1, true},
		"a tick before":                   {now - 4e6 - 1, false},
		"at the same time":                {now, false},
		"whole seconds, just before":      {now - 1e9, false},
		"whole seconds, long before":      {now - 3e9, true},
		"hundredths, as some disks keep":  {now - 50e6, false},
		"in the future, by another clock": {now + 1e9 + 1, false},
	} {
		s := stamp{id: Identity{1, c.ctime}}
		if got := s.surely(now); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

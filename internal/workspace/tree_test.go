package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCloneGivesTheSameFiles(t *testing.T) {
	t.Parallel()
	large := manyFiles(1200)
	for name, content := range oddNames {
		large["odd/"+name] = content
	}
	for name, tree := range map[string]files{"small": oddNames, "large": large, "nothing": {}} {
		for _, how := range []string{"Clone", "CloneFiles"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				base := plant(t, tree)
				dst := filepath.Join(t.TempDir(), "jobs", "1", "work")
				clone := NewTree(base).Clone
				if how == "CloneFiles" {
					clone = NewTree(base).CloneFiles
				}
				w, err := clone(t.Context(), dst)
				must(t, err)
				if len(tree) > 0 {
					same(t, harvest(t, w.Dir), tree)
				}
				must(t, w.Close())
				must(t, w.Close())
				left, err := os.ReadDir(filepath.Dir(dst))
				must(t, err)
				same(t, len(left), 0)
				if len(tree) > 0 {
					same(t, harvest(t, base), tree)
				}
			})
		}
	}
}

func TestCloneKeepsTimesAndModes(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]files{"small": {"f": "x", "ro": "y"}, "large": func() files {
		tree := manyFiles(1200)
		tree["f"], tree["ro"] = "x", "y"
		return tree
	}()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := plant(t, tree)
			old := time.Date(2020, 2, 3, 4, 5, 6, 789000000, time.UTC)
			must(t, os.Chtimes(filepath.Join(base, "f"), old, old))
			must(t, os.Chmod(filepath.Join(base, "f"), 0o666))
			must(t, os.Chmod(filepath.Join(base, "ro"), 0o444))
			must(t, os.Mkdir(filepath.Join(base, "sealed"), 0o755))
			must(t, os.WriteFile(filepath.Join(base, "sealed", "in"), nil, 0o600))
			must(t, os.Chmod(filepath.Join(base, "sealed"), 0o555))
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(base, "sealed"), 0o755) })
			w, err := NewTree(base).CloneFiles(t.Context(), filepath.Join(t.TempDir(), "w"))
			must(t, err)
			info, err := os.Stat(filepath.Join(w.Dir, "f"))
			must(t, err)
			same(t, info.ModTime().UTC(), old)
			if runtime.GOOS == "windows" {
				return
			}
			for name, want := range map[string]fs.FileMode{"f": 0o666, "ro": 0o444, "sealed": 0o555, "sealed/in": 0o600} {
				info, err := os.Stat(filepath.Join(w.Dir, name))
				must(t, err)
				if info.Mode().Perm() != want {
					t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
				}
			}
			must(t, w.Close())
		})
	}
}

func TestClonesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]files{"small": {"sub/f": "base"}, "large": func() files {
		tree := manyFiles(1200)
		tree["sub/f"] = "base"
		return tree
	}()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := plant(t, tree)
			parent := t.TempDir()
			tr := NewTree(base)
			one, err := tr.Clone(t.Context(), filepath.Join(parent, "one"))
			must(t, err)
			// In place, as a job that appends would.
			f, err := os.OpenFile(filepath.Join(one.Dir, "sub", "f"), os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = f.WriteString(" changed")
			must(t, errors.Join(err, f.Close()))
			must(t, os.Rename(filepath.Join(one.Dir, "sub"), filepath.Join(one.Dir, "renamed")))
			two, err := tr.Clone(t.Context(), filepath.Join(parent, "two"))
			must(t, err)
			same(t, harvest(t, two.Dir), tree)
			got, err := os.ReadFile(filepath.Join(one.Dir, "renamed", "f"))
			must(t, err)
			same(t, string(got), "base changed")
			must(t, one.Close())
			must(t, two.Close())
			same(t, harvest(t, base), tree)
		})
	}
}

func TestCloneIntoWhatIsThereIsRefused(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]files{"small": {"f": "x"}, "large": manyFiles(1200)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := plant(t, files{"mine": "keep"})
			base := plant(t, tree)
			if _, err := NewTree(base).Clone(t.Context(), dst); err == nil {
				t.Fatal("no error for a folder that is there")
			}
			same(t, harvest(t, dst), files{"mine": "keep"})
		})
	}
}

func TestCanceledCloneLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	for name, tree := range map[string]files{"small": {"f": "x"}, "large": manyFiles(1200)} {
		dst := filepath.Join(t.TempDir(), "w")
		_, err := NewTree(plant(t, tree)).CloneFiles(ctx, dst)
		if !errors.Is(err, stop) {
			t.Errorf("%s: error %v, want the cause", name, err)
		}
		if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v is left", name, dst)
		}
	}
}

func TestSnapshotTakesWhatGitNames(t *testing.T) {
	t.Parallel()
	root := plant(t, files{
		"tracked.txt": "changed, not committed",
		"run.sh":      "!echo",
		"link":        "-> tracked.txt",
		"ignored.log": "no",
		"moved":       "-> elsewhere",
		"elsewhere/f": "behind a link",
		"module/":     "",
		"a/b/c":       "deep",
	})
	names := []string{"tracked.txt", "run.sh", "link", "deleted.txt", "moved", "moved/f", "module", "a/b/c", "a/b/c", "nested/", "../escape", "/abs", ""}
	want := files{
		"tracked.txt": "changed, not committed", "run.sh": "!echo", "link": "-> tracked.txt",
		"moved": "-> elsewhere", "module/": "", "a/b/c": "deep",
	}
	dst := filepath.Join(t.TempDir(), "base")
	tree, err := SnapshotTree(t.Context(), dst, root, names)
	must(t, err)
	// The snapshot is of that moment.
	must(t, os.WriteFile(filepath.Join(root, "tracked.txt"), []byte("later"), 0o644))
	w, err := tree.Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	same(t, harvest(t, w.Dir), want)
	if _, err := os.Lstat(dst); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a small tree was written to disk")
	}
	for path, want := range map[string]bool{"a/b/c": true, "link": true, "ignored.log": false, "moved/f": false, "module": false} {
		if tree.Has(path) != want {
			t.Errorf("Has(%q) = %v", path, !want)
		}
	}
}

func TestSnapshotOfALargeTree(t *testing.T) {
	t.Parallel()
	all := manyFiles(1500)
	root := plant(t, all)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	dst := filepath.Join(t.TempDir(), "deep", "base")
	tree, err := SnapshotTree(t.Context(), dst, root, names)
	must(t, err)
	must(t, os.RemoveAll(root))
	w, err := tree.CloneFiles(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	same(t, harvest(t, w.Dir), all)
}

func TestAddDir(t *testing.T) {
	t.Parallel()
	git := plant(t, files{"HEAD": "ref: refs/heads/main\n", "objects/info/alternates": "x", "refs/": ""})
	for name, all := range map[string]files{"small": {"f": "x"}, "large": manyFiles(1200)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := plant(t, all)
			var names []string
			for name := range all {
				names = append(names, name)
			}
			tree, err := SnapshotTree(t.Context(), filepath.Join(t.TempDir(), "base"), root, names)
			must(t, err)
			must(t, tree.AddDir(t.Context(), ".git", git))
			w, err := tree.Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
			must(t, err)
			want := files{".git/HEAD": "ref: refs/heads/main\n", ".git/objects/info/alternates": "x", ".git/refs/": ""}
			for name, content := range all {
				want[name] = content
			}
			same(t, harvest(t, w.Dir), want)
			must(t, w.Close())
		})
	}
}

func TestCloseRemovesWhatAJobSealed(t *testing.T) {
	t.Parallel()
	w, err := NewTree(plant(t, files{"f": "x"})).Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
	must(t, err)
	plantIn(t, w.Dir, files{"mod/cache/x@v1/go.mod": "x", "locked/deep/er/f": "y", "out": "-> /"})
	must(t, os.Chmod(filepath.Join(w.Dir, "mod/cache/x@v1/go.mod"), 0o444))
	for _, dir := range []string{"mod/cache/x@v1", "mod/cache", "locked/deep/er", "locked/deep", "locked"} {
		mode := fs.FileMode(0o555)
		if strings.HasPrefix(dir, "locked") {
			mode = 0
		}
		must(t, os.Chmod(filepath.Join(w.Dir, dir), mode))
	}
	must(t, os.Chmod(w.Dir, 0o500))
	must(t, w.Close())
	if _, err := os.Lstat(w.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the workspace is left: %v", err)
	}
}

func TestTreeIsUsedFromManyPlaces(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]files{"small": {"f": "x"}, "large": manyFiles(400)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := NewTree(plant(t, all))
			parent := t.TempDir()
			var group sync.WaitGroup
			for i := range 6 {
				group.Go(func() {
					clone := tree.Clone
					if i%2 == 0 {
						clone = tree.CloneFiles
					}
					w, err := clone(t.Context(), filepath.Join(parent, fmt.Sprint(i)))
					if err != nil {
						t.Error(err)
						return
					}
					if got := harvest(t, w.Dir); len(got) != len(all) || tree.Has("none") {
						t.Errorf("%d files of %d", len(got), len(all))
					}
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		})
	}
}

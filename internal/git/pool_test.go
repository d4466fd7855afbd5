package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPoolMoves goes through kinds of change that a moved checkout could get
// wrong, with a pooled checkout from each commit to every other.
func TestPoolMoves(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	remove := func(names ...string) {
		for _, n := range names {
			if err := os.RemoveAll(filepath.Join(src.dir, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(src.dir, name)); err != nil {
			t.Skip(err)
		}
	}
	var commits []string
	add := func(message string, files ...string) { commits = append(commits, src.commit(message, files...)) }
	add("start", "a", "1\n", "dir/x", "1\n", "dir/y", "1\n", "becomes-dir", "1\n", "deep/er/z", "1\n")
	remove("dir", "becomes-dir")
	add("folders gone, a file becomes a folder", "becomes-dir/in", "1\n", "dir", "a folder became a file\n")
	remove("deep", "a")
	link("becomes-dir/in", "a")
	link("becomes-dir", "deep")
	add("files become links")
	remove("deep", "a")
	add("links become folders", "deep/er/z", "2\n", "a/b", "1\n", "run.sh", "#!/bin/sh\n")
	src.git("update-index", "--chmod=+x", "run.sh")
	if err := os.Chmod(filepath.Join(src.dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	add("mode")
	add("attributes change how unchanged files are written", ".gitattributes", "*.sh text eol=crlf\nz ident\n", "new/.gitattributes", "q text eol=crlf\n", "new/q", "1\n2\n")
	add("attributes below", "new/.gitattributes", "q -text\n")
	src.git("rm", "-rq", ".")
	add("nothing but one", "only", "1")

	r := remote(t, src.dir, localAccess(t))
	ctx := context.Background()
	trees := map[string]map[string]string{}
	for _, sha := range commits {
		trees[sha] = src.tree(sha)
	}
	for _, from := range commits {
		for _, to := range commits {
			was := Resolved{Kind: KindCommit, Commit: from}
			if err := r.Fetch(ctx, was, 0); err != nil {
				t.Fatal(err)
			}
			if err := r.Prepare(ctx, was); err != nil {
				t.Fatal(err)
			}
			ws := r.mustCheckout(t, Resolved{Kind: KindCommit, Commit: to}, CheckoutOptions{})
			if diff := cmp.Diff(trees[to], tree(t, ws)); diff != "" {
				t.Errorf("%s -> %s: (-want +got)\n%s", src.git("log", "-1", "--format=%s", from), src.git("log", "-1", "--format=%s", to), diff)
			}
			if got := gitIn(t, ws, src.env, "status", "--porcelain", "--ignored"); got != "" {
				t.Errorf("status: %q", got)
			}
			if len(r.pooled()) != 0 {
				t.Fatal("the pool was not used")
			}
		}
	}
}

func TestRecycle(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1\n", ".gitignore", "*.log\n")
	ctx := context.Background()
	for _, tc := range []struct {
		name  string
		touch func(ws string) error
		kept  int
	}{
		{"untouched", func(string) error { return nil }, 1},
		{"changed", func(ws string) error { return os.WriteFile(filepath.Join(ws, "a"), []byte("2\n"), 0o644) }, 0},
		{"added", func(ws string) error { return os.WriteFile(filepath.Join(ws, "b"), nil, 0o644) }, 0},
		{"added though ignored", func(ws string) error { return os.WriteFile(filepath.Join(ws, "b.log"), nil, 0o644) }, 0},
		{"deleted", func(ws string) error { return os.Remove(filepath.Join(ws, "a")) }, 0},
		{"hook and configuration", func(ws string) error {
			_ = os.MkdirAll(filepath.Join(ws, ".git", "hooks"), 0o755)
			_ = os.MkdirAll(filepath.Join(ws, ".git", "info"), 0o755)
			_ = os.WriteFile(filepath.Join(ws, ".git", "hooks", "post-checkout"), []byte("#!/bin/sh\n"), 0o755)
			return os.WriteFile(filepath.Join(ws, ".git", "info", "exclude"), []byte("x\n"), 0o644)
		}, 1}, // harmless: .git is thrown away but for the index
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := remote(t, src.dir, localAccess(t))
			c := r.mustResolve(t, Ref{})
			ws := r.mustCheckout(t, c, CheckoutOptions{})
			if err := tc.touch(ws); err != nil {
				t.Fatal(err)
			}
			if err := r.Recycle(ctx, c, ws); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(ws); err == nil {
				t.Error("the folder is still there")
			}
			if got := len(r.pooled()); got != tc.kept {
				t.Fatalf("%d in the pool, want %d", got, tc.kept)
			}
			if tc.kept == 0 {
				return
			}
			entries, _ := os.ReadDir(filepath.Join(r.pooled()[0].path, ".git"))
			if len(entries) != 1 || entries[0].Name() != "index" {
				t.Errorf("kept in .git: %v", entries)
			}
			again := r.mustCheckout(t, c, CheckoutOptions{})
			if diff := cmp.Diff(src.tree("HEAD"), tree(t, again)); diff != "" {
				t.Error(diff)
			}
			if _, err := os.Stat(filepath.Join(again, ".git", "hooks")); err == nil {
				t.Error("hooks came along")
			}
		})
	}
}

func TestRecycleRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1\n", "dir/b", "1\n")
	r := remote(t, src.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	ws := r.mustCheckout(t, c, CheckoutOptions{Sparse: []string{"a"}})
	if err := r.Recycle(context.Background(), c, ws); err != nil || len(r.pooled()) != 0 {
		t.Errorf("%v, kept %v", err, r.pooled())
	}
	// A filter in a changed configuration does not run.
	tr := newTrap(t)
	ws = r.mustCheckout(t, c, CheckoutOptions{})
	gitIn(t, ws, src.env, "config", "core.fsmonitor", "touch "+tr.path+"; false")
	gitIn(t, ws, src.env, "config", "diff.external", "touch "+tr.path)
	if err := r.Recycle(context.Background(), c, ws); err != nil || len(r.pooled()) != 1 {
		t.Errorf("%v, kept %v", err, r.pooled())
	}
	tr.check()
}

// TestHealAfterAnother: another process has put a mirror without our commit in
// place of the one we looked at.
func TestHealAfterAnother(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	first := Resolved{Kind: KindCommit, Commit: src.commit("one", "a", "1")}
	r := remote(t, src.dir, localAccess(t))
	r.mustCheckout(t, first, CheckoutOptions{})
	before, err := os.Stat(r.mirror())
	if err != nil {
		t.Fatal(err)
	}
	second := Resolved{Kind: KindCommit, Commit: src.commit("two", "a", "2")}
	held, err := r.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.rebuild(context.Background(), second, 0, held, os.ErrInvalid); err != nil {
		t.Fatal(err)
	}
	held.Close()
	if err := r.heal(context.Background(), first, 0, before, os.ErrInvalid); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Resolved{first, second} {
		if _, ok := r.record(c, 0); !ok {
			t.Errorf("%s is gone", c.Commit)
		}
	}
}

func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1\n")
	r := remote(t, src.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	ctx := context.Background()
	if err := r.Fetch(ctx, c, 0); err != nil {
		t.Fatal(err)
	}
	for range maxPooled + 2 {
		if err := r.Prepare(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(r.pooled()); got != maxPooled {
		t.Errorf("%d in the pool, want %d", got, maxPooled)
	}
	// One of another boot and one that is too old are of no use.
	all := r.pooled()
	renamed := func(s pooledCheckout, part int, text string) string {
		f := strings.Split(filepath.Base(s.path), "-")
		f[part] = text
		return strings.Join(f, "-")
	}
	otherBoot, old := renamed(all[0], 0, "00000000"), renamed(all[1], 1, "1000")
	for i, name := range []string{otherBoot, old} {
		if err := os.Rename(all[i].path, filepath.Join(filepath.Dir(all[i].path), name)); err != nil {
			t.Fatal(err)
		}
	}
	if bootID() != "0" && r.trimPool() != 0 {
		t.Errorf("kept %v", r.pooled())
	}
}

package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func open(t *testing.T, dir string) *Worktree {
	t.Helper()
	w, err := Open(context.Background(), dir, environ(t))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestHead compares what is read from files, or by one process when packed,
// with what git says.
func TestHead(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("tag", "old")
	src.git("checkout", "-q", "-b", "feature/x")
	src.commit("Title of it\n\nBody, line one\nline two\n", "a", "2", "dir/sub/b", "b")
	src.git("tag", "light")
	src.git("tag", "-a", "-m", "x", "annotated")
	src.git("tag", "-a", "-m", "x", "nested", "annotated")
	src.git("tag", "of-a-tree", "HEAD^{tree}")
	src.git("remote", "add", "origin", "https://bob:s3cret@git.example.com/group/project.git")
	src.git("update-ref", "refs/remotes/origin/main", "HEAD~1")
	src.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

	check := func(t *testing.T, dir, branch string) {
		w := open(t, dir)
		head, err := w.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, src.git("log", "-1", "--format=%cI", w.SHA))
		got := map[string]string{
			"sha": head.SHA, "tree": head.Tree, "parents": strings.Join(head.Parents, " "), "author": head.Author.String(),
			"committer": head.Committer.String(), "time": head.Committer.Time.Format(time.RFC3339), "title": head.Title(),
			"description": head.Description(), "tags": strings.Join(head.Tags, " "), "branch": w.Branch,
			"url": w.RemoteURL, "default": w.DefaultBranch, "remote": w.RemoteName,
		}
		want := map[string]string{
			"sha": src.git("rev-parse", "feature/x"), "tree": src.git("rev-parse", "feature/x^{tree}"), "parents": src.git("rev-parse", "feature/x~1"),
			"author": "Ada <ada@example.com>", "committer": "Grace <grace@example.com>", "time": at.Format(time.RFC3339),
			"title": "Title of it", "description": "\nBody, line one\nline two", "tags": "annotated light nested", "branch": branch,
			"url": "https://git.example.com/group/project.git", "default": "main", "remote": "origin",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		entries, err := w.Reader(context.Background()).List(head.SHA)
		if err != nil || len(entries) != 2 || entries[1].Path != "dir/sub/b" || entries[1].ID != src.git("rev-parse", "HEAD:dir/sub/b") {
			t.Errorf("list: %v %v", entries, err)
		}
	}
	t.Run("loose", func(t *testing.T) { check(t, filepath.Join(src.dir, "dir", "sub"), "feature/x") })
	linked := filepath.Join(t.TempDir(), "linked")
	src.git("worktree", "add", "-q", "--detach", linked, "feature/x")
	t.Run("linked and detached", func(t *testing.T) { check(t, linked, "") })
	for i := range peelByHand + 1 {
		src.git("tag", "-a", "-m", "x", fmt.Sprintf("many/%d", i), "old")
	}
	t.Run("many tags", func(t *testing.T) { check(t, src.dir, "feature/x") })
	src.git("pack-refs", "--all")
	t.Run("packed refs", func(t *testing.T) { check(t, src.dir, "feature/x") })
	src.git("gc", "-q")
	t.Run("packed", func(t *testing.T) { check(t, linked, "") })
	src.git("config", "include.path", "other")
	src.write(".git/other", "[core]\n\tabbrev = 12\n")
	t.Run("included configuration", func(t *testing.T) { check(t, src.dir, "feature/x") })
}

func TestOpenElsewhere(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	t.Run("no repository", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, f := range []string{"b", "a/c"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		w := open(t, dir)
		if w.InRepository() || w.SHA != "" {
			t.Errorf("got %+v", w)
		}
		files, err := w.Files(ctx)
		if diff := cmp.Diff(Files{Paths: []string{"a/c", "b"}}, files); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if _, err := w.Head(ctx); !errs.Is(err, errs.NotFound) {
			t.Errorf("head: %v", err)
		}
		if _, err := w.Snapshot(ctx, t.TempDir()); err != nil {
			t.Error(err)
		}
	})
	t.Run("no commit yet", func(t *testing.T) {
		t.Parallel()
		src := newRepo(t)
		src.write("a", "1")
		src.write("b", "1")
		src.git("add", "b")
		w := open(t, src.dir)
		if !w.InRepository() || w.SHA != "" || w.Branch != "main" {
			t.Errorf("got %+v", w)
		}
		if _, err := w.Head(ctx); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "no commit yet") {
			t.Errorf("head: %v", err)
		}
		files, err := w.Files(ctx)
		if diff := cmp.Diff(Files{Paths: []string{"a", "b"}, Changed: []string{"a", "b"}}, files); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		dst := t.TempDir()
		if _, err := w.Snapshot(ctx, dst); err != nil {
			t.Fatal(err)
		}
		if got := gitIn(t, dst, src.env, "status", "--porcelain"); got != "AD b" {
			t.Errorf("status: %q", got)
		}
	})
	t.Run("bare", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		gitIn(t, dir, environ(t), "init", "-q", "--bare", "x.git")
		for _, at := range []string{"x.git", "x.git/objects"} {
			if _, err := Open(ctx, filepath.Join(dir, at), environ(t)); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v", at, err)
			}
		}
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		if _, err := Open(ctx, filepath.Join(t.TempDir(), "x"), environ(t)); !errs.Is(err, errs.NotFound) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("broken link", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: nowhere\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, dir, environ(t)); !errs.Is(err, errs.Invalid) {
			t.Errorf("got %v", err)
		}
	})
}

// dirty makes a repository in which every kind of change is present.
func dirty(t *testing.T) *repo {
	src := newRepo(t)
	src.commit("one", "kept", "1", "modified", "1", "deleted", "1", "staged", "1", "unstaged from index", "1", "odd \"näme\"\t", "1",
		".gitignore", "ignored\n*.log\n", "dir/x", "1", "gone/y", "1", "typechange", "1")
	src.write("modified", "2")
	src.write("staged", "2")
	src.git("add", "staged")
	src.git("rm", "-q", "gone/y")
	src.git("rm", "-q", "--cached", "unstaged from index")
	src.write("untracked/new", "n")
	src.write("ignored", "i")
	src.write("dir/a.log", "i")
	src.write("added", "n")
	src.git("add", "added")
	for _, name := range []string{"deleted", "typechange"} {
		if err := os.Remove(filepath.Join(src.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	src.write("typechange/now/a/folder", "1")
	return src
}

func TestFiles(t *testing.T) {
	t.Parallel()
	src := dirty(t)
	nested := newRepoAt(t, filepath.Join(src.dir, "nested"))
	nested.commit("one", "a", "1")
	sub := newRepo(t)
	sub.commit("one", "s", "1")
	src.git("submodule", "--quiet", "add", sub.dir, "sub")
	files, err := open(t, src.dir).Files(context.Background())
	want := Files{
		Paths: []string{".gitignore", ".gitmodules", "added", "dir/x", "kept", "modified", "odd \"näme\"\t", "staged",
			"typechange/now/a/folder", "unstaged from index", "untracked/new"},
		Changed: []string{".gitmodules", "added", "deleted", "gone/y", "modified", "staged", "sub", "typechange",
			"typechange/now/a/folder", "unstaged from index", "untracked/new"},
		Submodules: []string{"sub"},
	}
	if diff := cmp.Diff(want, files); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestUnreadableFolders(t *testing.T) {
	t.Parallel()
	said := "warning: could not open directory 'b: it''s/': Permission denied\nhint: no\nwarning: could not open directory 'a/': Permission denied\n" +
		"warning: could not open directory 'a/': Permission denied\n"
	if diff := cmp.Diff([]string{"a", "b: it''s"}, parseUnreadable(said)); diff != "" {
		t.Error(diff)
	}
}

func TestFilesInConflict(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1\n", "b", "1\n")
	src.git("checkout", "-q", "-b", "x")
	src.commit("x", "a", "x\n")
	src.git("checkout", "-q", "main")
	src.commit("y", "a", "y\n")
	merge := append([]string{}, src.env...)
	w := open(t, src.dir)
	if _, err := (process{args: []string{"merge", "x"}, dir: src.dir, env: merge}).output(context.Background()); err == nil {
		t.Fatal("the merge went through")
	}
	files, err := w.Files(context.Background())
	if diff := cmp.Diff(Files{Paths: []string{"a", "b"}, Changed: []string{"a"}}, files); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1", "b", "1", "c", "1\n2\n3\n")
	src.git("checkout", "-q", "-b", "topic")
	src.git("mv", "c", "renamed")
	src.commit("two", "a", "2")
	src.git("checkout", "-q", "main")
	src.commit("elsewhere", "b", "2") // since the branch left: no change of ours
	src.git("checkout", "-q", "topic")
	src.write("d", "untracked")
	src.write("renamed", "1\n2\n4\n")
	w := open(t, src.dir)
	got, err := w.Changed(context.Background(), "main")
	if diff := cmp.Diff([]string{"a", "c", "d", "renamed"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, base := range []string{"nowhere", "--output=x", ""} {
		if _, err := w.Changed(context.Background(), base); err == nil {
			t.Errorf("base %q was taken", base)
		}
	}
	if got, err = w.Changed(context.Background(), w.SHA); err != nil || len(got) != 2 {
		t.Errorf("%v %v", got, err)
	}
}

func TestModified(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "dir/a", "1", "b", "1")
	src.write("untracked", "1")
	for _, tc := range []struct {
		path, text string
		want       bool
	}{{"untracked", "2", false}, {"b", "2", true}, {"b", "1", false}, {"dir/a", "2", true}} {
		src.write(tc.path, tc.text)
		if got, err := open(t, src.dir+"/dir").Modified(context.Background()); got != tc.want || err != nil {
			t.Errorf("%s is %q: %v, %v", tc.path, tc.text, got, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	sha := src.commit("one", "dir/a", "text", "0123456789012345678901234567890123456789 5", "tricky")
	src.write("dir/a", "changed")
	r := open(t, src.dir).Reader(context.Background())
	defer r.Close()
	for _, tc := range []struct {
		commit, path, want string
		kind               errs.Kind
	}{
		{sha, "dir/a", "text", 0},
		{sha, "/dir/./a", "text", 0},
		{"refs/heads/main", "dir/a", "text", 0},
		{sha, "0123456789012345678901234567890123456789 5", "tricky", 0},
		{sha, "x 0123456789012345678901234567890123456789 5", "", errs.NotFound},
		{sha, "dir", "", errs.Invalid},
		{sha, "nothing", "", errs.NotFound},
		{sha, "../a", "", errs.Invalid},
		{sha, "a\nb", "", errs.Invalid},
		{"nothing", "dir/a", "", errs.NotFound},
	} {
		got, err := r.ReadFile(tc.commit, tc.path)
		if string(got) != tc.want || tc.want == "" && !errs.Is(err, tc.kind) {
			t.Errorf("%s %q: got %q, %v", tc.commit, tc.path, got, err)
		}
	}
	r.Close()
	if got, err := r.ReadFile(sha, "dir/a"); err != nil || string(got) != "text" {
		t.Errorf("after Close: %q %v", got, err)
	}
}

// TestReftable: refs that only git can read.
func TestReftable(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	if err := os.RemoveAll(filepath.Join(src.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	init := process{args: []string{"init", "-q", "--ref-format=reftable"}, dir: src.dir, env: src.env}
	if _, err := init.output(context.Background()); err != nil {
		t.Skip("needs git 2.45 or newer, which knows reftable")
	}
	sha := src.commit("one", "a", "1")
	src.git("tag", "-a", "-m", "x", "v1")
	src.git("remote", "add", "origin", "https://git.example.com/a/b.git")
	src.git("update-ref", "refs/remotes/origin/main", sha)
	src.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	w := open(t, src.dir)
	head, err := w.Head(context.Background())
	if err != nil || head.SHA != sha || w.Branch != "main" || w.DefaultBranch != "main" || len(head.Tags) != 1 {
		t.Errorf("%+v of branch %q, default %q: %v", head, w.Branch, w.DefaultBranch, err)
	}
	dst := t.TempDir()
	if _, err := w.Snapshot(context.Background(), dst); err != nil {
		t.Fatal(err)
	}
	if got := gitIn(t, dst, src.env, "describe"); got != "v1" {
		t.Errorf("describe %q", got)
	}
	r := remote(t, src.dir, localAccess(t))
	c, err := r.Update(context.Background(), Ref{KindTag, "v1"}, 0)
	if err != nil || c.Commit != sha {
		t.Fatal(c, err)
	}
	r.mustCheckout(t, c, CheckoutOptions{})
}

// TestSnapshot runs git in a copy of the working tree as a job would.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		prep func(*repo)
	}{
		{"plain", func(*repo) {}},
		{"packed", func(r *repo) { r.git("gc", "-q") }},
		{"split index", func(r *repo) { r.git("update-index", "--split-index") }},
		{"index version 4", func(r *repo) { r.git("update-index", "--index-version", "4") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := dirty(t)
			src.git("tag", "-a", "-m", "x", "v1")
			src.git("remote", "add", "origin", "https://u:p@git.example.com/x.git")
			tc.prep(src)
			w := open(t, src.dir)
			files, err := w.Files(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			dst := t.TempDir()
			for _, p := range files.Paths {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dst, p)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := copyFile(filepath.Join(src.dir, p), filepath.Join(dst, p)); err != nil {
					t.Fatal(err)
				}
			}
			borrowed, err := w.Snapshot(context.Background(), dst)
			if err != nil || len(borrowed) != 1 {
				t.Fatal(borrowed, err)
			}
			for _, args := range [][]string{
				{"status", "--porcelain"}, {"diff"}, {"diff", "--cached"}, {"log", "--oneline"}, {"rev-parse", "HEAD"},
				{"describe", "--dirty"}, {"show", "HEAD:kept"},
			} {
				if got, want := gitIn(t, dst, src.env, args...), src.git(args...); got != want {
					t.Errorf("git %v: got %q, want %q", args, got, want)
				}
			}
			if got := gitIn(t, dst, src.env, "rev-parse", "origin/main"); got != w.SHA {
				t.Errorf("origin/main is at %s", got)
			}
			if got := gitIn(t, dst, src.env, "config", "remote.origin.url"); got != "https://git.example.com/x.git" {
				t.Errorf("remote is %s", got)
			}
			gitIn(t, dst, src.env, "fsck", "--connectivity-only")
			gitIn(t, dst, src.env, "commit", "-q", "-am", "a job may commit")
			if src.git("rev-parse", "HEAD") != w.SHA {
				t.Error("the user's repository has moved")
			}
		})
	}
}

package source

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// repository makes a repository of two commits; the second adds b.txt and a
// branch "side" stays at the first.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	home := t.TempDir()
	run := func(args ...string) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q", "-b", "main")
	write("a.txt", "one")
	run("add", "-A")
	run("commit", "-qm", "first")
	run("branch", "side")
	write("b.txt", "two")
	run("add", "-A")
	run("commit", "-qm", "second")
	write("c.txt", "not committed")
	return dir
}

// A scheduler has a remote and a resolved commit, and needs files, facts and
// changes: nothing of a user's environment.
func TestCommitOfARemote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	remote, err := git.NewRemote(repository(t), t.TempDir(), git.Access{Trust: git.Server, AllowFile: true})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := remote.Update(ctx, git.Ref{Kind: git.KindBranch, Name: "main"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCommit(ctx, remote, resolved, Options{})
	defer c.Close()
	f, err := c.Facts(ctx)
	if err != nil || f.SHA != resolved.Commit || f.Branch != "main" || f.DefaultBranch != "main" || !f.Protected || strings.TrimSpace(f.Message) != "second" {
		t.Errorf("facts %+v, %v", f, err)
	}
	loader := c.Loader(f)
	own := gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "/b.txt"}
	if data, _, err := loader.Read(ctx, own); err != nil || string(data) != "two" {
		t.Errorf("b.txt: %q, %v", data, err)
	}
	if paths, err := loader.List(ctx, own); err != nil || !slices.Equal(paths, []string{"a.txt", "b.txt"}) {
		t.Errorf("files %q, %v", paths, err)
	}
	for path, want := range map[string]bool{"a.txt": true, "c.txt": false} {
		if got, err := c.Exists(ctx, path); err != nil || got != want {
			t.Errorf("%s exists: %t, %v; want %t", path, got, err, want)
		}
	}
	if _, _, err := loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: "../x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a path that leaves the repository: %v", err)
	}
	// Whoever gives no way to other projects reads none.
	if _, _, err := loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Project: "g/p", Path: "x.yml"}); err == nil {
		t.Error("another project was read")
	}
	f.Trigger = pipeline.TriggerPush
	files, known, err := c.Changed(ctx, f).Load()
	if err != nil || !known || !slices.Equal(files, []string{"b.txt"}) {
		t.Errorf("a push changed %q, %t, %v", files, known, err)
	}
	if sha, err := c.LastCommit(ctx, "a.txt"); err != nil || sha != f.BeforeSHA {
		t.Errorf("a.txt was changed by %q, %v; want %q", sha, err, f.BeforeSHA)
	}
}

func TestWorkingTree(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := repository(t)
	w, err := git.Open(ctx, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	open := func(kind git.Kind, name string) *WorkingTree {
		tree := NewWorkingTree(ctx, w, git.Ref{Kind: kind, Name: name}, Options{})
		t.Cleanup(tree.Close)
		return tree
	}
	tree := open(git.KindBranch, "main")
	l, err := tree.Listing(ctx, git.SubmodulesNone, "", nil)
	if err != nil || !slices.Equal(l.Paths, []string{"a.txt", "b.txt", "c.txt"}) || l.Changed != 1 {
		t.Errorf("listing %+v, %v", l, err)
	}
	if got := tree.At(); got != "main "+w.SHA[:7] {
		t.Errorf("at %q", got)
	}
	if p := tree.Pretence(ctx); p != nil {
		t.Errorf("the branch that is checked out is a pretence: %+v", p)
	}
	if p := open(git.KindBranch, "side").Pretence(ctx); p == nil || p.Code != "main" || p.Commit == "" || p.Commit == w.SHA {
		t.Errorf("side, at another commit: %+v", p)
	}
	if p := open(git.KindTag, "v1").Pretence(ctx); p == nil || p.Commit != "" {
		t.Errorf("a tag that is not there: %+v", p)
	}
}

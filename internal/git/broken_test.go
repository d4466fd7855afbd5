package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
)

// A damaged repository gets a message of ours that says how to repair it, in a
// working tree and as a folder given as a repository.
func TestBrokenRepository(t *testing.T) {
	long(t)
	t.Parallel()
	object := func(r *repo, rev string) string {
		id := r.git("rev-parse", rev)
		return filepath.Join(".git", "objects", id[:2], id[2:])
	}
	for _, tc := range []struct {
		name string
		file func(*repo) string
		text string // "" removes the file
		want string // of Open, or of Files if that succeeds
	}{
		{"HEAD is garbage", func(*repo) string { return ".git/HEAD" }, "garbage\n", `is damaged: it holds "garbage" instead of a branch or a commit; repair it: git symbolic-ref HEAD`},
		{"HEAD is empty", func(*repo) string { return ".git/HEAD" }, "\n", `is damaged: it holds "" instead of a branch`},
		{"HEAD of zeros", func(*repo) string { return ".git/HEAD" }, "\x00\x00\x00", `is damaged: it holds "\x00\x00\x00"`},
		{"HEAD leads out", func(*repo) string { return ".git/HEAD" }, "ref: refs/heads/../../x\n", `is damaged: "refs/heads/../../x" is not the name of a branch`},
		{"HEAD names no ref", func(*repo) string { return ".git/HEAD" }, "ref: main\n", `is damaged: "main" is not the name of a branch`},
		{"branch is garbage", func(*repo) string { return ".git/refs/heads/main" }, "deadbeef\n", `refs/heads/main of `},
		{"branch is empty", func(*repo) string { return ".git/refs/heads/main" }, "\n", `is damaged: it holds "" instead of a commit; git reflog`},
		{"branch names itself", func(*repo) string { return ".git/refs/heads/main" }, "ref: refs/heads/main\n", `too many symbolic refs`},
		{"no tree", func(r *repo) string { return object(r, "HEAD^{tree}") }, "", `lacks objects of its HEAD; git fsck names them`},
		{"damaged tree", func(r *repo) string { return object(r, "HEAD^{tree}") }, "junk", `git fsck names it`},
		{"damaged index", func(*repo) string { return ".git/index" }, "junk", `the index of `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := newRepo(t)
			src.commit("one", "a", "1")
			file := filepath.Join(src.dir, tc.file(src))
			must(t, os.Remove(file))
			if tc.text != "" {
				must(t, os.WriteFile(file, []byte(tc.text), 0o644))
			}
			w, err := Open(t.Context(), src.dir, environ(t))
			if err == nil {
				_, err = w.Files(t.Context())
			}
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v: %v", errs.KindOf(err), err)
			}
			if tc.name == "damaged index" {
				return // a checkout of a commit does not need it
			}
			var notices []string
			a := localAccess(t)
			a.Notice = func(s string) { notices = append(notices, s) }
			if _, err = remote(t, src.dir, a).Update(t.Context(), Ref{}, 0); err == nil || errs.Is(err, errs.Internal) || len(notices) > 0 {
				t.Errorf("as a repository: %v: %v, notices %q", errs.KindOf(err), err, notices)
			}
		})
	}
}

// Symbolic branches are followed, as git does.
func TestSymbolicBranch(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	want := src.commit("one", "a", "1")
	src.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
	src.git("symbolic-ref", "HEAD", "refs/heads/alias")
	if w := open(t, src.dir); w.SHA != want || w.Branch != "alias" {
		t.Errorf("branch %s at %s, want alias at %s", w.Branch, w.SHA, want)
	}
}

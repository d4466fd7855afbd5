package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A standalone checkout works after its mirror is gone.
func TestStandalone(t *testing.T) {
	long(t)
	t.Parallel()
	root := t.TempDir()
	sub := newRepoAt(t, filepath.Join(root, "sub"))
	sub.commit("one", "s", "1")
	src := newRepoAt(t, filepath.Join(root, "top"))
	for i := range 4 {
		src.commit(fmt.Sprint(i), "a", fmt.Sprint(i), "d/f", "x")
		src.git("tag", "-a", "-m", "x", fmt.Sprint("v", i))
	}
	src.git("submodule", "--quiet", "add", "../sub", "sub")
	src.commit("last", "a", "last")
	for _, mirrorDepth := range []int{0, 2}[:orShort(2, 1)] {
		for _, tc := range []struct {
			ref     Ref
			o       CheckoutOptions
			commits string
			tags    string
		}{
			{Ref{KindBranch, "main"}, CheckoutOptions{}, "5", "v0\nv1\nv2\nv3"},
			{Ref{KindBranch, "main"}, CheckoutOptions{Depth: 1}, "1", ""},
			{Ref{KindBranch, "main"}, CheckoutOptions{Depth: 2, Submodules: SubmodulesNormal}, "2", ""},
			{Ref{KindTag, "v2"}, CheckoutOptions{Depth: 1}, "1", "v2"},
			{Ref{KindTag, "v2"}, CheckoutOptions{}, "3", "v0\nv1\nv2\nv3"},
			{Ref{KindCommit, src.git("rev-parse", "main~3")}, CheckoutOptions{Depth: 1, Sparse: []string{"d"}}, "1", "v1"},
		} {
			name := fmt.Sprintf("%s, depth %d of %d", tc.ref, tc.o.Depth, mirrorDepth)
			r := remote(t, src.dir, localAccess(t))
			c, err := r.Update(t.Context(), tc.ref, mirrorDepth)
			must(t, err)
			tc.o.Standalone = true
			ws := r.mustCheckout(t, c, tc.o)
			must(t, os.RemoveAll(filepath.Dir(r.dir)))
			want := src.tree(c.Commit)
			if tc.o.Submodules != SubmodulesNone {
				want["sub/s"] = "1"
			}
			if diff := cmp.Diff(want, tree(t, ws)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
			gitIn(t, ws, src.env, "fsck", "--full", "--strict")
			for what, want := range map[string]string{
				"status --porcelain": "", "rev-list --count HEAD": tc.commits, "rev-parse HEAD": c.Commit, "remote get-url origin": src.dir,
			} {
				if got := gitIn(t, ws, src.env, strings.Fields(what)...); got != want {
					t.Errorf("%s: git %s: %q, want %q", name, what, got, want)
				}
			}
			if got := gitIn(t, ws, src.env, "tag", "--list"); got != tc.tags {
				t.Errorf("%s: tags %q, want %q", name, got, tc.tags)
			}
			if tc.ref.Kind == KindBranch && gitIn(t, ws, src.env, "rev-parse", "origin/main") != c.Commit {
				t.Errorf("%s: origin/main is elsewhere", name)
			}
			if _, err := os.Stat(filepath.Join(ws, ".git", "objects", "info", "alternates")); err == nil {
				t.Errorf("%s: objects are borrowed", name)
			}
		}
	}
}

package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

// TestUpdate gives what Resolve and Fetch give, as the repository goes on.
func TestUpdate(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{0, 2}[:orShort(2, 1)] {
		t.Run(fmt.Sprintf("depth %d", depth), func(t *testing.T) {
			t.Parallel()
			src := newRepo(t)
			for i := range 5 {
				src.commit(fmt.Sprint(i), "a", fmt.Sprint(i))
			}
			src.git("tag", "-a", "-m", "x", "v1", "HEAD~1")
			src.git("tag", "light")
			src.git("branch", "topic")
			updated, plain := remote(t, "file://"+src.dir, localAccess(t)), remote(t, "file://"+src.dir, localAccess(t))
			ctx := context.Background()
			check := func(ref Ref) {
				t.Helper()
				want := plain.mustResolve(t, ref)
				got, err := updated.Update(ctx, ref, depth)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%s: %v (-want +got)\n%s", ref, err, diff)
				}
				if _, ok := updated.record(got, depth); !ok {
					t.Errorf("%s: not recorded", ref)
				}
				ws := updated.mustCheckout(t, got, CheckoutOptions{Depth: depth})
				if diff := cmp.Diff(src.tree(got.Commit), tree(t, ws)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", ref, diff)
				}
				gitIn(t, ws, src.env, "fsck", "--connectivity-only")
			}
			main := Ref{KindBranch, "main"}
			for _, ref := range []Ref{main, {KindTag, "v1"}, {KindTag, "light"}, {}, {KindCommit, src.git("rev-parse", "HEAD~2")}, main} {
				check(ref)
			}
			src.commit("on", "a", "on")
			check(main)
			src.git("reset", "-q", "--hard", "HEAD~3")
			src.commit("forced", "a", "forced")
			check(main)
			src.git("branch", "-D", "topic")
			src.git("branch", "topic/sub")
			check(Ref{KindBranch, "topic/sub"})
			src.git("tag", "-f", "-a", "-m", "moved", "v1")
			check(Ref{KindTag, "v1"})
			_, err := updated.Update(ctx, Ref{KindBranch, "mian"}, depth)
			if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "near: main") {
				t.Errorf("got %v: %v", errs.KindOf(err), err)
			}
			if err := os.Truncate(filepath.Join(updated.mirror(), "HEAD"), 0); err != nil {
				t.Fatal(err)
			}
			check(main)
		})
	}
}

func TestSHA256(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	if err := os.RemoveAll(filepath.Join(src.dir, ".git")); err != nil {
		t.Fatal(err)
	}
	src.git("init", "-q", "--object-format=sha256")
	sha := src.commit("one", "a", "1")
	src.git("tag", "-a", "-m", "x", "v1")
	r := remote(t, src.dir, localAccess(t))
	c, err := r.Update(context.Background(), Ref{KindTag, "v1"}, 1)
	if err != nil || c.Commit != sha {
		t.Fatal(c, err)
	}
	ws := r.mustCheckout(t, c, CheckoutOptions{Depth: 1})
	if diff := cmp.Diff(map[string]string{"a": "1"}, tree(t, ws)); diff != "" {
		t.Error(diff)
	}
	w := open(t, src.dir)
	if head, err := w.Head(context.Background()); err != nil || head.SHA != sha || len(head.Tags) != 1 {
		t.Error(head, err)
	}
	dst := t.TempDir()
	if _, err := w.Snapshot(context.Background(), dst); err != nil {
		t.Fatal(err)
	}
	if got := gitIn(t, dst, src.env, "describe"); got != "v1" {
		t.Errorf("describe %q", got)
	}
}

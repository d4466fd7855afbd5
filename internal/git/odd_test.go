package git

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

// bothWays gets ref by the one process of Update, and by Resolve and Fetch,
// each with whole and with short history, and hands on what came of it.
func bothWays(t *testing.T, url string, ref Ref, check func(t *testing.T, r *Remote, c Resolved, depth int, err error)) {
	t.Helper()
	ctx := context.Background()
	for _, depth := range []int{0, 1}[:orShort(2, 1)] {
		for _, update := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, update %v, depth %d", ref, update, depth), func(t *testing.T) {
				t.Parallel()
				r := remote(t, url, localAccess(t))
				r.access.Notice = func(s string) { t.Errorf("reported %q", s) }
				var c Resolved
				var err error
				if update {
					c, err = r.Update(ctx, ref, depth)
				} else if c, err = r.Resolve(ctx, ref); err == nil {
					err = r.Fetch(ctx, c, depth)
				}
				check(t, r, c, depth, err)
			})
		}
	}
}

// TestExactRef: git falls back from refs/heads/x to refs/heads/refs/heads/x and
// to refs/tags/refs/heads/x, so that a branch could replace
// for a tag that is gone.
func TestExactRef(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	good := src.commit("one", "a", "good")
	evil := src.commit("two", "a", "evil")
	for _, name := range []string{"refs/heads/refs/heads/x", "refs/tags/refs/heads/y", "refs/heads/refs/tags/v1", "refs/heads/refs/tags/v2", "refs/heads/refs/heads/main"} {
		src.git("update-ref", name, evil)
	}
	src.git("update-ref", "refs/tags/v2", good)
	src.git("update-ref", "refs/heads/main", good)
	src.git("symbolic-ref", "refs/heads/link", "refs/heads/main")
	for _, tc := range []struct {
		ref  Ref
		want string // "" for none
	}{
		{Ref{KindBranch, "x"}, ""},
		{Ref{KindBranch, "y"}, ""},
		{Ref{KindTag, "v1"}, ""},
		{Ref{KindTag, "v2"}, good},
		{Ref{KindBranch, "main"}, good},
		{Ref{KindBranch, "link"}, good},
		{Ref{KindBranch, "refs/heads/x"}, evil},
		{Ref{KindTag, "refs/heads/y"}, evil},
	} {
		bothWays(t, "file://"+src.dir, tc.ref, func(t *testing.T, _ *Remote, c Resolved, _ int, err error) {
			if tc.want == "" && !errs.Is(err, errs.NotFound) || c.Commit != tc.want {
				t.Errorf("got %q, %v: %v; want %q", c.Commit, errs.KindOf(err), err, tc.want)
			}
		})
	}
}

// TestShortCommit finds a commit that only a merge request's ref names.
func TestShortCommit(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("checkout", "-q", "--detach")
	sha := src.commit("proposed", "a", "2")
	src.git("checkout", "-q", "main")
	src.git("update-ref", "refs/merge-requests/7/head", sha)
	bothWays(t, "file://"+src.dir, Ref{KindCommit, sha[:10]}, func(t *testing.T, r *Remote, c Resolved, depth int, err error) {
		if err != nil || c.Commit != sha {
			t.Fatalf("got %+v: %v", c, err)
		}
		r.mustCheckout(t, c, CheckoutOptions{Depth: depth})
	})
}

// TestDeletedBranch: what an earlier fetch kept must not replace a branch
// that is gone, whatever git finds in its place.
func TestDeletedBranch(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("branch", "topic")
	r := remote(t, "file://"+src.dir, localAccess(t))
	ctx := context.Background()
	if _, err := r.Update(ctx, Ref{KindBranch, "topic"}, 0); err != nil {
		t.Fatal(err)
	}
	src.git("branch", "-D", "topic")
	for range 2 {
		if c, err := r.Update(ctx, Ref{KindBranch, "topic"}, 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("got %+v, %v: %v", c, errs.KindOf(err), err)
		}
		src.git("update-ref", "refs/heads/refs/heads/topic", "HEAD")
	}
}

// TestTagsThatAreGone: a checkout has the tags that the remote has.
func TestTagsThatAreGone(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("tag", "old")
	src.git("tag", "x")
	r := remote(t, "file://"+src.dir, localAccess(t))
	ctx := context.Background()
	if _, err := r.Update(ctx, Ref{KindBranch, "main"}, 0); err != nil {
		t.Fatal(err)
	}
	src.git("tag", "-d", "old", "x")
	src.git("tag", "x/y")
	src.commit("two", "a", "2")
	c, err := r.Update(ctx, Ref{KindBranch, "main"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := gitIn(t, r.mustCheckout(t, c, CheckoutOptions{}), src.env, "tag"); got != "x/y" {
		t.Errorf("tags %q", got)
	}
}

func TestNoCommit(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	commit := src.commit("one", "a", "1")
	top := src.git("rev-parse", "HEAD^{tree}")
	src.git("tag", "-a", "-m", "x", "tree", top)
	src.git("tag", "-a", "-m", "x", "nested", "tree")
	src.git("tag", "light", top)
	src.git("tag", "-a", "-m", "x", "good")
	src.git("tag", "-a", "-m", "x", "better", "good")
	for _, tc := range []struct {
		ref  Ref
		want string // in the error; "" for success
	}{
		{Ref{KindTag, "tree"}, "is a tree or a file, not a commit"},
		{Ref{KindTag, "nested"}, "is a tree or a file, not a commit"},
		{Ref{KindTag, "light"}, "is a tree or a file, not a commit"},
		{Ref{KindTag, "better"}, ""},
		{Ref{KindCommit, top}, "is a tree or a file, not a commit"},
		{Ref{KindCommit, src.git("rev-parse", "good")}, "is a tag object; its commit is " + commit},
	} {
		bothWays(t, "file://"+src.dir, tc.ref, func(t *testing.T, r *Remote, c Resolved, depth int, err error) {
			if tc.want == "" {
				if err != nil || c.Commit != commit {
					t.Errorf("got %+v: %v", c, err)
				}
				return
			}
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v: %v", errs.KindOf(err), err)
			}
			if _, ok := r.record(c, depth); ok {
				t.Error("it is recorded as a commit")
			}
		})
	}
}

// TestShallowRemote: a working tree made by another CI has no whole history.
func TestShallowRemote(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	for i := range 8 {
		src.commit(fmt.Sprint(i), "a", fmt.Sprint(i))
	}
	dir := filepath.Join(t.TempDir(), "shallow")
	gitIn(t, src.dir, src.env, "clone", "-q", "--depth", "3", "file://"+src.dir, dir)
	for _, ref := range []Ref{{}, {KindBranch, "main"}, {KindCommit, src.git("rev-parse", "HEAD")}} {
		bothWays(t, "file://"+dir, ref, func(t *testing.T, r *Remote, c Resolved, depth int, err error) {
			if err != nil {
				t.Fatal(err)
			}
			look := func(c Resolved, depth int, want string) {
				t.Helper()
				ws := r.mustCheckout(t, c, CheckoutOptions{Depth: depth})
				gitIn(t, ws, src.env, "fsck")
				if got := gitIn(t, ws, src.env, "rev-list", "--count", "HEAD"); got != want {
					t.Errorf("%s commits, want %s", got, want)
				}
			}
			want := map[int]string{0: "3", 1: "1"}[depth]
			look(c, depth, want)
			if depth == 0 {
				return
			}
			whole, err := r.Update(context.Background(), ref, 0) // more of it, as far as there is more
			if err != nil {
				t.Fatal(err)
			}
			look(whole, 0, "3")
		})
	}
}

// TestUnwritable: a tree that this file system cannot hold says nothing of the
// mirror.
func TestUnwritable(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	blob := src.git("rev-parse", "HEAD:a")
	for _, tc := range []struct{ name, path string }{
		{"long name", strings.Repeat("x", 300)},
		{"long path", strings.Repeat(strings.Repeat("d", 200)+"/", 25) + "f"},
	} {
		src.git("checkout", "-q", "-f", "-B", "odd", "main")
		src.git("update-index", "--add", "--cacheinfo", "100644,"+blob+","+tc.path)
		src.git("commit", "-q", "-m", "odd")
		r := remote(t, src.dir, localAccess(t))
		r.access.Notice = func(s string) { t.Errorf("%s: reported %q", tc.name, s) }
		dst := filepath.Join(t.TempDir(), "ws")
		err := r.Checkout(context.Background(), r.mustResolve(t, Ref{KindBranch, "odd"}), dst, CheckoutOptions{})
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "write "+dst) {
			t.Errorf("%s: got %v: %v", tc.name, errs.KindOf(err), err)
		}
		if _, err := os.Lstat(dst); err == nil {
			t.Errorf("%s: a folder is left behind", tc.name)
		}
	}
}

func TestSparsePathsThatAreNotThere(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "flows/daily/run.py", "1", "flows/weekly/run.py", "1", "top", "1")
	r := remote(t, src.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	for _, tc := range []struct {
		name  string
		paths []string
		kind  errs.Kind
		want  string
	}{
		{"all are reported", []string{"flows/dayly", "top", "elsewhere"}, errs.NotFound, "there is no flows/dayly (near: flows/daily); there is no elsewhere"},
		{"outside", []string{"../x"}, errs.Invalid, "not a path inside the repository"},
		{"last part", []string{"weekly"}, errs.NotFound, "near: flows/weekly"},
	} {
		dst := filepath.Join(t.TempDir(), "ws")
		err := r.Checkout(context.Background(), c, dst, CheckoutOptions{Sparse: tc.paths})
		if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v: %v", tc.name, errs.KindOf(err), err)
		}
		if _, err := os.Lstat(dst); err == nil {
			t.Errorf("%s: a folder is left behind", tc.name)
		}
	}
	ws := r.mustCheckout(t, c, CheckoutOptions{Sparse: []string{"flows/daily/", "top"}})
	want := map[string]string{"flows/": "", "flows/daily/": "", "flows/daily/run.py": "1", "top": "1"}
	if diff := cmp.Diff(want, tree(t, ws)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestReaderMends: a mirror that a crash left half written is read, not only
// checked out.
func TestReaderMends(t *testing.T) {
	long(t)
	t.Parallel()
	for _, tc := range []struct {
		name string
		read func(*Reader, string) error
	}{
		{"a file", func(r *Reader, c string) error { _, err := r.ReadFile(c, "dir/a"); return err }},
		{"the commit", func(r *Reader, c string) error { _, err := r.Commit(c); return err }},
		{"the list", func(r *Reader, c string) error { _, err := r.List(c); return err }},
	} {
		for _, depth := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s, depth %d", tc.name, depth), func(t *testing.T) {
				t.Parallel()
				src := newRepo(t)
				src.commit("one", "dir/a", "1")
				r := remote(t, src.dir, localAccess(t))
				told := 0
				r.access.Notice = func(string) { told++ }
				c, err := r.Update(context.Background(), Ref{KindBranch, "main"}, depth)
				if err != nil {
					t.Fatal(err)
				}
				names, _ := filepath.Glob(filepath.Join(r.objects(), "pack", "pack-*.pack"))
				for _, name := range names {
					_ = os.Chmod(name, 0o644)
					if err := os.Truncate(name, 0); err != nil {
						t.Fatal(err)
					}
				}
				reader := r.Reader(context.Background())
				defer reader.Close()
				if err := tc.read(reader, c.Commit); err != nil || told != 1 {
					t.Errorf("%v; reported %d times", err, told)
				}
				if _, err := reader.ReadFile(c.Commit, "dir/none"); !errs.Is(err, errs.NotFound) || told != 1 {
					t.Errorf("what is not there: %v; reported %d times", err, told)
				}
				gitIn(t, r.mustCheckout(t, c, CheckoutOptions{Depth: depth}), src.env, "fsck")
			})
		}
	}
}

// TestDefaultBranchIsAskedOnce: a run of HEAD knows it already.
func TestDefaultBranchIsAskedOnce(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	var asked atomic.Int32
	url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasSuffix(req.URL.Path, "/info/refs") {
				asked.Add(1)
			}
			next.ServeHTTP(w, req)
		})
	})
	r := remote(t, url+"/repo", Access{Environ: environ(t)})
	ctx := context.Background()
	if _, err := r.Update(ctx, Ref{}, 0); err != nil {
		t.Fatal(err)
	}
	before := asked.Load()
	if name, err := r.DefaultBranch(ctx); err != nil || name != "main" || asked.Load() != before {
		t.Errorf("%q, %v; asked %d times more", name, err, asked.Load()-before)
	}
}

package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func TestCheckout(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	first := src.commit("one", "a.txt", "1\n", "dir/b.txt", "b\n", "only-on-main.txt", "m\n")
	src.git("tag", "-a", "-m", "the tag", "v1.0")
	src.git("tag", "light")
	src.git("checkout", "-q", "-b", "feature/ü#1%&'$(x)", "main")
	src.git("rm", "-q", "only-on-main.txt")
	src.commit("two", "a.txt", "2\n", "dir/sub/c.txt", "c\n")
	src.git("branch", "v1.0") // a branch named like the tag, elsewhere
	src.git("checkout", "-q", "main")
	main := src.commit("three", "a.txt", "3\n")

	r := remote(t, serveHTTP(t, filepath.Dir(src.dir), asIs)+"/repo", Access{Environ: environ(t)})
	for _, tc := range []struct {
		name string
		ref  Ref
		rev  string
		want Kind
	}{
		{"HEAD", Ref{}, "main", KindBranch},
		{"branch", Ref{KindBranch, "main"}, "main", KindBranch},
		{"odd branch", Ref{KindBranch, "feature/ü#1%&'$(x)"}, "refs/heads/feature/ü#1%&'$(x)", KindBranch},
		{"branch named like a tag", Ref{KindBranch, "v1.0"}, "refs/heads/v1.0", KindBranch},
		{"annotated tag named like a branch", Ref{KindTag, "v1.0"}, "refs/tags/v1.0", KindTag},
		{"light tag", Ref{KindTag, "light"}, "refs/tags/light", KindTag},
		{"commit", Ref{KindCommit, first}, first, KindCommit},
		{"short commit", Ref{KindCommit, first[:9]}, first, KindCommit},
		{"commit in capitals", Ref{KindCommit, strings.ToUpper(main)}, main, KindCommit},
	} {
		for _, depth := range []int{1, 0}[:orShort(2, 1)] {
			c := r.mustResolve(t, tc.ref)
			if want := src.git("rev-parse", tc.rev+"^{commit}"); c.Commit != want || c.Kind != tc.want {
				t.Fatalf("%s: resolved to %+v, want %s %s", tc.name, c, tc.want, want)
			}
			ws := r.mustCheckout(t, c, CheckoutOptions{Depth: depth})
			if diff := cmp.Diff(src.tree(tc.rev), tree(t, ws)); diff != "" {
				t.Errorf("%s, depth %d: tree differs (-want +got)\n%s", tc.name, depth, diff)
			}
			if got := gitIn(t, ws, src.env, "status", "--porcelain"); got != "" {
				t.Errorf("%s: git status says %q", tc.name, got)
			}
			if got := gitIn(t, ws, src.env, "rev-parse", "HEAD"); got != c.Commit {
				t.Errorf("%s: HEAD is at %s, want %s", tc.name, got, c.Commit)
			}
			gitIn(t, ws, src.env, "fsck", "--connectivity-only")
			gitIn(t, ws, src.env, "log", "--all", "--oneline")
			if err := r.Recycle(context.Background(), c, ws); err != nil { // the next one moves it
				t.Fatal(err)
			}
			if len(r.pooled()) == 0 {
				t.Errorf("%s: nothing was kept", tc.name)
			}
		}
	}
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{KindTag, "v1.0"}), CheckoutOptions{})
	if got := gitIn(t, ws, src.env, "describe"); got != "v1.0" {
		t.Errorf("describe says %q", got)
	}
}

func TestResolveUnknown(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	for _, b := range []string{"main-2", "release", "feature/login"} {
		src.git("branch", b)
	}
	src.git("tag", "v1.0.0")
	empty := newRepo(t)
	for _, tc := range []struct {
		name string
		url  string
		ref  Ref
		kind errs.Kind
		want string
	}{
		{"near", src.dir, Ref{KindBranch, "mian"}, errs.NotFound, `branch "mian" is not in ` + src.dir + `; branches that are near: main, main-2`},
		{"last part", src.dir, Ref{KindBranch, "login"}, errs.NotFound, "near: feature/login"},
		{"far", src.dir, Ref{KindBranch, "qqqqqq"}, errs.NotFound, `branch "qqqqqq" is not in ` + src.dir},
		{"tag asked as branch", src.dir, Ref{KindBranch, "v1.0.0"}, errs.NotFound, "but there is a tag of that name"},
		{"branch asked as tag", src.dir, Ref{KindTag, "release"}, errs.NotFound, "but there is a branch of that name"},
		{"tag", src.dir, Ref{KindTag, "v1.0.1"}, errs.NotFound, "tags that are near: v1.0.0"},
		{"option", src.dir, Ref{KindBranch, "--upload-pack=touch x"}, errs.Invalid, "cannot be the name of a branch"},
		{"empty", src.dir, Ref{KindBranch, ""}, errs.Invalid, "it is empty"},
		{"short commit", src.dir, Ref{KindCommit, "0123456"}, errs.NotFound, "give all 40 characters"},
		{"no commit", src.dir, Ref{KindCommit, "main"}, errs.Invalid, `no commit "main"`},
		{"empty repository", empty.dir, Ref{}, errs.NotFound, "no commit at its HEAD"},
		{"no repository", t.TempDir(), Ref{}, errs.NotFound, "is not there"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := remote(t, tc.url, localAccess(t)).Resolve(context.Background(), tc.ref)
			if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v: %v\nwant %v: …%s…", errs.KindOf(err), err, tc.kind, tc.want)
			}
		})
	}
}

func TestFetchUnknownCommit(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	r := remote(t, src.dir, localAccess(t))
	dst := filepath.Join(t.TempDir(), "ws")
	err := r.Checkout(context.Background(), Resolved{Commit: strings.Repeat("1", 40)}, dst, CheckoutOptions{})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
	if _, err := os.Lstat(dst); err == nil {
		t.Error("a folder is left behind")
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	pinned := src.commit("one", "a", "1")
	src.git("tag", "v1")
	r := remote(t, src.dir, localAccess(t))
	ctx := context.Background()
	if err := r.mustResolve(t, Ref{KindTag, "v1"}).Expect(pinned); err != nil {
		t.Error(err)
	}
	r.mustCheckout(t, r.mustResolve(t, Ref{KindTag, "v1"}), CheckoutOptions{})
	moved := src.commit("two", "a", "2")
	src.git("tag", "-f", "-a", "-m", "moved", "v1")
	c, err := r.Resolve(ctx, Ref{KindTag, "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Expect(pinned); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "has moved") {
		t.Errorf("got %v", err)
	}
	ws := r.mustCheckout(t, c, CheckoutOptions{})
	if got := gitIn(t, ws, src.env, "rev-parse", "v1^{commit}"); got != moved {
		t.Errorf("the tag is at %s in the checkout, want %s", got, moved)
	}
}

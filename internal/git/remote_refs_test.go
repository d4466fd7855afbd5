package git

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

// Refs gives branches, peeled tags and merge requests of every forge's form, by
// one question.
func TestRefs(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	one := src.commit("one", "a", "1")
	src.git("tag", "light")
	src.git("tag", "-a", "-m", "x", "heavy")
	heavy := src.git("rev-parse", "heavy")
	two := src.commit("two", "a", "2")
	src.git("branch", "a/b")
	src.git("branch", "heads/main", one)
	for _, ref := range []string{"refs/merge-requests/7/head", "refs/pull/12/head", "refs/pull-requests/3/from",
		"refs/pull/12/merge", "refs/merge-requests/07/head", "refs/merge-requests/x/head", "refs/keep-around/" + one} {
		src.git("update-ref", ref, one)
	}
	var asked atomic.Int32
	url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasSuffix(req.URL.Path, "/info/refs") {
				asked.Add(1)
			}
			next.ServeHTTP(w, req)
		})
	}) + "/repo"
	branches := []Resolved{{KindBranch, "a/b", two, ""}, {KindBranch, "heads/main", one, ""}, {KindBranch, "main", two, ""}}
	tags := []Resolved{{KindTag, "heavy", one, heavy}, {KindTag, "light", one, ""}}
	requests := []Resolved{{KindMergeRequest, "12", one, ""}, {KindMergeRequest, "3", one, ""}, {KindMergeRequest, "7", one, ""}}
	for name, tc := range map[string]struct {
		kinds []Kind
		want  []Resolved
	}{
		"default":  {nil, append(branches[:3:3], tags...)},
		"branches": {[]Kind{KindBranch}, branches},
		"tags":     {[]Kind{KindTag}, tags},
		"requests": {[]Kind{KindMergeRequest}, requests},
		"all":      {[]Kind{KindBranch, KindTag, KindMergeRequest}, append(append(branches[:3:3], requests...), tags...)},
	} {
		asked.Store(0)
		got, err := remote(t, url, Access{Environ: environ(t)}).Refs(t.Context(), tc.kinds...)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil || asked.Load() != 1 {
			t.Errorf("%s: asked %d times, %v (-want +got)\n%s", name, asked.Load(), err, diff)
		}
	}
}

func TestMergeRequests(t *testing.T) {
	t.Parallel()
	for _, v2 := range []bool{true, false}[:orShort(2, 1)] {
		for _, full := range []string{"refs/merge-requests/7/head", "refs/pull/7/head", "refs/pull-requests/7/from"} {
			src := newRepo(t)
			src.commit("one", "a", "1")
			src.git("checkout", "-q", "--detach")
			want := src.commit("of the request", "a", "2")
			src.git("update-ref", full, want)
			src.git("checkout", "-q", "main")
			url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if !v2 {
						req.Header.Del("Git-Protocol") // serves what a ref names, and no other commit
					}
					next.ServeHTTP(w, req)
				})
			}) + "/repo"
			for _, depth := range []int{0, 1} {
				r := remote(t, url, Access{Environ: environ(t)})
				c, err := r.Update(t.Context(), Ref{KindMergeRequest, "7"}, depth)
				if err != nil || c != (Resolved{KindMergeRequest, "7", want, ""}) {
					t.Fatalf("%s: %+v, %v", full, c, err)
				}
				if got := tree(t, r.mustCheckout(t, c, CheckoutOptions{Depth: depth}))["a"]; got != "2" {
					t.Errorf("%s: a is %q", full, got)
				}
			}
		}
	}
	src := newRepo(t)
	src.commit("one", "a", "1")
	r := remote(t, src.dir, localAccess(t))
	for number, want := range map[string]errs.Kind{"8": errs.NotFound, "": errs.Invalid, "0": errs.Invalid, "-1": errs.Invalid, "7/head": errs.Invalid, "*": errs.Invalid} {
		if _, err := r.Resolve(t.Context(), Ref{KindMergeRequest, number}); !errs.Is(err, want) {
			t.Errorf("%q: %v, want %v", number, err, want)
		}
	}
}

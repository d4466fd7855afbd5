package git

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func TestSubmodules(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	leaf := newRepoAt(t, filepath.Join(root, "group", "leaf.git"))
	leaf.commit("one", "leaf", "1")
	mid := newRepoAt(t, filepath.Join(root, "group", "mid"))
	mid.git("submodule", "--quiet", "add", "../leaf.git", "libs/leaf")
	mid.commit("one", "mid", "1")
	top := newRepoAt(t, filepath.Join(root, "group", "top"))
	top.git("submodule", "--quiet", "add", "--name", "odd \"name\"", "../mid", "mods/mid")
	top.commit("one", "top", "1")
	mid.commit("later, not what top names", "mid", "2")

	var mu sync.Mutex
	asked := map[string]bool{}
	url := serveHTTP(t, root, signIn(func(req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[strings.Split(req.URL.Path, "/info/refs")[0]] = true
	})) + "/group/top"
	for _, tc := range []struct {
		how  Submodules
		want map[string]string
	}{
		{SubmodulesNone, map[string]string{"top": "1", "mods/": "", "mods/mid/": ""}},
		{SubmodulesNormal, map[string]string{"top": "1", "mods/": "", "mods/mid/": "", "mods/mid/mid": "1", "mods/mid/libs/": "", "mods/mid/libs/leaf/": ""}},
		{SubmodulesRecursive, map[string]string{"top": "1", "mods/": "", "mods/mid/": "", "mods/mid/mid": "1", "mods/mid/libs/": "", "mods/mid/libs/leaf/": "", "mods/mid/libs/leaf/leaf": "1"}},
	} {
		r := remote(t, url, Access{Environ: environ(t), Password: func() string { return token }})
		ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Submodules: tc.how, Depth: 1})
		got := tree(t, ws)
		for name := range got {
			if strings.HasSuffix(name, ".gitmodules") {
				delete(got, name)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tc.how, diff)
		}
		if got := gitIn(t, ws, top.env, "status", "--porcelain"); got != "" {
			t.Errorf("%q: status %q", tc.how, got)
		}
		if tc.how == SubmodulesRecursive {
			want := " " + mid.git("rev-parse", "HEAD~1") + " mods/mid"
			if got := gitIn(t, ws, top.env, "submodule", "status"); !strings.HasPrefix(" "+got, want) {
				t.Errorf("submodule status: %q, want %q", got, want)
			}
			gitIn(t, ws, top.env, "submodule", "foreach", "--recursive", "git status --porcelain")
		}
		noSecret(t, ws)
	}
}

func TestRelativeURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ base, rel, want string }{
		{"https://git.example.com/group/top.git", "../sub.git", "https://git.example.com/group/sub.git"},
		{"https://git.example.com/group/top", "../../other/sub", "https://git.example.com/other/sub"},
		{"git@git.example.com:group/top.git", "../sub.git", "git@git.example.com:group/sub.git"},
		{"ssh://git@git.example.com:2222/group/top.git", "../sub.git", "ssh://git@git.example.com:2222/group/sub.git"},
	} {
		addr, err := parseAddress(tc.base, Access{})
		if err != nil {
			t.Fatal(err)
		}
		if got := addr.relative(tc.rel); got != tc.want {
			t.Errorf("%s + %s = %s, want %s", tc.base, tc.rel, got, tc.want)
		}
	}
}

func TestSparse(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "top", "1", "a/x", "1", "a/deep/y", "1", "b/z", "1", "my flows/[odd]*/f", "1", "my flows/other", "1", "c/only.py", "1", "c/not.py", "1")
	r := remote(t, src.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	if err := r.Fetch(context.Background(), c, 0); err != nil {
		t.Fatal(err)
	}
	ws := r.mustCheckout(t, c, CheckoutOptions{Sparse: []string{"a", "my flows/[odd]*", "c/only.py"}})
	want := map[string]string{"top": "1", "a/": "", "a/x": "1", "a/deep/": "", "a/deep/y": "1", "my flows/": "", "my flows/[odd]*/": "",
		"my flows/[odd]*/f": "1", "c/": "", "c/only.py": "1"}
	if diff := cmp.Diff(want, tree(t, ws)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := gitIn(t, ws, src.env, "status", "--porcelain"); got != "" {
		t.Errorf("status %q", got)
	}
	gitIn(t, ws, src.env, "show", "HEAD:b/z")
}

// A submodule is in the commit though its object is not in the mirror: that is
// no damage, and it may be named among sparse paths.
func TestSubmoduleIsThere(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	lib := newRepoAt(t, filepath.Join(root, "lib"))
	lib.commit("one", "f", "1")
	top := newRepoAt(t, filepath.Join(root, "top"))
	top.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.dir, "vendor/lib")
	top.commit("one", "a/x", "1", "b/y", "1")
	r := remote(t, top.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	ws := r.mustCheckout(t, c, CheckoutOptions{Sparse: []string{"vendor/lib", "a"}, Submodules: SubmodulesNormal})
	got := tree(t, ws)
	for _, name := range []string{"vendor/lib/f", "a/x"} {
		if got[name] != "1" {
			t.Errorf("%s is not there: %q", name, got)
		}
	}
	if _, there := got["b/y"]; there {
		t.Errorf("b/y is there: %q", got)
	}
	before, err := os.Stat(r.mirror())
	if err != nil {
		t.Fatal(err)
	}
	reader := r.Reader(context.Background())
	defer reader.Close()
	if _, err := reader.ReadFile(c.Commit, "vendor/lib"); !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v, want that it is not found", err)
	}
	if after, err := os.Stat(r.mirror()); err != nil || !os.SameFile(before, after) {
		t.Errorf("the mirror was built anew, %v", err)
	}
}

// TestSubmoduleElsewhereGetsNoToken: everybody who may push writes .gitmodules.
func TestSubmoduleElsewhereGetsNoToken(t *testing.T) {
	t.Parallel()
	var got sync.Map
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got.Store("asked", true)
		if _, _, ok := req.BasicAuth(); ok {
			got.Store("credentials", true)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="elsewhere"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(elsewhere.Close)
	src := newRepo(t)
	commit := src.commit("one", "a", "1")
	src.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = "+elsewhere.URL+"/repo\n")
	src.git("add", ".gitmodules")
	src.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",sub")
	src.git("commit", "-qm", "two")
	url := serveHTTP(t, filepath.Dir(src.dir), signIn(func(*http.Request) {})) + "/repo"
	for _, trust := range []Trust{Server, User} {
		for _, a := range []Access{
			{Password: func() string { return token }},
			{Username: "oauth2", Password: func() string { return token }},
		} {
			a.Trust, a.Environ = trust, environ(t)
			r := remote(t, url, a)
			err := r.Checkout(context.Background(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{Submodules: SubmodulesRecursive})
			if !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), `submodule "sub"`) || strings.Contains(err.Error(), token) {
				t.Errorf("got %v: %v", errs.KindOf(err), err)
			}
		}
	}
	if _, ok := got.Load("asked"); !ok {
		t.Error("no request went elsewhere: the test shows nothing")
	}
	if _, ok := got.Load("credentials"); ok {
		t.Error("the token was sent elsewhere")
	}
}

// A submodule on another server gets the credentials for that server.
func TestLoginOfEachSite(t *testing.T) {
	t.Parallel()
	leaf, top := newRepo(t), newRepo(t)
	leaf.commit("one", "leaf", "1")
	elsewhere := serveHTTP(t, filepath.Dir(leaf.dir), signIn(func(*http.Request) {}))
	top.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = "+elsewhere+"/repo\n")
	top.git("add", ".gitmodules")
	top.git("update-index", "--add", "--cacheinfo", "160000,"+leaf.git("rev-parse", "HEAD")+",sub")
	top.git("commit", "-qm", "one")
	url := serveHTTP(t, filepath.Dir(top.dir), asIs)
	var asked []string
	a := Access{Environ: environ(t), Login: func(site string) (string, string) {
		asked = append(asked, site)
		if site == elsewhere {
			return "", token
		}
		return "", ""
	}}
	r := remote(t, url+"/repo", a)
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Submodules: SubmodulesNormal})
	if got := tree(t, ws)["sub/leaf"]; got != "1" {
		t.Errorf("the submodule's file is %q, want 1; asked for %q", got, asked)
	}
	noSecret(t, ws)
}

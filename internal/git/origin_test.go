package git

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

// A folder given as a repository is the clone of another one: submodules, the
// default branch and the URL that jobs see are those of its origin.
func TestFolderIsAClone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	sub := newRepoAt(t, filepath.Join(root, "server", "sub.git"))
	sub.commit("one", "s", "1")
	top := newRepoAt(t, filepath.Join(root, "server", "top"))
	top.git("submodule", "--quiet", "add", "../sub.git", "sub")
	top.commit("one", "top", "1")
	url := serveHTTP(t, root, asIs) + "/server/top"
	clones := map[string]struct {
		args   []string
		origin string
	}{
		"clone":             {[]string{"clone", "-q", url, "clone"}, url},
		"mirror":            {[]string{"clone", "-q", "--mirror", url, "mirror"}, url},
		"clone of a folder": {[]string{"clone", "-q", "server/top", "clone of a folder"}, filepath.Join(root, "server", "top")},
	}
	for name, tc := range clones {
		gitIn(t, root, top.env, tc.args...)
		dir := filepath.Join(root, name)
		if name == "clone" {
			gitIn(t, dir, top.env, "checkout", "-q", "-b", "topic")
		}
		r := remote(t, dir, localAccess(t))
		if got := r.Origin(t.Context()); got != tc.origin {
			t.Errorf("%s: origin %s, want %s", name, got, tc.origin)
		}
		if got, err := r.DefaultBranch(t.Context()); err != nil || got != "main" {
			t.Errorf("%s: default branch %q, %v, want main", name, got, err)
		}
		ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Submodules: SubmodulesRecursive})
		if got := tree(t, ws)["sub/s"]; got != "1" {
			t.Errorf("%s: the submodule's file is %q, want 1", name, got)
		}
		if got := gitIn(t, ws, top.env, "remote", "get-url", "origin"); got != tc.origin {
			t.Errorf("%s: the job's origin is %s, want %s", name, got, tc.origin)
		}
	}
	// Without a remote the folder itself is the upstream, as for git submodule.
	r := remote(t, top.dir, localAccess(t))
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Submodules: SubmodulesNormal})
	if got := tree(t, ws)["sub/s"]; got != "1" || r.Origin(t.Context()) != top.dir {
		t.Errorf("without a remote: file %q, origin %s", got, r.Origin(t.Context()))
	}
	other := newRepo(t)
	other.git("remote", "add", "origin", "../server/top")
	if got, want := remote(t, other.dir, localAccess(t)).Origin(t.Context()), filepath.Join(filepath.Dir(other.dir), "server/top"); got != want {
		t.Errorf("a relative remote: %s, want %s", got, want)
	}
}

// A repository that lacks objects is reported at once, without another attempt.
func TestRemoteLacksObjects(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "f", "1", "d/g", "2")
	src.commit("two", "f", "3")
	for _, rev := range []string{"HEAD:f", "HEAD:d", "HEAD^{tree}", "HEAD~1", "HEAD~1:f"} {
		id := src.git("rev-parse", rev)
		object := filepath.Join(src.dir, ".git", "objects", id[:2], id[2:])
		must(t, os.Rename(object, object+".away"))
		var notices []string
		a := localAccess(t)
		a.Notice = func(s string) { notices = append(notices, s) }
		r := remote(t, src.dir, a)
		_, err := r.Update(t.Context(), Ref{}, 0)
		if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "lacks objects") || len(notices) > 0 {
			t.Errorf("%s: %v: %v, notices %q", rev, errs.KindOf(err), err, notices)
		}
		must(t, os.Rename(object+".away", object))
		if _, err := r.Update(t.Context(), Ref{}, 0); err != nil {
			t.Errorf("%s, repaired: %v", rev, err)
		}
	}
}

func TestLFSPointers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
	files := map[string]string{
		"a.bin": pointer, "sub/b.bin": pointer, "c.bin": "content", "empty.bin": "", "d.bin": pointer + strings.Repeat("x", 1024),
		"like.txt": "version https://git-lfs.github.com/spec/v1\nis what a pointer begins with\n",
	}
	var paths []string
	for name, text := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		paths = append(paths, name)
	}
	if got := LFSPointers(dir, append(paths, "gone.bin")); got != 0 {
		t.Errorf("without attributes: %d, want 0", got)
	}
	must(t, os.WriteFile(filepath.Join(dir, "sub", ".gitattributes"), []byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"), 0o644))
	if got := LFSPointers(dir, append(paths, "sub/.gitattributes", "gone.bin")); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestChangedBetweenCommits(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	one := src.commit("one", "a", "1", "dir/b c", "1", "old", "text that is long enough to be a rename")
	src.git("mv", "old", "new")
	two := src.commit("two", "a", "2")
	src.git("checkout", "-q", "-b", "topic", one)
	topic := src.commit("topic", "dir/b c", "2", "ünï", "x")
	src.git("checkout", "-q", "main")
	r := remote(t, src.dir, localAccess(t))
	for _, id := range []string{two, topic} {
		must(t, r.Fetch(t.Context(), Resolved{Kind: KindCommit, Commit: id}, 0))
	}
	base, err := r.MergeBase(t.Context(), two, topic)
	if err != nil || base != one {
		t.Errorf("merge base %s, %v, want %s", base, err, one)
	}
	for _, tc := range []struct {
		from, to string
		want     []string
	}{
		{one, two, []string{"a", "new", "old"}},
		{one, topic, []string{"dir/b c", "ünï"}},
		{two, topic, []string{"a", "dir/b c", "new", "old", "ünï"}},
		{two, two, nil},
	} {
		got, err := r.Changed(t.Context(), tc.from, tc.to)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%.7s..%.7s: %v (-want +got)\n%s", tc.from, tc.to, err, diff)
		}
	}
	if _, err := r.Changed(t.Context(), strings.Repeat("1", 40), two); !errs.Is(err, errs.NotFound) {
		t.Errorf("a commit that is missing: %v", err)
	}
	if _, err := r.Changed(t.Context(), "--help", two); !errs.Is(err, errs.Invalid) {
		t.Errorf("no commit: %v", err)
	}
	src.git("checkout", "-q", "--orphan", "alone")
	alone := src.commit("alone", "a", "3")
	must(t, r.Fetch(t.Context(), Resolved{Kind: KindCommit, Commit: alone}, 0))
	if base, err := r.MergeBase(t.Context(), alone, two); base != "" || err != nil {
		t.Errorf("merge base without common history: %q, %v", base, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

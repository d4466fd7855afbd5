package git

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
)

// trap is a file that must not come to be: it shows that something ran.
type trap struct {
	t    *testing.T
	path string
}

func newTrap(t *testing.T) trap { return trap{t, filepath.Join(t.TempDir(), "pwned")} }

func (tr trap) check() {
	tr.t.Helper()
	if _, err := os.Stat(tr.path); err == nil {
		tr.t.Error("code of the attacker ran")
	}
}

// control shows that the trap works: plain git, doing the same, springs it.
func (tr trap) control(dir string, env []string, args ...string) {
	tr.t.Helper()
	_, _ = process{args: args, dir: dir, env: env}.output(context.Background())
	if _, err := os.Stat(tr.path); err != nil {
		tr.t.Errorf("git %v does not spring the trap: the test shows nothing", args)
	}
}

// TestAttackURLs: what a repository's URL could make git do.
func TestAttackURLs(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	for _, trust := range []Trust{Server, User} {
		tr := newTrap(t)
		for _, url := range []string{
			"ext::sh -c touch% " + tr.path,
			"fd::17/foo",
			"--upload-pack=touch " + tr.path + ";git-upload-pack",
			"-u./x",
			"ssh://-oProxyCommand=touch${IFS}" + tr.path + "/x",
			"ssh://user@-oProxyCommand=touch/x",
			"ssh://-oProxyCommand=x@host/x",
			"-oProxyCommand=touch:x",
			"host:-oProxyCommand=x",
			"https://host/x\nurl=https://evil",
			"https://host%0a.example.com/x",
			"https://host.example.com/x?private_token=1",
			"https:///x",
			"https://host.example.com",
			"ftp://host.example.com/x",
			"http://host.example.com/x",
			"ssh://user:password@host/x",
			"",
		} {
			a := Access{Trust: trust, Environ: environ(t)}
			r, err := NewRemote(url, t.TempDir(), a)
			if err == nil {
				_, err = r.Resolve(context.Background(), Ref{})
			}
			if err == nil {
				t.Errorf("%q was taken", url)
			}
			tr.check()
		}
		for _, url := range []string{src.dir, "file://" + src.dir, "./repo"} {
			if _, err := NewRemote(url, t.TempDir(), Access{Trust: trust}); !errs.Is(err, errs.Denied) {
				t.Errorf("%q: got %v", url, err)
			}
		}
	}
	// The transports stay shut even when the user's configuration opens them.
	env := environ(t)
	tr := newTrap(t)
	gitIn(t, src.dir, env, "config", "--global", "protocol.ext.allow", "always")
	gitIn(t, src.dir, env, "config", "--global", "url.ext::sh -c touch% "+tr.path+" .insteadOf", "https://rewritten.example.com/")
	_, err := remote(t, "https://rewritten.example.com/x", Access{Trust: User, Environ: env}).Resolve(context.Background(), Ref{})
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
	tr.check()
	tr.control(src.dir, env, "ls-remote", "https://rewritten.example.com/x")
	// The good case beside it.
	gitIn(t, src.dir, env, "config", "--global", "url."+filepath.Dir(src.dir)+"/.insteadOf", "short:")
	r := remote(t, "short:repo", Access{Trust: User, AllowFile: true, Environ: env})
	r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	if _, err := remote(t, "short:repo", Access{Trust: User, Environ: env}).Resolve(context.Background(), Ref{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a rewritten URL led to a folder: %v", err)
	}
}

// TestAttackRefs: what a ref's name could make git do.
func TestAttackRefs(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	tr := newTrap(t)
	r := remote(t, src.dir, localAccess(t))
	for _, name := range []string{
		"--upload-pack=touch " + tr.path + ";git-upload-pack", "--upload-pack=x", "-x", "a..b", "a b", "a:b", "x^{}", "*", "refs/../x", "a\nb", "HEAD@{1}",
	} {
		for _, kind := range []Kind{KindBranch, KindTag, KindCommit} {
			if _, err := r.Resolve(context.Background(), Ref{kind, name}); !errs.Is(err, errs.Invalid) {
				t.Errorf("%s %q: got %v: %v", kind, name, errs.KindOf(err), err)
			}
		}
		if err := r.Fetch(context.Background(), Resolved{Commit: name}, 0); !errs.Is(err, errs.Invalid) {
			t.Errorf("fetch of %q: got %v", name, err)
		}
	}
	tr.check()
}

// TestAttackRepository: what a repository's content could make git run while it
// is fetched, checked out or looked at.
func TestAttackRepository(t *testing.T) {
	t.Parallel()
	tr := newTrap(t)
	touch := "touch " + tr.path + "; cat"
	src := newRepo(t)
	// A repository inside, with a file system monitor.
	for name, text := range map[string]string{
		"sub/HEAD": "ref: refs/heads/main\n", "sub/objects/k": "", "sub/refs/k": "", "sub/wt/k": "",
		"sub/config": "[core]\n\trepositoryformatversion=0\n\tbare=false\n\tworktree=wt\n\tfsmonitor=\"" + touch + "; false\"\n",
	} {
		src.write(name, text)
	}
	// Filters by attributes, with their configuration where git could look for it.
	src.write(".gitattributes", "* filter=x diff=x merge=x\n*.bin filter=lfs diff=lfs\n")
	src.write(".gitconfig", "[filter \"x\"]\n\tsmudge = "+touch+"\n\tclean = "+touch+"\n")
	src.write("hooks/post-checkout", "#!/bin/sh\n"+touch+"\n")
	src.write("a.bin", "1")
	src.commit("one")
	env := environ(t)
	// A user whose own configuration has the filter: it must not change the tree.
	for _, key := range []string{"filter.x.smudge", "filter.x.clean", "core.fsmonitor", "core.pager", "diff.external"} {
		gitIn(t, src.dir, env, "config", "--global", key, touch)
	}
	gitIn(t, src.dir, env, "config", "--global", "core.hooksPath", filepath.Join(src.dir, "hooks"))
	if err := os.Chmod(filepath.Join(src.dir, "hooks", "post-checkout"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range []Access{{Trust: User, AllowFile: true, Environ: env}, {AllowFile: true, Environ: env}} {
		r := remote(t, src.dir, a)
		c := r.mustResolve(t, Ref{})
		ws := r.mustCheckout(t, c, CheckoutOptions{})
		tr.check()
		if err := r.Recycle(context.Background(), c, ws); err != nil {
			t.Fatal(err)
		}
		ws = r.mustCheckout(t, c, CheckoutOptions{})
		tr.check()
		if _, err := Open(context.Background(), filepath.Join(ws, "sub"), env); !errs.Is(err, errs.Invalid) {
			t.Errorf("open inside: %v", err)
		}
		w, err := Open(context.Background(), ws, env)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Head(context.Background()); err != nil {
			t.Error(err)
		}
		tr.check()
	}
	tr.control(src.dir, env, "clone", "-q", ".", filepath.Join(t.TempDir(), "clone"))
}

// TestAttackUserRepository: a folder from elsewhere whose .git/config would run
// things when it is looked at.
func TestAttackUserRepository(t *testing.T) {
	t.Parallel()
	tr := newTrap(t)
	src := newRepo(t)
	src.commit("one", "a", "1", "b", "1")
	touch := "touch " + tr.path + "; false"
	for _, key := range []string{"core.fsmonitor", "core.pager", "core.sshCommand", "credential.helper", "diff.external", "core.editor", "core.askPass", "alias.status", "alias.ls-files", "remote.origin.uploadpack"} {
		src.git("config", key, "!"+touch)
	}
	src.write(".git/hooks/post-index-change", "#!/bin/sh\n"+touch+"\n")
	if err := os.Chmod(filepath.Join(src.dir, ".git/hooks/post-index-change"), 0o755); err != nil {
		t.Fatal(err)
	}
	src.write("a", "2")
	w := open(t, src.dir)
	ctx := context.Background()
	if _, err := w.Head(ctx); err != nil {
		t.Error(err)
	}
	if f, err := w.Files(ctx); err != nil || len(f.Changed) != 1 {
		t.Error(f, err)
	}
	if got, err := w.Changed(ctx, w.SHA); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	dst := t.TempDir()
	if _, err := w.Snapshot(ctx, dst); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(dst, ".git", "config"))
	if err != nil || strings.Contains(string(text), "touch") {
		t.Errorf("the snapshot's configuration: %s %v", text, err)
	}
	tr.check()
	tr.control(src.dir, src.env, "status")
}

// TestAttackSubmodules: what .gitmodules could make git run, write or send.
func TestAttackSubmodules(t *testing.T) {
	t.Parallel()
	tr := newTrap(t)
	sub := newRepo(t)
	commit := sub.commit("one", "s", "1")
	for i, tc := range []struct{ path, url, update string }{
		{"sub", "ext::sh -c touch% " + tr.path, "none"},
		{"sub", "-u./x", "none"},
		{"sub", sub.dir, "!touch " + tr.path},
		{"sub", "ssh://-oProxyCommand=touch%20" + tr.path + "/x", "none"},
		{"sub", "https://u:p@host.example.com/x", "none"},
		{"../out", sub.dir, "none"},
		{".git/hooks", sub.dir, "none"},
		{"sub\r", sub.dir, "none"},
	} {
		src := newRepo(t)
		src.commit("one", "a", "1")
		src.write(".gitmodules", fmt.Sprintf("[submodule \"sub\"]\n\tpath = %q\n\turl = %q\n\tupdate = %q\n", tc.path, tc.url, tc.update))
		src.git("add", ".gitmodules")
		src.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",sub")
		src.git("commit", "-qm", "two")
		r := remote(t, src.dir, Access{AllowFile: true, Environ: environ(t)})
		dst := filepath.Join(t.TempDir(), "ws")
		c, err := r.Resolve(context.Background(), Ref{})
		if err == nil {
			err = r.Checkout(context.Background(), c, dst, CheckoutOptions{Submodules: SubmodulesRecursive})
		}
		if err == nil {
			t.Errorf("case %d was taken", i)
		}
		tr.check()
		for _, left := range []string{dst, filepath.Join(filepath.Dir(dst), "out")} {
			if _, err := os.Lstat(left); err == nil {
				t.Errorf("case %d left %s", i, left)
			}
		}
	}
}

func TestSubmodulesOfAServerAreNoFolders(t *testing.T) {
	t.Parallel()
	sub := newRepo(t)
	commit := sub.commit("one", "s", "1")
	src := newRepo(t)
	src.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = "+sub.dir+"\n")
	src.git("add", ".gitmodules")
	src.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",sub")
	src.git("commit", "-qm", "one")
	r := remote(t, serveHTTP(t, filepath.Dir(src.dir), asIs)+"/repo", Access{AllowFile: true, Environ: environ(t)})
	err := r.Checkout(context.Background(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{Submodules: SubmodulesNormal})
	if !errs.Is(err, errs.Denied) {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
}

// TestAttackFolder: the folder that the program is started in, or that the cache
// lies in, is a repository whose configuration sends git elsewhere.
func TestAttackFolder(t *testing.T) {
	long(t)
	src := newRepo(t)
	src.commit("one", "a", "good")
	evil := newRepo(t)
	evil.commit("one", "a", "evil")
	root := serveHTTP(t, filepath.Dir(src.dir), asIs)
	around := newRepo(t)
	around.git("config", "url."+evil.dir+".insteadOf", root+"/repo")
	around.git("config", "core.attributesFile", "x")
	t.Chdir(around.dir)
	for _, trust := range []Trust{Server, User} {
		for i, cache := range []string{filepath.Join(around.dir, "cache"), filepath.Join(around.dir, ".git", "cache"), t.TempDir()} {
			r, err := NewRemote(root+"/repo", cache, Access{Trust: trust, AllowFile: true, Environ: environ(t)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Update(context.Background(), Ref{KindBranch, "main"}, 0); err != nil {
				t.Fatal(err)
			}
			ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
			if got := tree(t, ws)["a"]; got != "good" {
				t.Errorf("trust %d, cache %d: %q", trust, i, got)
			}
		}
	}
}

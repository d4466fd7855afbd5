package git

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/lock"
)

// TestMain lets the test program act as a command line that is killed.
func TestMain(m *testing.M) {
	if url := os.Getenv("REFLINE_TEST_CHECKOUT"); url != "" {
		os.Exit(childCheckout(url))
	}
	os.Exit(m.Run())
}

func childCheckout(url string) int {
	r, err := NewRemote(url, os.Getenv("REFLINE_TEST_CACHE"), Access{Trust: User, AllowFile: true})
	if err == nil {
		ctx := context.Background()
		var c Resolved
		if c, err = r.Resolve(ctx, Ref{KindBranch, "main"}); err == nil {
			err = r.Checkout(ctx, c, os.Getenv("REFLINE_TEST_DST"), CheckoutOptions{Depth: 3})
		}
		if err == nil {
			err = r.Prepare(ctx, c)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func child(t *testing.T, url, cache, dst string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(environ(t), "REFLINE_TEST_CHECKOUT="+url, "REFLINE_TEST_CACHE="+cache, "REFLINE_TEST_DST="+dst)
	var out bytes.Buffer
	cmd.Stderr = &out
	return cmd, &out
}

// TestKilled kills a checkout at a random moment, again and again; what comes
// after must find nothing that misleads it.
func TestKilled(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	for i := range 150 {
		src.write(fmt.Sprintf("d%d/f%d", i%7, i), strings.Repeat(strconv.Itoa(i), 300))
	}
	src.commit("one")
	r := remote(t, src.dir, localAccess(t))
	cache := filepath.Dir(r.Dir())
	for round := range orShort(12, 3) {
		for i := range 20 {
			src.write(fmt.Sprintf("d%d/f%d", i%7, i), strings.Repeat(strconv.Itoa(i+round), 300))
		}
		src.commit("next")
		cmd, _ := child(t, src.dir, cache, filepath.Join(t.TempDir(), "killed"))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond) // any moment will do
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		c := r.mustResolve(t, Ref{KindBranch, "main"})
		ws := r.mustCheckout(t, c, CheckoutOptions{Depth: 3})
		if diff := cmp.Diff(tree(t, src.dir), tree(t, ws)); diff != "" {
			t.Fatalf("round %d: (-want +got)\n%s", round, diff)
		}
		gitIn(t, ws, src.env, "fsck", "--connectivity-only")
	}
	if err := r.Prepare(context.Background(), r.mustResolve(t, Ref{KindBranch, "main"})); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(r.Dir(), "tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v %v", left, err)
	}
	_ = filepath.WalkDir(r.mirror(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".lock") || strings.HasPrefix(d.Name(), "tmp_")) {
			t.Errorf("left in the mirror: %s", path)
		}
		return nil
	})
}

// TestStaleLocks puts in place what git leaves when it is killed at a bad time.
func TestStaleLocks(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("tag", "tmp_tag")
	r := remote(t, src.dir, localAccess(t))
	r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Depth: 1})
	sha := src.commit("two", "a", "2")
	for _, name := range []string{"busy", "shallow.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "refs/keep/" + sha + ".lock", "objects/pack/tmp_pack_x"} {
		if err := os.WriteFile(filepath.Join(r.mirror(), name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var notices []string
	r.access.Notice = func(s string) { notices = append(notices, s) }
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{Depth: 1})
	if got := tree(t, ws)["a"]; got != "2" || len(notices) > 0 {
		t.Errorf("a is %q; told %q", got, notices)
	}
	if got := gitIn(t, ws, src.env, "tag"); got != "tmp_tag" {
		t.Errorf("tags: %q", got)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	for i := range 100 {
		src.write(fmt.Sprintf("f%d", i), strings.Repeat(strconv.Itoa(i), 100))
	}
	src.commit("one")
	var fetches atomic.Int32
	url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodPost {
				body := new(bytes.Buffer)
				_, _ = body.ReadFrom(req.Body)
				if bytes.Contains(body.Bytes(), []byte("command=fetch")) {
					fetches.Add(1)
				}
				req.Body = readCloser{body}
			}
			next.ServeHTTP(w, req)
		})
	}) + "/repo"
	cache := filepath.Join(t.TempDir(), "cache")
	want := tree(t, src.dir)
	for round := range 2 {
		before := fetches.Load()
		type running struct {
			cmd *exec.Cmd
			out *bytes.Buffer
			dst string
		}
		var all []running
		for range orShort(5, 3) {
			dst := filepath.Join(t.TempDir(), "ws")
			cmd, out := child(t, url, cache, dst)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			all = append(all, running{cmd, out, dst})
		}
		for _, c := range all {
			if err := c.cmd.Wait(); err != nil {
				t.Fatalf("%v: %s", err, c.out)
			}
			if diff := cmp.Diff(want, tree(t, c.dst)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		}
		if n := fetches.Load() - before; n > 2 { // want and done, of one process
			t.Errorf("round %d: %d fetches for five processes", round, n)
		}
		src.commit("two", "f1", "changed")
		want = tree(t, src.dir)
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// TestDamaged breaks the mirror in several ways; it must be built anew.
func TestDamaged(t *testing.T) {
	t.Parallel()
	packs := func(r *Remote, do func(path string)) {
		names, _ := filepath.Glob(filepath.Join(r.objects(), "pack", "pack-*.pack"))
		for _, name := range names {
			_ = os.Chmod(name, 0o644)
			do(name)
		}
	}
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, r *Remote)
	}{
		{"packs gone", func(_ *testing.T, r *Remote) { packs(r, func(p string) { _ = os.Remove(p) }) }},
		{"packs cut", func(_ *testing.T, r *Remote) { packs(r, func(p string) { _ = os.Truncate(p, 40) }) }},
		{"packs empty", func(_ *testing.T, r *Remote) { packs(r, func(p string) { _ = os.Truncate(p, 0) }) }},
		{"objects gone", func(_ *testing.T, r *Remote) { _ = os.RemoveAll(r.objects()) }},
		{"HEAD empty", func(_ *testing.T, r *Remote) { _ = os.Truncate(filepath.Join(r.mirror(), "HEAD"), 0) }},
		{"configuration empty and a foreign object format", func(_ *testing.T, r *Remote) {
			_ = os.WriteFile(filepath.Join(r.mirror(), "config"), []byte("[core\n"), 0o644)
		}},
		{"refs point to nothing", func(t *testing.T, r *Remote) {
			_ = os.RemoveAll(r.objects())
			_ = os.MkdirAll(filepath.Join(r.objects(), "pack"), 0o755)
		}},
	} {
		for _, moved := range []bool{false, true}[:orShort(2, 1)] {
			t.Run(fmt.Sprintf("%s, ref moved %v", tc.name, moved), func(t *testing.T) {
				t.Parallel()
				src := newRepo(t)
				src.commit("one", "a", strings.Repeat("1", 5000), "b", "1")
				r := remote(t, src.dir, localAccess(t))
				c := r.mustResolve(t, Ref{})
				r.mustCheckout(t, c, CheckoutOptions{})
				if err := r.Prepare(context.Background(), c); err != nil {
					t.Fatal(err)
				}
				tc.damage(t, r)
				if moved {
					src.commit("two", "b", "2")
					c = r.mustResolve(t, Ref{})
				} else {
					_ = os.RemoveAll(filepath.Join(r.Dir(), "pool"))
				}
				for range 2 {
					ws := r.mustCheckout(t, c, CheckoutOptions{})
					if diff := cmp.Diff(src.tree("HEAD"), tree(t, ws)); diff != "" {
						t.Errorf("(-want +got)\n%s", diff)
					}
					gitIn(t, ws, src.env, "fsck")
				}
			})
		}
	}
}

func TestDepth(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	for i := range 30 {
		src.commit(fmt.Sprint(i), "a", strconv.Itoa(i))
	}
	at := func(back int) string { return src.git("rev-parse", fmt.Sprintf("HEAD~%d", back)) }
	url := "file://" + src.dir
	r := remote(t, url, localAccess(t))
	count := func(c Resolved, depth int) int {
		t.Helper()
		ws := r.mustCheckout(t, c, CheckoutOptions{Depth: depth})
		gitIn(t, ws, src.env, "fsck", "--connectivity-only")
		n, _ := strconv.Atoi(gitIn(t, ws, src.env, "rev-list", "--count", "HEAD"))
		return n
	}
	older, tip := Resolved{Kind: KindCommit, Commit: at(4)}, Resolved{Kind: KindCommit, Commit: at(0)}
	for i, step := range []struct {
		c           Resolved
		depth, want int
	}{
		{older, 5, 5}, {tip, 5, 5}, {older, 5, 5}, // the later fetch does not shorten the earlier
		{tip, 2, 5}, // enough is there
		{tip, 10, 10},
		{Resolved{Kind: KindCommit, Commit: at(20)}, 3, 3},
		{tip, 0, 30}, {older, 0, 26},
	} {
		if got := count(step.c, step.depth); got != step.want {
			t.Errorf("step %d: %d commits, want %d", i, got, step.want)
		}
	}
}

// TestTags: a tag follows its commit, moves, and points at other history.
func TestTags(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	for i := range 6 {
		src.commit(fmt.Sprint(i), "a", strconv.Itoa(i))
	}
	src.git("tag", "-a", "-m", "x", "v1", "HEAD~2")
	src.git("tag", "ancient", "HEAD~5")
	r := remote(t, "file://"+src.dir, localAccess(t))
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{KindBranch, "main"}), CheckoutOptions{Depth: 4})
	if got := gitIn(t, ws, src.env, "describe"); !strings.HasPrefix(got, "v1-2-g") {
		t.Errorf("describe: %q", got)
	}
	if got := gitIn(t, ws, src.env, "tag"); got != "v1" {
		t.Errorf("tags: %q", got)
	}
}

func TestMovedTagIsSeenInAWholeMirror(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	src.git("tag", "-a", "-m", "x", "v1")
	r := remote(t, src.dir, localAccess(t))
	r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{})
	src.commit("two", "a", "2")
	src.git("tag", "-f", "-a", "-m", "y", "v1")
	ws := r.mustCheckout(t, r.mustResolve(t, Ref{KindBranch, "main"}), CheckoutOptions{})
	if got := gitIn(t, ws, src.env, "describe"); got != "v1" {
		t.Errorf("describe: %q", got)
	}
}

func TestTidy(t *testing.T) {
	long(t)
	t.Parallel()
	src := newRepo(t)
	r := remote(t, src.dir, localAccess(t))
	var shas []string
	for i := range maxPacks + 2 {
		shas = append(shas, src.commit(fmt.Sprint(i), "a", strconv.Itoa(i)))
		if _, err := r.Update(context.Background(), Ref{KindBranch, "main"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	packs := func() int {
		names, _ := filepath.Glob(filepath.Join(r.objects(), "pack", "*.pack"))
		return len(names)
	}
	before := packs()
	r.settle(t)
	r.tidy(context.Background())
	if after := packs(); before <= maxPacks || after > 3 {
		t.Errorf("%d packs became %d", before, after)
	}
	for i, sha := range shas {
		ws := r.mustCheckout(t, Resolved{Kind: KindCommit, Commit: sha}, CheckoutOptions{})
		if got := tree(t, ws)["a"]; got != strconv.Itoa(i) {
			t.Errorf("commit %d: %q", i, got)
		}
	}
	if _, err := os.Stat(filepath.Join(r.mirror(), "busy")); err == nil {
		t.Error("still busy")
	}
}

func TestNotReached(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.commit("one", "a", "1")
	r := remote(t, src.dir, localAccess(t))
	c := r.mustResolve(t, Ref{})
	r.mustCheckout(t, c, CheckoutOptions{})
	if err := os.Rename(src.dir, src.dir+"-away"); err != nil {
		t.Fatal(err)
	}
	// What is in the mirror needs no connection; the rest is an error.
	r.mustCheckout(t, c, CheckoutOptions{})
	reader := r.Reader(context.Background())
	defer reader.Close()
	if text, err := reader.ReadFile(c.Commit, "a"); err != nil || string(text) != "1" {
		t.Errorf("%q %v", text, err)
	}
	err := r.Fetch(context.Background(), Resolved{Commit: strings.Repeat("2", 40)}, 0)
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v: %v", errs.KindOf(err), err)
	}
}

func TestMirrorLockNotice(t *testing.T) {
	t.Parallel()
	notices := make(chan string, 1)
	r := remote(t, "https://example.invalid/x", Access{Notice: func(s string) { notices <- s }})
	first, err := r.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		second, err := r.lock(t.Context())
		if err == nil {
			lock.Release(second)
		}
		got <- err
	}()
	if s, want := <-notices, fmt.Sprintf("waiting for process %d, which holds %s", os.Getpid(), filepath.Join(r.dir, "lock")); s != want {
		t.Errorf("got %q, want %q", s, want)
	}
	lock.Release(first)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

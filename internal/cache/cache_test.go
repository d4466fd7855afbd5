package cache

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

func TestResolveKeys(t *testing.T) {
	t.Parallel()
	base := workspace.NewTree(plant(t, files{"go.sum": "hello\n", "a/package.json": "{}", "b/package.json": "[]", "package.json": "{}", "link": "-> go.sum"}))
	const (
		hello   = "ce013625030ba8dba906f756967f9e9ca394464a" // git hash-object
		braces  = "9e26dfeeb6e641a33dae4961196235bdb965b21b"
		bracket = "0637a088a01e8ddab3bf3fa98dbe804cbde1a0dc"
	)
	for _, c := range []struct {
		name     string
		cache    pipeline.Cache
		in       KeyInput
		want     Keys
		warnings int
		err      bool
	}{
		{name: "default", want: Keys{Key: "default-non_protected"}},
		{name: "text", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "deps"}}, want: Keys{Key: "deps-non_protected"}},
		{name: "protected", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "deps"}}, in: KeyInput{Protected: true}, want: Keys{Key: "deps-protected"}},
		{name: "unprotect", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "deps"}, Unprotect: true}, in: KeyInput{Protected: true}, want: Keys{Key: "deps-non_protected"}},
		{name: "variables", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "$REF-x"}}, want: Keys{Key: "feature/a-x-non_protected"}},
		{name: "an empty variable", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "$EMPTY"}}, err: true},
		{name: "above", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "../../etc"}}, want: Keys{Key: "etc-non_protected"}, warnings: 1},
		{name: "encoded", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "%2e%2E%2fa%2Fb"}}, want: Keys{Key: "a/b-non_protected"}, warnings: 1},
		{name: "windows", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: `a\..\b`}}, want: Keys{Key: "b-non_protected"}, warnings: 1},
		{name: "fallbacks", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "a"}, FallbackKeys: []string{"$REF", "$EMPTY", "b"}}, in: KeyInput{Fallback: "global"},
			want: Keys{Key: "a-non_protected", Fallback: []string{"feature/a-non_protected", "b-non_protected", "global"}}, warnings: 1},
		{name: "no way to protected caches", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "a"}}, in: KeyInput{Fallback: "main-protected"}, want: Keys{Key: "a-non_protected"}, warnings: 1},
		{name: "trailing spaces", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "a"}}, in: KeyInput{Fallback: "x/ "}, want: Keys{Key: "a-non_protected", Fallback: []string{"x"}}, warnings: 1},
		{name: "dots only", cache: pipeline.Cache{Key: pipeline.CacheKey{Text: "a"}}, in: KeyInput{Fallback: "../.."}, want: Keys{Key: "a-non_protected"}, warnings: 1},

		{name: "files", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"go.sum"}}}, want: Keys{Key: sha1Of(hello) + "-non_protected"}},
		{name: "files and prefix", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"go.sum"}, Prefix: "$REF"}}, want: Keys{Key: "feature/a-" + sha1Of(hello) + "-non_protected"}},
		{name: "patterns, sorted and once", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"**/package.json", "go.sum"}}}, want: Keys{Key: sha1Of(bracket+"-"+braces+"-"+hello) + "-non_protected"}},
		{name: "a missing file is not counted", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"none", "go.sum"}}}, want: Keys{Key: sha1Of(hello) + "-non_protected"}},
		{name: "no file", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"none"}, Prefix: "p"}}, want: Keys{Key: "p-default-non_protected"}},
		{name: "no file, no prefix", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"none"}}}, want: Keys{Key: "default-non_protected"}},
		{name: "commits", cache: pipeline.Cache{Key: pipeline.CacheKey{Files: []string{"go.sum", "none"}, FilesCommit: true}}, in: KeyInput{LastCommit: func(path string) string {
			return map[string]string{"go.sum": "abc"}[path]
		}}, want: Keys{Key: sha1Of("abc") + "-non_protected"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.in.Base = base
			c.in.Expand = strings.NewReplacer("$REF", "feature/a", "$EMPTY", "").Replace
			got, err := ResolveKeys(c.cache, c.in)
			if c.err {
				if !errs.Is(err, errs.Invalid) {
					t.Fatalf("got %v, %v", got, err)
				}
				return
			}
			must(t, err)
			if len(got.Warnings) != c.warnings {
				t.Errorf("warnings %q, want %d", got.Warnings, c.warnings)
			}
			got.Warnings = nil
			same(t, got, c.want)
		})
	}
}

func sha1Of(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// each runs a test over every kind of store.
func each(t *testing.T, test func(t *testing.T, newStore func(t *testing.T) Store)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) Store { return NewFolder(filepath.Join(t.TempDir(), "caches"), 0) })
	})
	t.Run("remote", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) Store { r, _ := newRemote(t); return r })
	})
}

// job is what a cache sees of one: restore into a new workspace, do, save.
func job(t *testing.T, c Store, req Request, do func(dir string)) (restored files, saved Report) {
	t.Helper()
	req.Workspace = t.TempDir()
	before, err := Restore(t.Context(), c, req)
	must(t, err)
	restored = harvest(t, req.Workspace)
	delete(restored, "./")
	do(req.Workspace)
	saved, err = Save(t.Context(), c, req, before)
	must(t, err)
	return restored, saved
}

func cacheOf(key string, paths ...string) Request {
	return Request{Project: "p", Keys: Keys{Key: key}, Cache: pipeline.Cache{Paths: paths}}
}

func write(t *testing.T, content files) func(dir string) {
	return func(dir string) { plantIn(t, dir, content) }
}

func nothing(string) {}

func TestCacheComesBack(t *testing.T) {
	each(t, testCacheComesBack)
}

func testCacheComesBack(t *testing.T, newStore func(t *testing.T) Store) {
	for _, move := range []bool{false, true} {
		c := newStore(t)
		req := cacheOf("k", "deps/", "*.lock")
		req.Move = move
		odd := files{"x.lock": "1"}
		for name, content := range oddNames {
			odd["deps/"+name] = content
		}
		got, _ := job(t, c, req, write(t, odd))
		same(t, got, files{})
		got, _ = job(t, c, req, nothing)
		same(t, got, odd)
		// Other keys and projects do not see it.
		other := cacheOf("other", "deps/")
		got, _ = job(t, c, other, nothing)
		same(t, got, files{})
		other = req
		other.Project = "q"
		got, _ = job(t, c, other, nothing)
		same(t, got, files{})
	}
}

func TestCachePolicyWhenAndFallback(t *testing.T) {
	each(t, testCachePolicyWhenAndFallback)
}

func testCachePolicyWhenAndFallback(t *testing.T, newStore func(t *testing.T) Store) {
	c := newStore(t)
	req := func(policy string, when pipeline.When, failed bool, keys ...string) Request {
		r := cacheOf(keys[0], "d")
		r.Keys.Fallback, r.Cache.Policy, r.Cache.When, r.Failed = keys[1:], policy, when, failed
		return r
	}
	for _, step := range []struct {
		name  string
		req   Request
		write string
		want  files
	}{
		{"a failed job saves nothing", req("", "", true, "k"), "failed", files{}},
		{"but with always it does", req("", pipeline.WhenAlways, true, "k"), "1", files{}},
		{"on_failure not on success", req("", pipeline.WhenOnFailure, false, "k"), "no", files{"d/f": "1"}},
		{"pull does not save", req("pull", "", false, "k"), "no", files{"d/f": "1"}},
		{"push does not restore", req("push", "", false, "k"), "2", files{}},
		{"pull-push", req("pull-push", "", false, "k"), "3", files{"d/f": "2"}},
		{"fallback in order", req("", "", false, "new", "none", "k"), "4", files{"d/f": "3"}},
		{"saved under the key alone", req("pull", "", false, "new"), "", files{"d/f": "4"}},
		{"the fallback as it was", req("pull", "", false, "k"), "", files{"d/f": "3"}},
	} {
		got, _ := job(t, c, step.req, func(dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "d")))
			plantIn(t, dir, files{"d/f": step.write})
		})
		if got["d/f"] != step.want["d/f"] || len(got) != len(step.want) {
			t.Errorf("%s: restored %q, want %q", step.name, got, step.want)
		}
	}
}

func TestCacheUntracked(t *testing.T) {
	each(t, testCacheUntracked)
}

func testCacheUntracked(t *testing.T, newStore func(t *testing.T) Store) {
	c := newStore(t)
	req := cacheOf("k")
	req.Cache.Untracked = true
	req.Base = workspace.NewTree(plant(t, files{"tracked": "x"}))
	job(t, c, req, write(t, files{"tracked": "changed", "made": "1", "sub/made": "2"}))
	got, _ := job(t, c, req, nothing)
	same(t, got, files{"made": "1", "sub/made": "2"})
}

// version is what the store has for p and k.
func version(t *testing.T, c Store) string {
	t.Helper()
	into, err := os.OpenRoot(t.TempDir())
	must(t, err)
	defer into.Close()
	e, err := c.Get(t.Context(), ID{"p", "k"}, into, nil)
	must(t, err)
	return e.Version
}

func entriesOf(t *testing.T, c *Folder) []string {
	t.Helper()
	list, err := os.ReadDir(c.entries())
	must(t, err)
	var names []string
	for _, e := range list {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestSavingWhatDidNotChangeIsNoWork(t *testing.T) {
	each(t, testSavingWhatDidNotChangeIsNoWork)
}

func testSavingWhatDidNotChangeIsNoWork(t *testing.T, newStore func(t *testing.T) Store) {
	c := newStore(t)
	req := cacheOf("k", "d")
	tree := files{"d/a": "1", "d/b": "2", "d/l": "-> a", "d/e/": "", "d/s/c": "!3"}
	job(t, c, req, write(t, tree))
	first := version(t, c)
	for _, change := range []struct {
		name string
		do   func(dir string)
		same bool
		want files
	}{
		{"nothing", nothing, true, tree},
		{"rewritten with the same content and time", func(dir string) {
			info, err := os.Stat(filepath.Join(dir, "d/a"))
			must(t, err)
			must(t, os.Remove(filepath.Join(dir, "d/a")))
			must(t, os.WriteFile(filepath.Join(dir, "d/a"), []byte("1"), 0o644))
			must(t, os.Chtimes(filepath.Join(dir, "d/a"), time.Now(), info.ModTime()))
		}, true, tree},
		{"same size and time, other content", func(dir string) {
			info, err := os.Stat(filepath.Join(dir, "d/a"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "d/a"), []byte("X"), 0o644))
			must(t, os.Chtimes(filepath.Join(dir, "d/a"), time.Now(), info.ModTime()))
		}, false, files{"d/a": "X", "d/b": "2", "d/l": "-> a", "d/e/": "", "d/s/c": "!3"}},
		{"a file more", write(t, files{"d/new": "4"}), false, files{"d/a": "X", "d/b": "2", "d/l": "-> a", "d/e/": "", "d/s/c": "!3", "d/new": "4"}},
		{"a file less", func(dir string) { must(t, os.Remove(filepath.Join(dir, "d/new"))) }, false, files{"d/a": "X", "d/b": "2", "d/l": "-> a", "d/e/": "", "d/s/c": "!3"}},
		{"a link turned", func(dir string) {
			must(t, os.Remove(filepath.Join(dir, "d/l")))
			must(t, os.Symlink("b", filepath.Join(dir, "d/l")))
		}, false, files{"d/a": "X", "d/b": "2", "d/l": "-> b", "d/e/": "", "d/s/c": "!3"}},
		{"a directory more", func(dir string) { must(t, os.Mkdir(filepath.Join(dir, "d/e2"), 0o755)) }, false, files{"d/a": "X", "d/b": "2", "d/l": "-> b", "d/e/": "", "d/e2/": "", "d/s/c": "!3"}},
	} {
		_, saved := job(t, c, req, change.do)
		now := version(t, c)
		if f, ok := c.(*Folder); ok && len(entriesOf(t, f)) != 1 {
			t.Errorf("%s: %d entries are kept", change.name, len(entriesOf(t, f)))
		}
		if (now == first) != change.same {
			t.Errorf("%s: a new entry was made: %v (%q)", change.name, now != first, saved.Notes)
		}
		first = now
		got, _ := job(t, c, func() Request { r := req; r.Cache.Policy = "pull"; return r }(), nothing)
		if fmt.Sprint(got) != fmt.Sprint(change.want) {
			t.Errorf("%s: restored %q", change.name, got)
		}
	}
}

// Files that a job got are its own: what it does to them is not in the store.
func TestRestoredFilesAreNotShared(t *testing.T) {
	each(t, testRestoredFilesAreNotShared)
}

func testRestoredFilesAreNotShared(t *testing.T, newStore func(t *testing.T) Store) {
	c := newStore(t)
	req := cacheOf("k", "d")
	job(t, c, req, write(t, files{"d/a": "1", "d/b": "2"}))
	job(t, c, req, write(t, files{"d/b": "changed"})) // a is taken over from the first entry
	pull := req
	pull.Cache.Policy = "pull"
	job(t, c, pull, func(dir string) {
		f, err := os.OpenFile(filepath.Join(dir, "d/a"), os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.WriteString(" and more")
		must(t, errors.Join(err, f.Close()))
	})
	got, _ := job(t, c, pull, nothing)
	same(t, got, files{"d/a": "1", "d/b": "changed"})
}

func TestDamagedCacheIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, c *Folder, entry string){
		"a file is gone": func(t *testing.T, _ *Folder, entry string) { must(t, os.Remove(filepath.Join(entry, "files/d/a"))) },
		"a file is short": func(t *testing.T, _ *Folder, entry string) {
			must(t, os.Truncate(filepath.Join(entry, "files/d/a"), 0))
		},
		"a file is more": func(t *testing.T, _ *Folder, entry string) { plantIn(t, entry, files{"files/d/x": ""}) },
		"all is gone":    func(t *testing.T, _ *Folder, entry string) { must(t, os.RemoveAll(entry)) },
		"no files":       func(t *testing.T, _ *Folder, entry string) { must(t, os.RemoveAll(filepath.Join(entry, "files"))) },
		"the note is not": func(t *testing.T, c *Folder, _ string) {
			must(t, os.WriteFile(c.keyFile("p", "k"), []byte(`{"project":`), 0o644))
		},
		"the note is evil": func(t *testing.T, c *Folder, _ string) {
			must(t, os.WriteFile(c.keyFile("p", "k"), []byte(`{"project":"p","key":"k","entry":"../../x"}`), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewFolder(filepath.Join(t.TempDir(), "caches"), 0)
			req := cacheOf("k", "d")
			job(t, c, req, write(t, files{"d/a": "1", "d/b": "2"}))
			damage(t, c, filepath.Join(c.entries(), entriesOf(t, c)[0]))
			got, _ := job(t, c, req, write(t, files{"d/a": "again"}))
			same(t, got, files{})
			got, _ = job(t, c, req, nothing)
			same(t, got, files{"d/a": "again"})
		})
	}
}

func TestCacheLimitDropsTheLongestUnused(t *testing.T) {
	t.Parallel()
	c := NewFolder(filepath.Join(t.TempDir(), "caches"), 250)
	save := func(key string, used time.Time) {
		_, _ = job(t, c, cacheOf(key, "d"), write(t, files{"d/f": strings.Repeat(key[:1], 100)}))
		if !used.IsZero() {
			must(t, os.Chtimes(c.keyFile("p", key), used, used))
		}
	}
	save("a", time.Now().Add(-2*time.Hour))
	save("b", time.Now().Add(-1*time.Hour))
	save("c", time.Time{})
	list, err := c.List()
	must(t, err)
	var keys []string
	for _, info := range list {
		keys = append(keys, info.Key)
	}
	same(t, keys, []string{"c", "b"})
	same(t, len(entriesOf(t, c)), 2)

	n, size, err := c.Clear("p", "b")
	must(t, err)
	same(t, [2]int64{int64(n), size}, [2]int64{1, 100})
	same(t, len(entriesOf(t, c)), 1)
	n, _, err = c.Clear("q", "")
	must(t, err)
	same(t, n, 0)
	_, _, err = c.Clear("", "")
	must(t, err)
	same(t, len(entriesOf(t, c)), 0)
	list, err = NewFolder(filepath.Join(t.TempDir(), "not there"), 0).List()
	must(t, err)
	same(t, len(list), 0)
}

// Clearing does not take away what a job is reading.
func TestReadersAreNotDisturbed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("files that are open cannot be removed on Windows")
	}
	c := NewFolder(filepath.Join(t.TempDir(), "caches"), 0)
	job(t, c, cacheOf("k", "d"), write(t, files{"d/f": "x"}))
	e, err := c.open("p", "k")
	must(t, err)
	_, _, err = c.Clear("", "")
	must(t, err)
	must(t, e.verify())
	dst := t.TempDir()
	into, err := os.OpenRoot(dst)
	must(t, err)
	defer into.Close()
	must(t, e.tree.Restore(t.Context(), into, nil))
	same(t, harvest(t, dst), files{"d/f": "x"})
	e.close()
	must(t, c.collect())
	same(t, len(entriesOf(t, c)), 0)
}

// saveGenerations saves one cache again and again, each time with other
// content in all its files.
func saveGenerations(dir, name string, n int) error {
	c := NewFolder(filepath.Join(dir, "caches"), 0)
	workspace, err := os.MkdirTemp(dir, "w")
	if err != nil {
		return err
	}
	defer os.RemoveAll(workspace)
	for gen := range n {
		for i := range 40 {
			sub := filepath.Join(workspace, "d", fmt.Sprint(i%5))
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(i)), fmt.Appendf(nil, "%s %d", name, gen), 0o644); err != nil {
				return err
			}
		}
		req := cacheOf("k", "d")
		req.Workspace = workspace
		if _, err := Save(context.Background(), c, req, Report{}); err != nil {
			return err
		}
	}
	return nil
}

// Several processes save one key, some are killed: what is restored is always
// of one of them, whole.
func TestManyProcessesSaveOneCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := NewFolder(filepath.Join(dir, "caches"), 0)
	must(t, saveGenerations(dir, "first", 1))
	startRole(t, "save", dir, "REFLINE_TEST_NAME=one")
	for try := range 10 {
		p := startRole(t, "save", dir, "REFLINE_TEST_NAME=two")
		for range 10 {
			w := t.TempDir()
			req := cacheOf("k", "d")
			req.Workspace = w
			report, err := Restore(t.Context(), c, req)
			must(t, err)
			got := harvest(t, w)
			contents := map[string]bool{}
			for _, content := range got {
				contents[content] = true
			}
			if len(got) != 40 || len(contents) != 1 || len(report.Warnings) > 0 {
				t.Fatalf("restored %d files with %d contents, %q", len(got), len(contents), report.Warnings)
			}
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
		must(t, p.Process.Kill())
		_ = p.Wait()
	}
}

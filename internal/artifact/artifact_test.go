package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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

// opened are the artifacts of a key, there or not.
type opened struct {
	store Store
	key   string
}

// each runs a test over every kind of store.
func each(t *testing.T, test func(t *testing.T, place func(t *testing.T) opened)) {
	t.Parallel()
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) opened { return opened{NewFolder(filepath.Join(t.TempDir(), "artifacts")), "job"} })
	})
	t.Run("remote", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) opened { r, _ := newRemote(t); return opened{r, "job"} })
	})
}

// inFolder are the artifacts in the folder dst.
func inFolder(dst string) opened { return opened{NewFolder(filepath.Dir(dst)), filepath.Base(dst)} }

// keep keeps artifacts.
func keep(ctx context.Context, req Request, dst opened) (*Collection, error) {
	return Keep(ctx, dst.store, dst.key, req)
}

func open(dst opened) (opened, error) {
	_, err := dst.store.Info(context.Background(), dst.key)
	return dst, err
}

func (a opened) restore(dir string) error {
	into, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer into.Close()
	return a.store.Restore(context.Background(), a.key, into)
}

func (a opened) read(path string) (io.ReadCloser, error) {
	return a.store.Open(context.Background(), a.key, path)
}

func (a opened) readReport(kind, path string) (io.ReadCloser, error) {
	return a.store.OpenReport(context.Background(), a.key, kind, path)
}

// kept collects and restores into an empty workspace, and gives what came.
func kept(t *testing.T, req Request, dst opened) (files, *Collection) {
	t.Helper()
	report, err := keep(t.Context(), req, dst)
	must(t, err)
	a, err := open(dst)
	if report.Empty() {
		if !errs.Is(err, errs.NotFound) {
			t.Errorf("nothing was stored, and yet: %v", err)
		}
		return files{}, report
	}
	must(t, err)
	fresh := t.TempDir()
	must(t, a.restore(fresh))
	if f, ok := dst.store.(*Folder); ok {
		if left, _ := os.ReadDir(f.dir); len(left) != 1 {
			t.Errorf("beside the artifacts is left: %v", left)
		}
	}
	return harvest(t, fresh), report
}

func TestCollectSelects(t *testing.T) {
	each(t, testCollectSelects)
}

func testCollectSelects(t *testing.T, place func(t *testing.T) opened) {
	workspace := files{
		"README":             "tracked",
		"dist/app":           "!bin",
		"dist/app.map":       "map",
		"dist/sub/deep/x.js": "js",
		"dist/sub/y.js":      "js",
		"dist/empty/":        "",
		"logs/a.log":         "a",
		"logs/b.txt":         "b",
		"sub/dist/z.js":      "z",
		"spaces in/ü.txt":    "ü",
		"link-in":            "-> dist/app",
		"link-dir":           "-> dist",
		"link-out":           "-> /etc/passwd",
		"out-dir":            "-> ..",
		".git/config":        "git",
		"v{1}.txt":           "braces",
	}
	dist := files{"dist/app": "!bin", "dist/app.map": "map", "dist/sub/deep/x.js": "js", "dist/sub/y.js": "js", "dist/empty/": ""}
	without := func(tree files, names ...string) files {
		tree = maps.Clone(tree)
		for _, name := range names {
			delete(tree, name)
		}
		return tree
	}
	for _, c := range []struct {
		name     string
		paths    []string
		exclude  []string
		want     files
		warnings int
	}{
		{name: "a directory is taken whole", paths: []string{"dist"}, want: dist},
		{name: "with a slash", paths: []string{"dist/"}, want: dist},
		{name: "with a dot", paths: []string{"./dist"}, want: dist},
		{name: "all inside by a star", paths: []string{"dist/*"}, want: dist},
		{name: "two stars", paths: []string{"dist/**"}, want: dist},
		{name: "two stars and a directory", paths: []string{"dist/**/*"}, want: dist},
		{name: "everywhere below", paths: []string{"**/*.js"}, want: files{"dist/sub/deep/x.js": "js", "dist/sub/y.js": "js", "sub/dist/z.js": "z"}},
		{name: "a star stays in its directory", paths: []string{"dist/*.js"}, want: files{}, warnings: 2},
		{name: "question mark and class", paths: []string{"log?/[ab].*"}, want: files{"logs/a.log": "a", "logs/b.txt": "b"}},
		{name: "braces", paths: []string{"{logs,dist/sub}/*.{log,js}"}, want: files{"logs/a.log": "a", "dist/sub/y.js": "js"}},
		{name: "several patterns that overlap", paths: []string{"dist/sub", "dist", "dist/app"}, want: dist},
		{name: "exclude a file", paths: []string{"dist"}, exclude: []string{"dist/*.map"}, want: without(dist, "dist/app.map")},
		{name: "exclude is not recursive", paths: []string{"dist"}, exclude: []string{"dist/sub"}, want: dist},
		{name: "exclude below", paths: []string{"dist"}, exclude: []string{"dist/sub/**"}, want: without(dist, "dist/sub/deep/x.js", "dist/sub/y.js")},
		{name: "exclude an empty directory", paths: []string{"dist"}, exclude: []string{"dist/empty"}, want: without(dist, "dist/empty/")},
		{name: "links stay links", paths: []string{"link-in", "link-dir", "link-out"}, want: files{"link-in": "-> dist/app", "link-dir": "-> dist", "link-out": "-> /etc/passwd"}},
		{name: "through a link inside", paths: []string{"link-dir/app"}, want: files{"link-dir/app": "!bin"}},
		{name: "through a link, and where it leads", paths: []string{"link-dir/*.map", "dist/app.map"}, want: files{"link-dir/app.map": "map", "dist/app.map": "map"}},
		{name: "not through a link outside", paths: []string{"out-dir/*", "out-dir/secret"}, want: files{}, warnings: 3},
		{name: "not above", paths: []string{"../secret", "/etc/passwd", "a/../../secret"}, want: files{}, warnings: 4},
		{name: "nothing matches", paths: []string{"nowhere", "*.nope", "logs/a.log"}, want: files{"logs/a.log": "a"}, warnings: 2},
		{name: "the project's folder by variable", paths: []string{"$CI_PROJECT_DIR/logs", "$DIR/app"}, want: files{"logs/a.log": "a", "logs/b.txt": "b", "dist/app": "!bin"}},
		{name: "odd names", paths: []string{"spaces in/*"}, want: files{"spaces in/ü.txt": "ü"}},
		{name: "escaped wildcards", paths: []string{`v\{1\}.txt`}, want: files{"v{1}.txt": "braces"}},
		{name: "not a pattern", paths: []string{"a[", ""}, want: files{}, warnings: 3},
		{name: "everything", paths: []string{"."}, want: workspace},
	} {
		for _, move := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " move=", move), func(t *testing.T) {
				t.Parallel()
				dir := plant(t, workspace)
				must(t, os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte("outside"), 0o644))
				got, report := kept(t, Request{
					Workspace: dir, ProjectDir: "/builds/project", Move: move,
					Artifacts: &pipeline.Artifacts{Paths: c.paths, Exclude: c.exclude},
					Expand: func(s string) string {
						return strings.NewReplacer("$CI_PROJECT_DIR", "/builds/project", "$DIR", "dist").Replace(s)
					},
				}, place(t))
				same(t, got, c.want)
				if len(report.Warnings) != c.warnings {
					t.Errorf("warnings %q, want %d", report.Warnings, c.warnings)
				}
				if !move {
					same(t, harvest(t, dir), workspace)
				}
			})
		}
	}
}

func TestCollectByResult(t *testing.T) {
	each(t, testCollectByResult)
}

func testCollectByResult(t *testing.T, place func(t *testing.T) opened) {
	for _, c := range []struct {
		when   pipeline.When
		failed bool
		want   bool
	}{
		{"", false, true}, {"", true, false},
		{pipeline.WhenOnSuccess, false, true}, {pipeline.WhenOnSuccess, true, false},
		{pipeline.WhenOnFailure, false, false}, {pipeline.WhenOnFailure, true, true},
		{pipeline.WhenAlways, false, true}, {pipeline.WhenAlways, true, true},
	} {
		t.Run(fmt.Sprintf("%s failed=%v", c.when, c.failed), func(t *testing.T) {
			t.Parallel()
			dst := place(t)
			report, err := keep(t.Context(), Request{
				Workspace: plant(t, files{"out.txt": "x", "report.xml": "<r/>", "build.env": "A=1\n"}), Failed: c.failed, Move: true,
				Artifacts: &pipeline.Artifacts{
					Paths: []string{"*.txt", "report.xml"}, When: c.when,
					Reports: map[string][]string{"junit": {"*.xml"}, "dotenv": {"build.env"}},
				},
			}, dst)
			must(t, err)
			a, err := open(dst)
			must(t, err)
			// Reports come whatever the result, and are not restored.
			same(t, report.Info.Reports, map[string][]string{"junit": {"report.xml"}, "dotenv": {"build.env"}})
			r, err := a.readReport("junit", "report.xml")
			must(t, err)
			content, err := io.ReadAll(r)
			must(t, errors.Join(err, r.Close()))
			same(t, string(content), "<r/>")
			fresh := t.TempDir()
			must(t, a.restore(fresh))
			want := files{"./": ""}
			if c.want {
				want = files{"out.txt": "x", "report.xml": "<r/>"}
			}
			same(t, harvest(t, fresh), want)
		})
	}
}

func TestCollectUntracked(t *testing.T) {
	each(t, testCollectUntracked)
}

func testCollectUntracked(t *testing.T, place func(t *testing.T) opened) {
	for _, move := range []bool{false, true} {
		tree := workspace.NewTree(plant(t, files{"src/main.c": "x", ".gitignore": "*.o", ".git/HEAD": "y"}))
		w, err := tree.Clone(t.Context(), filepath.Join(t.TempDir(), "w"))
		must(t, err)
		plantIn(t, w.Dir, files{"src/main.o": "ignored", "target/deep/a": "1", "target/b": "2", "target/none/": "", ".git/index": "no", "skip.me": "z"})
		must(t, os.WriteFile(filepath.Join(w.Dir, "src/main.c"), []byte("changed"), 0o644))
		got, _ := kept(t, Request{
			Workspace: w.Dir, Base: tree, Move: move,
			Artifacts: &pipeline.Artifacts{Untracked: true, Exclude: []string{"*.me"}},
		}, place(t))
		same(t, got, files{"src/main.o": "ignored", "target/deep/a": "1", "target/b": "2"})
	}
}

func TestCollectLeavesOutWhatIsNoFile(t *testing.T) {
	each(t, testCollectLeavesOutWhatIsNoFile)
}

func testCollectLeavesOutWhatIsNoFile(t *testing.T, place func(t *testing.T) opened) {
	if runtime.GOOS == "windows" {
		t.Skip("no named pipes in folders on Windows")
	}
	for _, move := range []bool{false, true} {
		dir := plant(t, files{"d/f": "x"})
		makePipe(t, filepath.Join(dir, "d", "pipe"))
		got, report := kept(t, Request{Workspace: dir, Move: move, Artifacts: &pipeline.Artifacts{Paths: []string{"d"}}}, place(t))
		same(t, got, files{"d/f": "x"})
		if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "pipes") {
			t.Errorf("warnings: %q", report.Warnings)
		}
	}
}

// A file that also has a name outside the workspace can be written through
// that name later.
func TestCollectCopiesHardLinks(t *testing.T) {
	each(t, testCollectCopiesHardLinks)
}

func testCollectCopiesHardLinks(t *testing.T, place func(t *testing.T) opened) {
	dir := plant(t, files{"d/f": "before"})
	outside := filepath.Join(filepath.Dir(dir), "outside")
	must(t, os.Link(filepath.Join(dir, "d", "f"), outside))
	dst := place(t)
	_, err := keep(t.Context(), Request{Workspace: dir, Move: true, Artifacts: &pipeline.Artifacts{Paths: []string{"d"}}}, dst)
	must(t, err)
	must(t, os.WriteFile(outside, []byte("after!"), 0o644))
	a, err := open(dst)
	must(t, err)
	r, err := a.read("d/f")
	must(t, err)
	defer r.Close()
	content, err := io.ReadAll(r)
	must(t, err)
	same(t, string(content), "before")
}

func TestCollectOddNamesAndSealedFolders(t *testing.T) {
	each(t, testCollectOddNamesAndSealedFolders)
}

func testCollectOddNamesAndSealedFolders(t *testing.T, place func(t *testing.T) opened) {
	for _, move := range []bool{false, true} {
		dir := plant(t, files{"keep": "x"})
		plantIn(t, filepath.Join(dir, "odd"), oddNames)
		must(t, os.Chmod(filepath.Join(dir, "odd", "deep", "er"), 0o555))
		dst := place(t)
		_, err := keep(t.Context(), Request{Workspace: dir, Move: move, Artifacts: &pipeline.Artifacts{Paths: []string{"odd"}}}, dst)
		must(t, err)
		a, err := open(dst)
		must(t, err)
		// Twice, and into a workspace whose files are in the way.
		fresh := plant(t, files{"odd/plain.txt": "old", "odd/link": "file", "odd/big": "-> /etc/passwd", "odd/a": "-> plain.txt"})
		must(t, a.restore(fresh))
		same(t, harvest(t, filepath.Join(fresh, "odd")), oddNames)
		if runtime.GOOS != "windows" {
			info, err := os.Stat(filepath.Join(fresh, "odd", "deep", "er"))
			must(t, err)
			same(t, info.Mode().Perm(), fs.FileMode(0o555))
		}
		must(t, workspace.RemoveAll(fresh))
		if f, ok := dst.store.(*Folder); ok {
			must(t, workspace.RemoveAll(f.dir))
		}
		must(t, workspace.RemoveAll(dir))
	}
}

func TestRestoreStaysInside(t *testing.T) {
	each(t, testRestoreStaysInside)
}

func testRestoreStaysInside(t *testing.T, place func(t *testing.T) opened) {
	dir := plant(t, files{"public/index.html": "page", "out/f": "f"})
	dst := place(t)
	_, err := keep(t.Context(), Request{Workspace: dir, Artifacts: &pipeline.Artifacts{Paths: []string{"public", "out"}}}, dst)
	must(t, err)
	a, err := open(dst)
	must(t, err)

	inside := plant(t, files{"build/": "", "public": "-> build"})
	must(t, a.restore(inside))
	same(t, harvest(t, inside), files{"build/index.html": "page", "public": "-> build", "out/f": "f"})

	outer := plant(t, files{"workspace/public": "-> ../victim", "victim/index.html": "mine"})
	if err := a.restore(filepath.Join(outer, "workspace")); err == nil {
		t.Error("restored through a link that leads outside")
	}
	same(t, harvest(t, filepath.Join(outer, "victim")), files{"index.html": "mine"})
}

func TestArtifactReads(t *testing.T) {
	each(t, testArtifactReads)
}

func testArtifactReads(t *testing.T, place func(t *testing.T) opened) {
	dir := plant(t, files{"a/b.txt": "text", "a/c": "!x", "l": "-> a/b.txt", "evil": "-> /etc/hostname"})
	dst := place(t)
	report, err := keep(t.Context(), Request{
		Workspace: dir, Move: true,
		Artifacts: &pipeline.Artifacts{Paths: []string{"a", "l", "evil"}, ExpireIn: "3 days", Name: "n"},
	}, dst)
	must(t, err)
	same(t, [2]int64{int64(report.Info.Files), report.Info.Bytes}, [2]int64{4, 5})
	a, err := open(dst)
	must(t, err)
	info, err := a.store.Info(t.Context(), a.key)
	must(t, err)
	same(t, info.ExpireIn, "3 days")
	list, err := a.store.List(t.Context(), a.key)
	must(t, err)
	var names []string
	for _, f := range list {
		names = append(names, f.Path)
	}
	same(t, names, []string{"a/b.txt", "a/c", "evil", "l"})
	for path, want := range map[string]string{"a/b.txt": "text", "./a/../l": "text", "a": "", "evil": "", "../artifacts.json": "", "none": ""} {
		r, err := a.read(path)
		if want == "" {
			if !errs.Is(err, errs.NotFound) {
				t.Errorf("Open(%q): %v", path, err)
			}
			continue
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		same(t, string(content), want)
	}
	if _, err := a.readReport("junit", "x"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a report that is not there: %v", err)
	}
}

func TestCollectReplacesTheLastAttempt(t *testing.T) {
	each(t, testCollectReplacesTheLastAttempt)
}

func testCollectReplacesTheLastAttempt(t *testing.T, place func(t *testing.T) opened) {
	dst := place(t)
	for _, content := range []string{"first", "second"} {
		_, err := keep(t.Context(), Request{Workspace: plant(t, files{"only-" + content: content}), Artifacts: &pipeline.Artifacts{Paths: []string{"only-*"}}}, dst)
		must(t, err)
	}
	a, err := open(dst)
	must(t, err)
	fresh := t.TempDir()
	must(t, a.restore(fresh))
	same(t, harvest(t, fresh), files{"only-second": "second"})
}

// Whenever a run is killed, its artifacts are whole or not there.
func TestKilledCollectLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree := manyFiles(600)
	plantIn(t, filepath.Join(dir, "w"), tree)
	for try := range 8 {
		p := startRole(t, "collect", dir)
		time.Sleep(time.Duration(try*7) * time.Millisecond) // anywhere in the middle
		must(t, p.Process.Kill())
		_ = p.Wait()
		a, err := open(inFolder(filepath.Join(dir, "a")))
		if errs.Is(err, errs.NotFound) {
			continue
		}
		must(t, err)
		fresh := t.TempDir()
		must(t, a.restore(fresh))
		if got := len(harvest(t, fresh)); got != len(tree) {
			t.Fatalf("%d of %d files", got, len(tree))
		}
	}
	// And the next one is not disturbed by what is left.
	_, err := keep(t.Context(), Request{Workspace: filepath.Join(dir, "w"), Artifacts: &pipeline.Artifacts{Paths: []string{"**"}}}, inFolder(filepath.Join(dir, "a")))
	must(t, err)
	a, err := open(inFolder(filepath.Join(dir, "a")))
	must(t, err)
	list, err := a.store.List(t.Context(), a.key)
	must(t, err)
	same(t, len(list), len(tree))
}

func TestRestoreOverWhatIsThere(t *testing.T) {
	each(t, testRestoreOverWhatIsThere)
}

func testRestoreOverWhatIsThere(t *testing.T, place func(t *testing.T) opened) {
	dst := place(t)
	_, err := keep(t.Context(), Request{
		Workspace: plant(t, files{"out/d/f": "new", "out/g": "new"}), Artifacts: &pipeline.Artifacts{Paths: []string{"out"}},
	}, dst)
	must(t, err)
	a, err := open(dst)
	must(t, err)

	file := plant(t, files{"out/d": "a file where a directory comes", "out/g": "old", "out/other": "stays"})
	must(t, a.restore(file))
	same(t, harvest(t, file), files{"out/d/f": "new", "out/g": "new", "out/other": "stays"})

	directory := plant(t, files{"out/g/mine": "a directory where a file comes"})
	err = a.restore(directory)
	if err == nil || !strings.Contains(err.Error(), "out/g") {
		t.Errorf("a directory in the way: %v", err)
	}
	same(t, harvest(t, directory)["out/g/mine"], "a directory where a file comes")
}

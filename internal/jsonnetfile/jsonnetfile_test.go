package jsonnetfile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

func newFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// At once: a watch must not see half of it.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	dir := newFolder(t, map[string]string{"a.jsonnet": "{ x: 1 }", "m.jsonnet": `{ "a.json": 1, "sub/b.json": 2 }`, "out.jsonnet": `{ "../b.json": 2 }`, "t.yml": "A: !Ref B\n"})
	input := func(file string, r Render) jsonnet.Input {
		return jsonnet.Input{File: file, Read: jsonnet.FilesFrom(dir), MaxStack: 500, Output: r.Form()}
	}
	for name, tc := range map[string]struct {
		file string
		r    Render
		want string
		kind errs.Kind // of the error; Internal for none
	}{
		"to the output":         {"a.jsonnet", Render{}, "{\n   \"x\": 1\n}\n", errs.Internal},
		"data passes":           {"t.yml", Render{}, "A: !Ref B\n", errs.Internal},
		"data in full":          {"t.yml", Render{Expand: true}, "\"Ref\"", errs.Internal},
		"a folder of results":   {"m.jsonnet", Render{Multi: "out", CreateDirs: true}, "out/a.json\nout/sub/b.json\n", errs.Internal},
		"a folder is missing":   {"m.jsonnet", Render{Multi: "none"}, "", errs.NotFound},
		"outside of the folder": {"out.jsonnet", Render{Multi: "out", CreateDirs: true}, "", errs.Invalid},
		"no such file":          {"none.yml", Render{}, "", errs.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			tc.r.Dir, tc.r.Out = dir, &out
			err := tc.r.Do(t.Context(), input(tc.file, tc.r))
			if tc.kind == errs.Internal && (err != nil || !strings.Contains(out.String(), tc.want)) {
				t.Errorf("got %q, %v; want %q", out.String(), err, tc.want)
			}
			if tc.kind != errs.Internal && !errs.Is(err, tc.kind) {
				t.Errorf("got %v, want %s", err, tc.kind)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "b.json")); err == nil {
		t.Error("a file was written outside of the folder")
	}
}

// A change of a library renders again, and an error does not end the watch. A
// result that is not a map was reported as not rendered.
func TestWatch(t *testing.T) {
	t.Parallel()
	dir := newFolder(t, map[string]string{"a.jsonnet": "import 'b.libsonnet'", "b.libsonnet": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	notes, failed := make(chan string, 100), make(chan error, 100)
	r := Render{Dir: dir, Output: "out.json"}
	in := jsonnet.Input{File: "a.jsonnet", Read: jsonnet.FilesFrom(dir), MaxStack: 500}
	ended := make(chan error, 1)
	go func() {
		ended <- r.Watch(ctx, in, Watcher{
			Failed: func(err error) { failed <- err }, Findings: func(diag.List) error { return nil },
			Note: func(text string) { notes <- text }, Now: time.Now, Every: 5 * time.Millisecond,
		})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-notes:
			if !strings.HasSuffix(got, want) {
				t.Fatalf("got note %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("no note %q", want)
		}
	}
	expect(" out.json")
	write(t, dir, "b.libsonnet", "error 'wrong'")
	expect(" a.jsonnet is not rendered")
	if err := <-failed; !strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
	write(t, dir, "b.libsonnet", "'three'")
	expect(" out.json")
	if got, err := os.ReadFile(filepath.Join(dir, "out.json")); err != nil || string(got) != "\"three\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	dir := newFolder(t, map[string]string{"a.jsonnet": "{x:1}", "sub/b.libsonnet": "{ x: 1 }\n", "vendor/c.libsonnet": "{x:1}", "d.json": `{"x":1}`})
	files, err := Find(dir, []string{"."})
	if want := []string{"a.jsonnet", "sub/b.libsonnet"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("found %q, %v; want %q", files, err, want)
	}
	if _, err := Find(dir, []string{"none"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a missing file: got %v", err)
	}
	style := jsonnet.DefaultStyle()
	for _, step := range []struct {
		name          string
		check, change bool
	}{{"a.jsonnet", true, true}, {"a.jsonnet", false, true}, {"a.jsonnet", true, false}, {"sub/b.libsonnet", false, false}} {
		if changed, err := Format(dir, step.name, style, step.check); err != nil || changed != step.change {
			t.Errorf("%+v: got %v, %v", step, changed, err)
		}
	}
	if _, err := Format(dir, "d.json", style, false); !errs.Is(err, errs.Invalid) {
		t.Errorf("JSON that would not stay JSON: got %v, want invalid", err)
	}
}

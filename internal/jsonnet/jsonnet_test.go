package jsonnet

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	gojsonnet "github.com/google/go-jsonnet"

	"refline/internal/diag"
	"refline/internal/errs"
)

// files serves a tree from memory, as a commit would be.
func files(tree map[string]string) Read {
	m := fstest.MapFS{}
	for name, text := range tree {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return func(path string) ([]byte, error) {
		if !fs.ValidPath(path) {
			return nil, fs.ErrNotExist
		}
		return fs.ReadFile(m, path)
	}
}

func write(t *testing.T, tree map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tree {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEvaluateOutputs(t *testing.T) {
	t.Parallel()
	tree := map[string]string{
		"json":   `{ b: 1, a: [1.5, 1e20, 'ü\u0001'], h:: 2 }`,
		"string": `'plain\ntext'`,
		"stream": `[1, { a: 2 }]`,
		"empty":  `[]`,
		"multi":  `{ 'b/x.json': { a: 1 }, 'a.json': [] }`,
		"mstr":   `{ 'a.txt': 'hello' }`,
	}
	for _, tc := range []struct {
		name string
		in   Input
		want Result
	}{
		{"json", Input{File: "json"}, Result{Text: "{\n   \"a\": [\n      1.5,\n      100000000000000000000,\n      \"ü\\u0001\"\n   ],\n   \"b\": 1\n}\n"}},
		{"no newline", Input{File: "empty", NoTrailingNewline: true}, Result{Text: "[ ]"}},
		{"string", Input{File: "string", Output: String}, Result{Text: "plain\ntext\n"}},
		{"stream", Input{File: "stream", Output: Stream}, Result{Text: "---\n1\n---\n{\n   \"a\": 2\n}\n...\n"}},
		{"empty stream", Input{File: "empty", Output: Stream}, Result{Text: ""}},
		{"multi", Input{File: "multi", Output: Multi}, Result{Files: []File{{"a.json", "[ ]\n"}, {"b/x.json", "{\n   \"a\": 1\n}\n"}}}},
		{"multi string", Input{File: "mstr", Output: MultiString}, Result{Files: []File{{"a.txt", "hello\n"}}}},
		{"snippet", Input{Snippet: "import 'json'", Name: "<stdin>"}, Result{Text: "{\n   \"a\": [\n      1.5,\n      100000000000000000000,\n      \"ü\\u0001\"\n   ],\n   \"b\": 1\n}\n"}},
		{"this file of a snippet", Input{Snippet: "std.thisFile"}, Result{Text: "\"\"\n"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.in.Read = files(tree)
			got, err := Evaluate(t.Context(), tc.in)
			if err != nil {
				t.Fatal(err)
			}
			got.Sources = nil
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What the command's own library gives on the disk is the reference.
func TestSameBytesAsTheCommand(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"main.jsonnet": `
local lib = import 'lib.libsonnet', deep = import 'sub/deep.libsonnet';
function(name='none', n=1) lib { name: name, n: n, ext: std.extVar('e') + std.extVar('c'), here: std.thisFile } + deep
+ { text: importstr 'data.txt', bin: importbin 'data.txt', total: lib.sum(300), either: import 'either.libsonnet' }`,
		"lib.libsonnet":         `{ sum(n):: if n == 0 then 0 else n + $.sum(n - 1), assert self.sum(1) == 1, list: [x * x for x in std.range(1, 5) if x % 2 == 1] }`,
		"sub/deep.libsonnet":    `(import '../lib.libsonnet') + { deep: std.thisFile, sib: import 'sib.json', f+: { g+: 1 } }`,
		"sub/sib.json":          `{"sib": [1, 2, {"x": null}]}`,
		"data.txt":              "a (((\n",
		"j1/either.libsonnet":   `'one'`,
		"j2/either.libsonnet":   `'two'`,
		"vendor/x/x.libsonnet":  `'vendored'`,
		"vendor/either.jsonnet": `'vendor never wins'`,
	})
	main := filepath.Join(dir, "main.jsonnet")
	for _, paths := range [][]string{{"j1", "j2"}, {"j2", "j1"}} {
		var dirs []string
		for _, p := range paths {
			dirs = append(dirs, filepath.Join(dir, p))
		}
		vm := gojsonnet.MakeVM()
		vm.Importer(&gojsonnet.FileImporter{JPaths: dirs})
		vm.ExtVar("e", "text")
		vm.ExtCode("c", "[1, 2]")
		vm.TLAVar("name", "given")
		vm.TLACode("n", "1 + 1")
		want, err := vm.EvaluateFile(main)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Evaluate(t.Context(), Input{
			File: main, SearchPaths: dirs,
			External:  []Binding{{Name: "e", Value: "text"}, {Name: "c", Value: "[1, 2]", Code: true}},
			Arguments: []Binding{{Name: "name", Value: "given"}, {Name: "n", Value: "1 + 1", Code: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got.Text); d != "" {
			t.Error(d)
		}
	}
}

func TestBindingsFromFiles(t *testing.T) {
	t.Parallel()
	got, err := Evaluate(t.Context(), Input{
		File: "m", Read: files(map[string]string{"m": `function(a) [a, std.extVar('b')]`, "it's": "text", "code": "1 + 1"}),
		External: []Binding{CodeFile("b", "code")}, Arguments: []Binding{StringFile("a", "it's")}, Output: Stream,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "---\n\"text\"\n---\n2\n...\n"; got.Text != want {
		t.Errorf("got %q, want %q", got.Text, want)
	}
}

func TestVendor(t *testing.T) {
	t.Parallel()
	bundle := `{"dependencies": [{"source": {"git": {"remote": "https://git.example.com/lib/vpc.git", "subdir": "net"}}}]}`
	tree := map[string]string{
		"app/jsonnetfile.json":                                 bundle,
		"app/stacks/dev/main.jsonnet":                          `import 'git.example.com/lib/vpc/net/vpc.libsonnet'`,
		"app/stacks/dev/lost.jsonnet":                          "local x = 1;\nimport 'git.example.com/lib/vpc/net/other.libsonnet'",
		"app/vendor/git.example.com/lib/vpc/net/vpc.libsonnet": `'vendored'`,
	}
	dir := write(t, tree)
	for name, in := range map[string]Input{
		"disk":   {File: filepath.Join(dir, "app", "stacks", "dev", "main.jsonnet")},
		"commit": {File: "app/stacks/dev/main.jsonnet", Read: files(tree)},
	} {
		got, err := Evaluate(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.Text != "\"vendored\"\n" {
			t.Errorf("%s: got %q", name, got.Text)
		}
	}
	_, err := Evaluate(t.Context(), Input{File: "app/stacks/dev/lost.jsonnet", Read: files(tree)})
	f := finding(t, err)
	if f.Place != (diag.Place{File: "app/stacks/dev/lost.jsonnet", Line: 2, Column: 1}) || !strings.HasSuffix(f.Hint, "run: jb install") {
		t.Errorf("got %+v", f)
	}
}

func finding(t *testing.T, err error) diag.Finding {
	t.Helper()
	var failure *diag.Failure
	if !errors.As(err, &failure) || len(failure.Findings) != 1 || !errs.Is(err, errs.Invalid) {
		t.Fatalf("want one finding, got %v (kind %v)", err, errs.KindOf(err))
	}
	return failure.Findings[0]
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tree := map[string]string{
		"static":    "local a = 1;\n  b",
		"parse":     "{ a: 1,,\n}",
		"runtime":   "local lib = import 'lib';\n{ 'ü': lib.f(1) }",
		"lib":       "{\n  f(x): std.join(',', [error 'no ' + x]),\n}",
		"imports":   "{\n  a: import 'parse',\n}",
		"lost":      "{ a: import 'nowhere.libsonnet' }",
		"ext":       "std.extVar('who')",
		"tla":       "function(who) who",
		"deep":      "local f(x) = 1 + f(x + 1);\nf(0)",
		"brackets":  strings.Repeat("[", 20000),
		"m.jsonnet": "{\n  b: { c: error 'not on the way' },\n  a: [{ f: function(x) x }],\n}",
		"l.jsonnet": "{ l: [1, function(x) x] }",
		"whole":     "function() function(x) x",
		"assert":    "{\n  assert 1 == 2 : 'Not so',\n}",
	}
	for _, tc := range []struct {
		file string
		want diag.Finding
	}{
		{"static", diag.Finding{Place: diag.Place{File: "static", Line: 2, Column: 3}, Width: 1, Message: "Unknown variable: b"}},
		{"parse", diag.Finding{Place: diag.Place{File: "parse", Line: 1, Column: 8}, Width: 1, Message: `Unexpected: "," while parsing field definition`}},
		{"runtime", diag.Finding{Place: diag.Place{File: "lib", Line: 2, Column: 24}, Width: 15, Message: "no 1", Related: []diag.Related{
			{Place: diag.Place{File: "lib", Line: 2, Column: 24}, Message: "in thunk from <thunk from <function <anonymous>>>"},
			{Place: diag.Place{File: "lib", Line: 2, Column: 9}, Message: "function <anonymous>"},
			{Place: diag.Place{File: "runtime", Line: 2, Column: 8}, Message: "object <anonymous>"},
			{Message: "for ü of the output"},
		}}},
		{"imports", diag.Finding{Place: diag.Place{File: "parse", Line: 1, Column: 8}, Width: 1, Message: `Unexpected: "," while parsing field definition`}},
		{"lost", diag.Finding{Place: diag.Place{File: "lost", Line: 1, Column: 6}, Width: 26,
			Message: `couldn't open import "nowhere.libsonnet": no match locally or in the Jsonnet library paths`, Hint: "looked in ., inc; add a folder with -J"}},
		{"ext", diag.Finding{Place: diag.Place{File: "ext", Line: 1, Column: 1}, Width: 17,
			Message: "Undefined external variable: who", Hint: "give it a value: --ext-str who=… or --ext-code who=…"}},
		{"tla", diag.Finding{Place: diag.Place{File: "tla", Line: 1}, Message: "Missing argument: who", Hint: "give it a value: --tla-str who=… or --tla-code who=…"}},
		{"deep", diag.Finding{Place: diag.Place{File: "deep", Line: 1, Column: 18}, Width: 8,
			Message: "max stack frames exceeded.", Hint: "a recursion that does not end? if it does, allow more with --max-stack"}},
		{"brackets", diag.Finding{Place: diag.Place{File: "brackets", Line: 1}, Message: "too much is nested in each other here"}},
		{"m.jsonnet", diag.Finding{Place: diag.Place{File: "m.jsonnet", Line: 3, Column: 9}, Message: "couldn't manifest function as JSON"}},
		{"l.jsonnet", diag.Finding{Place: diag.Place{File: "l.jsonnet", Line: 1, Column: 10}, Message: "couldn't manifest function as JSON"}},
		{"whole", diag.Finding{Place: diag.Place{File: "whole", Line: 1}, Message: "couldn't manifest function as JSON"}},
		{"assert", diag.Finding{Place: diag.Place{File: "assert", Line: 2, Column: 3}, Width: 24, Message: "Not so"}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			_, err := Evaluate(t.Context(), Input{File: tc.file, Read: files(tree), SearchPaths: []string{"inc"}})
			got := finding(t, err)
			tc.want.Level = diag.Error
			if tc.want.Related == nil {
				got.Related = nil
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := Evaluate(t.Context(), Input{File: "a.jsonnet", Read: files(nil)})
	if !errs.Is(err, errs.NotFound) || err.Error() != "a.jsonnet: no such file" {
		t.Errorf("got %v, kind %v", err, errs.KindOf(err))
	}
	broken := errs.E(errs.Unavailable, "the repository does not answer")
	_, err = Evaluate(t.Context(), Input{File: "a.jsonnet", Read: func(string) ([]byte, error) { return nil, broken }})
	if !errors.Is(err, broken) || !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v, kind %v", err, errs.KindOf(err))
	}
}

func TestEndOfContext(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{
		"tail calls":     `local f(x) = f(x + 1) tailstrict; f(0)`,
		"imported":       `(import 'lib')(0)`,
		"exponential":    `local f(n) = if n == 0 then 0 else f(n - 1) + f(n - 1); f(60)`,
		"comprehensions": `[[x, y] for x in std.range(1, 1000000) for y in std.range(1, 1000000)]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := Evaluate(ctx, Input{File: "m", Read: files(map[string]string{"m": code, "lib": `local f(x) = f(x + 1) tailstrict; f`})})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A recursion without an end is an error, however deep it may go.
func TestStackIsLimited(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"local f(x) = 1 + f(x + 1); f(0)", "local f(x) = [f(x)]; f(0)", "{ a: $ }"} {
		_, err := Evaluate(t.Context(), Input{Snippet: code, MaxStack: 1 << 30})
		if f := finding(t, err); !strings.HasPrefix(f.Message, "max stack frames exceeded") {
			t.Errorf("%s: got %v", code, f)
		}
	}
	deep := "local f(n) = if n == 0 then 0 else 1 + f(n - 1); f(2000)"
	if _, err := Evaluate(t.Context(), Input{Snippet: deep}); err == nil {
		t.Error("500 frames were enough for a recursion of 2000")
	}
	got, err := Evaluate(t.Context(), Input{Snippet: deep, MaxStack: 10000})
	if err != nil || got.Text != "2000\n" {
		t.Errorf("got %q, %v", got.Text, err)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if _, err := Evaluate(t.Context(), Input{Snippet: `std.trace('here', 1)`, Name: "<stdin>", Trace: &out}); err != nil {
		t.Fatal(err)
	}
	if want := "TRACE: <stdin>:1 here\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	got, err := Format("a.jsonnet", "{a:1,\"b\":[1,2,],  // why\n}", DefaultStyle())
	if err != nil {
		t.Fatal(err)
	}
	if want := "{\n  a: 1,\n  b: [1, 2],  // why\n}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = Format("a.jsonnet", "{\n  a: }", DefaultStyle())
	if f := finding(t, err); f.Place != (diag.Place{File: "a.jsonnet", Line: 2, Column: 6}) {
		t.Errorf("got %+v", f)
	}
}

func FuzzEvaluate(f *testing.F) {
	for _, s := range []string{"{ a: 1 }", "local f(x) = x; [f(1)]", "{ [k]: 1 for k in ['a'] } + { a+: 2 }", "import 'x'", "error 'x'", "|||\n  a\n|||", "{ 'ü': $.a, a:: self }"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		in := Input{File: "m", Read: files(map[string]string{"m": src})}
		got, err := Evaluate(ctx, in)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if errs.KindOf(err) == errs.Internal {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		if _, err := Locate(ctx, in, got); err != nil && ctx.Err() == nil {
			t.Fatalf("%q: %v", src, err)
		}
	})
}

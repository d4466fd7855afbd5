package jsonnet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
)

// A mark «n» before a value's name in a source stands for its place.
func marked(tree map[string]string) (map[string]string, map[string]diag.Place) {
	clean, places := map[string]string{}, map[string]diag.Place{}
	for file, text := range tree {
		for {
			before, rest, ok := strings.Cut(text, "«")
			if !ok {
				break
			}
			mark, after, _ := strings.Cut(rest, "»")
			line := strings.Count(before, "\n") + 1
			column := len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
			places[mark] = diag.Place{File: file, Line: line, Column: column}
			text = before + after
		}
		clean[file] = text
	}
	return clean, places
}

func TestLocate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		tree map[string]string
		want map[string]string // pointer → mark
		args []Binding
		data map[string]map[string]string // file → pointer → mark
	}{
		{
			name: "literal, elements, quoted names",
			tree: map[string]string{"m.jsonnet": "{\n  «a»a: { 'ü': 1, «b»'b/c': 2 },\n  «l»list: [1, «2»2, «o»{ «x»x: 1 }],\n}"},
			want: map[string]string{"/a": "a", "/a/b~1c": "b", "/list": "l", "/list/1": "2", "/list/2": "o", "/list/2/x": "x", "/list/2/x/deeper": "x"},
		},
		{
			name: "imports and inheritance: the last writer",
			tree: map[string]string{
				"m.jsonnet":   "local b = import 'b.libsonnet';\nb { «n»name: 'x', p+: { «q»q: 2 } }",
				"b.libsonnet": "{ name: 'b', «k»kept: 1, p: { «r»r: 1, q: 1 } }",
			},
			want: map[string]string{"/name": "n", "/kept": "k", "/p/q": "q", "/p/r": "r"},
		},
		{
			name: "computed names and comprehensions",
			tree: map[string]string{"m.jsonnet": "local p = 'a';\n{ «c»[p + 'b']: 1, m: { «d»['x%d' % i]: { «e»n: i } for i in [1, 2] } }"},
			want: map[string]string{"/ab": "c", "/m/x1": "d", "/m/x2": "d", "/m/x2/n": "e"},
		},
		{
			name: "functions and top-level arguments",
			tree: map[string]string{"m.jsonnet": "function(name, n=1) { «a»a: name, b: self.f(2), f(x):: { «g»g: x } }"},
			args: []Binding{{Name: "name", Value: "given"}},
			want: map[string]string{"/a": "a", "/b/g": "g"},
		},
		{
			name: "merge patch: the last writer",
			tree: map[string]string{
				"m.jsonnet":   "local b = import 'b.libsonnet';\n{ «a»a: std.mergePatch(b, { «y»y: { «z»z: 1, gone: null } }), list: [std.mergePatch({}, { «d»d: { «e»e: 1 } })] }",
				"b.libsonnet": "{ «x»x: [1, «2»2], y: { z: 0, gone: 1, «k»kept: 1 } }",
			},
			want: map[string]string{"/a": "a", "/a/x": "x", "/a/x/1": "2", "/a/y": "y", "/a/y/z": "z", "/a/y/kept": "k", "/list/0/d/e": "e"},
		},
		{
			name: "prune",
			tree: map[string]string{"m.jsonnet": "{ «a»a: std.prune({ b: null, «c»c: { «d»d: [1, {}] }, e: [[], {}] }), f: std.map(std.prune, [{ «g»g: 1 }]) }"},
			want: map[string]string{"/a": "a", "/a/c": "c", "/a/c/d": "d", "/f/0/g": "g"},
		},
		{
			name: "a name by self stays out",
			tree: map[string]string{"m.jsonnet": "{ n: 'x', o: { n: 'y', «o»o: { [self.n]: 1, «d»[$.n]: 3, «y»z: 2, local n = 'z' } } }"},
			want: map[string]string{"/o/o/y": "o", "/o/o/x": "d", "/o/o/z": "y"},
		},
		{
			name: "before a dot",
			tree: map[string]string{"m.jsonnet": "local f(x) = { y: x }; { a: { b: { «c»c: 1 } }.b, d: f({ «e»e: 1 }).y }"},
			want: map[string]string{"/a/c": "c", "/d/e": "e"},
		},
		{
			name: "data files",
			tree: map[string]string{
				"m.jsonnet": "local text = importstr 'd/rules.yml';\nlocal d = std.parseYaml(text);\n" +
					"{ a: d, «b»b: { «n»n: d.list[1].x, «l»l: d.list }, c: std.parseJson(importstr 'd/c.json'), «e»e: std.parseYaml('{z: 1}') }",
				"d/rules.yml": "«dn»name: x\n«dl»list:\n- «d0»1\n- «dx»x: {«dy»y/z: 1}\n",
				"d/c.json":    "{«j»\"j\": [«j0»1]}",
			},
			data: map[string]map[string]string{
				"d/rules.yml": {"/name": "dn", "/list": "dl", "/list/0": "d0", "/list/1": "dx", "/list/1/x": "dx", "/list/1/x/y~1z": "dy"},
				"d/c.json":    {"/j": "j", "/j/0": "j0"},
			},
			want: map[string]string{"/a/name": "dn", "/a/list": "dl", "/a/list/0": "d0", "/a/list/1/x": "dx", "/a/list/1/x/y~1z": "dy", "/b/n": "n",
				"/b/n/y~1z": "dy", "/b/l/0": "l", "/b/l/1/x": "dx", "/c/j": "j", "/c/j/0": "j0", "/e/z": "e"},
		},
		{
			name: "JSON",
			tree: map[string]string{"m.json": "{\n  «a»\"a\": {«b»\"b\": [«c»1]}\n}"},
			want: map[string]string{"/a": "a", "/a/b": "b", "/a/b/0": "c"},
		},
		{
			name: "a program that looks at hidden fields has no places",
			tree: map[string]string{"m.jsonnet": "«top»{ a: std.length(std.objectFieldsAll({ x: 1 })) }"},
			want: map[string]string{"/a": "top"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tree, places := marked(tc.tree)
			in := Input{File: "m.jsonnet", Read: files(tree), Arguments: tc.args}
			in.DataPlaces = func(file string, _ []byte) Locations {
				out := Locations{}
				for pointer, mark := range tc.data[file] {
					out[pointer] = places[mark]
				}
				return out
			}
			if tree["m.json"] != "" {
				in.File = "m.json"
			}
			clean, err := Evaluate(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			where, err := Locate(t.Context(), in, clean)
			if err != nil {
				t.Fatal(err)
			}
			for pointer, mark := range tc.want {
				want := places[mark]
				if mark == "top" {
					want.Column = 0
				}
				if d := cmp.Diff(want, where.At(pointer)); d != "" {
					t.Errorf("%s: %s", pointer, d)
				}
			}
		})
	}
}

func TestLocateSnippet(t *testing.T) {
	t.Parallel()
	in := Input{Name: "<stdin>", Snippet: "{\n  a: 1 }", Read: files(nil)}
	clean, err := Evaluate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	where, err := Locate(t.Context(), in, clean)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := where.At("/a"), (diag.Place{File: "<stdin>", Line: 2, Column: 3}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

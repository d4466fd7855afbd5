package gitlabci

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever two files hold that may include each other: loading ends, it says
// why when there is nothing, what it gives can be walked, and it is the same
// each time.
func FuzzLoad(f *testing.F) {
	for _, seed := range [][2]string{
		{"include: a.yml\nj: {extends: .a, script: !reference [.b, script]}\n", ".a: {image: x}\n.b: {script: [y]}\n"},
		{"spec:\n  inputs:\n    a: {default: [x], type: array}\n---\nj: ['$[[ inputs.a ]]', '$[[ inputs.a[0] | truncate(0,1) ]]']\n", ""},
		{"include: [{local: a.yml, inputs: {n: 5}}, '*.yml', '**']\n", "spec: {inputs: {n: {type: number, rules: [{if: '$[[ inputs.n ]]', default: 1}, {options: [2]}]}}}\n---\n$[[ inputs.n ]]: {}\n"},
		{".a: &a {x: &b [1, 0755, 1:30, .inf, 2024-01-02, :s]}\nj: {<<: *a, <<: [*a], y: *b}\n", "a: [\n"},
		{"{\"a\": {\"extends\": [\"a\", \"b\"]}, \"b\": {\"extends\": \"a\"}}", "a: !reference [a]"},
		{"a: {script: !reference x, image: !reference [b, c]}\n.b: !reference [a, image]\n", ""},
		{"include: {project: a/b, ref: $X, file: [x.yml]}\n", "\xef\xbb\xbf--- !!map\n? a\n: !!binary x\n"},
		{"include:\n- component: a/b/c@1\n- remote: https://a@b/c.yml\n  integrity: sha256-\n- template: T.gitlab-ci.yml\n- {local: a.yml, rules: [{if: '$A =~ /x/', exists: [yes]}]}\n", "%YAML 1.1\n---\na: b\n..."},
	} {
		f.Add(seed[0], seed[1])
	}
	if dir := os.Getenv("REFLINE_CONFORMANCE"); dir != "" {
		all, _ := filepath.Glob(filepath.Join(dir, "gitlab", "pipelines", "*", ".gitlab-ci.yml"))
		for _, path := range all {
			if text, err := os.ReadFile(path); err == nil && len(text) < 4000 {
				f.Add(string(text), "")
			}
		}
	}
	f.Fuzz(func(t *testing.T, root, included string) {
		once := func() (*config, []string) {
			var f findings
			in := Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: files{".gitlab-ci.yml": root, "a.yml": included}}
			c, err := newLoading(t.Context(), in, stubRules{}, &f).load(in)
			if err != nil {
				t.Fatal(err)
			}
			if c == nil && !f.list.HasErrors() {
				t.Fatal("neither a config nor an error")
			}
			return c, lines(f.sorted())
		}
		c, says := once()
		again, saysAgain := once()
		if diff := cmp.Diff(says, saysAgain); diff != "" {
			t.Fatal(diff)
		}
		if c == nil {
			return
		}
		if c.root.kind != mapNode || c.root.size > maxNodes || c.root.height > maxHeight || c.root.refs && len(says) == 0 {
			t.Fatalf("a root of kind %d with %d values, %d deep, references: %v", c.root.kind, c.root.size, c.root.height, c.root.refs)
		}
		if c.root.size < 10_000 && show(c.root) != show(again.root) {
			t.Fatal("another tree the second time")
		}
	})
}

// A plain scalar resolves to a text that a variable can hold, the same as the
// number it says it is.
func FuzzPlainScalar(f *testing.F) {
	for _, seed := range []string{"", "yes", "0755", "1_000", "1:30", "1.5e+3", ".inf", "2024-01-02", ":a", `:"a"`, "-.", "0x", "é", "\n", "~"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := plainScalar(text)
		switch s.kind {
		case intNode:
			if again := plainScalar(s.text); again.kind != intNode || again.text != s.text {
				t.Errorf("%q gives %q, which gives %q", text, s.text, again.text)
			}
		case nullNode:
			if s.text != "" {
				t.Errorf("%q gives a null with the text %q", text, s.text)
			}
		case stringNode:
			if !s.symbol && s.text != text {
				t.Errorf("%q gives the text %q", text, s.text)
			}
		}
	})
}

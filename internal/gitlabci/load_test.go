package gitlabci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/gitlabci/expr"
	"refline/internal/pipeline"
)

// files is a loader that holds sources by their label.
type files map[string]string

func (fs files) Read(_ context.Context, s Source) ([]byte, Source, error) {
	text, ok := fs[s.label()]
	if !ok {
		if s.Kind == SourceLocal && s.Project == "" {
			return nil, s, errs.E(errs.NotFound, "no such file")
		}
		return nil, s, errs.E(errs.Unavailable, "no source for it")
	}
	if s.Kind == SourceComponent {
		_, ref, _ := strings.Cut(s.Path, "@")
		versions := map[string]string{"~latest": "2.1.0", "1": "1.4.2"}
		project := s.Path[strings.Index(s.Path, "/")+1 : strings.LastIndex(s.Path, "/")]
		return []byte(text), Source{Kind: SourceComponent, Project: project, Ref: "c0ffee", Path: "templates/x.yml", Version: versions[ref]}, nil
	}
	return []byte(text), s, nil
}

func (fs files) List(_ context.Context, s Source) ([]string, error) {
	s.Path = ""
	var paths []string
	for name := range fs {
		if p, ok := strings.CutPrefix(name, s.label()); ok && !strings.Contains(p, ":") {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// stubRules evaluates expressions over these variables; exists and changes hold
// for [true].
type stubRules map[string]string

func (c stubRules) If(text string, _ diag.Place) (bool, error) {
	e, err := expr.Parse(text)
	if err != nil {
		return false, err
	}
	return e.True(expr.Scope{Variable: func(name string) (string, bool) { v, ok := c[name]; return v, ok }}), nil
}

func (stubRules) Exists(clause *node, _ Source) (bool, error) { return show(clause) == "[true]", nil }

func (stubRules) Changes(clause *node, _ Source) (bool, error) { return show(clause) == "[true]", nil }

func loadFiles(t *testing.T, fs files, change func(*Input)) (*config, diag.List) {
	t.Helper()
	in := Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: fs}
	if change != nil {
		change(&in)
	}
	var f findings
	c, err := newLoading(t.Context(), in, stubRules{}, &f).load(in)
	if err != nil {
		t.Fatal(err)
	}
	return c, f.sorted()
}

// show writes a tree in one line: {a: 1, b: [x, "2"]}; texts that would read as
// something else stand in quotes.
func show(n *node) string {
	if n == nil {
		return "nothing at all"
	}
	var parts []string
	switch n.kind {
	case nullNode:
		return "null"
	case stringNode:
		if plainScalar(n.text).kind != stringNode || strings.ContainsAny(n.text, ",:[]{}\"\n") {
			return rubyQuote(n.text)
		}
		return n.text
	case seqNode:
		for _, item := range n.items {
			parts = append(parts, show(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case mapNode:
		for _, fd := range n.keys {
			parts = append(parts, fd.name+": "+show(fd.value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case referenceNode:
		return referenceText(n)
	}
	return n.text
}

func lines(l diag.List) []string {
	var out []string
	for _, f := range l {
		out = append(out, f.String())
	}
	return out
}

func TestLoadReadsYAMLAsPsych(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ give, want string }{
		"empty file":        {"", "{}"},
		"comment only":      {"# nothing\n", "{}"},
		"byte order mark":   {"\ufeffa: {b: c}\n", "{a: {b: c}}"},
		"quoted stays text": {"a: ['1', \"true\", '', 'null']", `{a: ["1", "true", "", "null"]}`},
		"block stays text":  {"a:\n  b: |\n    yes\n  c: >\n    12\n    13\n", "{a: {b: \"yes\\n\", c: \"12 13\\n\"}}"},
		"tags":              {"a: [!!str 5, !!float 3, !!binary aGk=, !!int \"7\"]", `{a: ["5", 3.0, hi, 7]}`},
		"merge first":       {".b: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\n", "{.b: {x: 1, y: 2}, a: {x: 1, y: 3}}"},
		"merge last wins":   {".b: &b {x: 1, y: 2}\na:\n  y: 3\n  <<: *b\n", "{.b: {x: 1, y: 2}, a: {y: 2, x: 1}}"},
		"merge list":        {".b: &b {x: 1}\n.c: &c {x: 2, y: 2}\na:\n  <<: [*b, *c]\n", "{.b: {x: 1}, .c: {x: 2, y: 2}, a: {x: 1, y: 2}}"},
		"merge twice":       {".b: &b {x: 1}\n.c: &c {y: 2}\na:\n  <<: *b\n  <<: *c\n", "{.b: {x: 1}, .c: {y: 2}, a: {x: 1, y: 2}}"},
		"merge of a text":   {"a: {<<: b}", "{a: {<<: b}}"},
		"alias in list":     {".b: &b [1, 2]\na: {c: [*b, 3]}\n", "{.b: [1, 2], a: {c: [[1, 2], 3]}}"},
		"key types":         {"a: {1: x, true: y, 0755: z, ~: n}", "{a: {1: x, true: y, 493: z, : n}}"},
		"anchored key":      {"a: {&k b: 1}\nc: {*k : 2}\n", "{a: {b: 1}, c: {b: 2}}"},
		"leading dashes":    {"---\na: {b: c}\n", "{a: {b: c}}"},
		"document end":      {"a: {b: c}\n...\n", "{a: {b: c}}"},
		"empty second":      {"a: {b: c}\n---\n", "{a: {b: c}}"},
		"directive":         {"%YAML 1.1\n---\na: {b: c}\n", "{a: {b: c}}"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, list := loadFiles(t, files{".gitlab-ci.yml": tt.give}, nil)
			if len(list) > 0 {
				t.Errorf("findings: %q", lines(list))
			}
			if got := show(c.root); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoadSaysWhatIsWrongWithYAML(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		give string
		want []string
	}{
		"duplicate keys": {
			"a:\n  when: x\n  b: 1\n  when: y\n  when: z\nc: {}\nc: {d: 1}\n",
			[]string{
				`.gitlab-ci.yml:2:3: warning: duplicate key "when" in "a"; the last one (line 5) wins`,
				`.gitlab-ci.yml:6:1: warning: duplicate key "c"; the last one (line 7) wins`,
			},
		},
		"tab":           {"a:\n\tb: 1\n", []string{".gitlab-ci.yml:2:1: error: not valid YAML: a tab cannot indent YAML; indent with spaces"}},
		"colon":         {"a: b: c\n", []string{`.gitlab-ci.yml:1:5: error: not valid YAML: unexpected ": "; put a text that holds ": " in quotes, or check the indentation of this line and of the lines above it`}},
		"indentation":   {"a:\n  - x\n b: 1\n", []string{".gitlab-ci.yml:3:2: error: not valid YAML: did not find expected key while parsing a block mapping that starts at line 1; check the indentation of this line and of the lines above it"}},
		"anchor":        {"a: *b\n", []string{".gitlab-ci.yml:1:4: error: not valid YAML: *b refers to an anchor that this file does not define above; anchors do not reach across files; use extends or !reference for that"}},
		"own anchor":    {"a: &x\n  b: *x\n", []string{".gitlab-ci.yml:2:6: error: *x is inside the value that it refers to"}},
		"open quote":    {"a: \"b\n", []string{".gitlab-ci.yml:1:4: error: not valid YAML: the text that starts here has no closing quote; close it, or escape the quote inside"}},
		"at sign":       {"a: @b\n", []string{`.gitlab-ci.yml:1:4: error: not valid YAML: a plain text cannot start with "@"; put the text in quotes`}},
		"block in flow": {"a: [$[[ inputs.b ]]]\n", []string{".gitlab-ci.yml:1:6: error: not valid YAML: $[[ … ]] needs quotes inside [ ] or { }; put it in quotes"}},
		"Latin-1":       {"a:\n  script: [caf\xe9]\n", []string{".gitlab-ci.yml:2:15: error: the file is not UTF-8 text here; save it as UTF-8"}},
		"UTF-16":        {"\xff\xfea\x00", []string{".gitlab-ci.yml:1:1: error: the file is not UTF-8 text here; save it as UTF-8"}},
		"a list":        {"- a\n", []string{".gitlab-ci.yml:1:1: error: the file holds a list; a configuration is a map of keywords and jobs"}},
		"a text":        {"hello\n", []string{".gitlab-ci.yml:1:1: error: the file holds a string; a configuration is a map of keywords and jobs"}},
		"date":          {"a: {b: 2024-01-02}\n", []string{".gitlab-ci.yml:1:8: error: 2024-01-02 is a date in YAML, which GitLab does not accept; put it in quotes"}},
		"time":          {"a: {b: 2024-01-02 10:00:00}\n", []string{".gitlab-ci.yml:1:8: error: 2024-01-02 10:00:00 is a time in YAML, which GitLab does not accept; put it in quotes"}},
		"symbol":        {"a: {b: :c}\n", []string{`.gitlab-ci.yml:1:8: warning: :c is read as "c": an unquoted text that starts with a colon loses it; put it in quotes`}},
		"unknown tag":   {"a: {b: !refrence [c, d]}\n", []string{`.gitlab-ci.yml:1:8: warning: the tag !refrence has no meaning and is ignored; did you mean "!reference"?`}},
		"ruby tag":      {"a: !ruby/object:X {}\n", []string{".gitlab-ci.yml:1:4: error: the tag !ruby/object:X is not allowed"}},
		"complex key":   {"a: {? [b] : c}\n", []string{".gitlab-ci.yml:1:7: error: a key must be a string"}},
		"number as job": {"1: {a: b}\n", []string{".gitlab-ci.yml:1:1: error: the name of a job must be a string, not the number 1; put it in quotes"}},
		"second document": {
			"a: {b: c}\n---\nd: {e: f}\n",
			[]string{".gitlab-ci.yml:3:1: warning: this second document is not read: the first one has no spec:; merge the two documents"},
		},
		"spec without dashes": {
			"spec: {inputs: {a: }}\nb: {c: d}\n",
			[]string{".gitlab-ci.yml:1:1: error: spec: and the jobs are in one document; put a line with --- after the spec: block"},
		},
		"odd reference": {"a: [!reference b, !reference [], !reference [1]]\n", []string{
			".gitlab-ci.yml:1:5: error: !reference takes a list of names; write it as !reference [JOB, KEYWORD]",
			".gitlab-ci.yml:1:19: error: !reference takes a list of names; write it as !reference [JOB, KEYWORD]",
			".gitlab-ci.yml:1:34: error: !reference takes a list of names; write it as !reference [JOB, KEYWORD]",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, list := loadFiles(t, files{".gitlab-ci.yml": tt.give}, nil)
			if diff := cmp.Diff(tt.want, lines(list)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestLoadStopsAtLimits(t *testing.T) {
	t.Parallel()
	laughs := "a0: &a0 {x: y}\n"
	for i := 1; i < 40; i++ {
		n, p := string(rune('a'+i/10))+string(rune('0'+i%10)), string(rune('a'+(i-1)/10))+string(rune('0'+(i-1)%10))
		laughs += n + ": &" + n + " {l: *" + p + ", r: *" + p + "}\n"
	}
	references := ".r0: [x, y]\n"
	for i := 1; i < 60; i++ {
		p := "!reference [.r" + itoa(i-1) + "]"
		references += ".r" + itoa(i) + ": [" + p + ", " + p + "]\n"
	}
	wide := ".base:\n"
	for i := range 3000 {
		wide += "  k" + itoa(i) + ": x\n"
	}
	for i := range 3000 {
		wide += ".j" + itoa(i) + ": {extends: .base}\n"
	}
	tests := map[string]struct{ give, want string }{
		"aliases":    {laughs, "with its aliases written out"},
		"depth":      {"a: " + strings.Repeat("[", 120) + strings.Repeat("]", 120), "nested more than 100 deep"},
		"references": {references, "too large"},
		"extends":    {wide, "too large"},
		"size":       {"a: " + strings.Repeat("x", 3<<20), "GitLab reads at most"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, list := loadFiles(t, files{".gitlab-ci.yml": tt.give}, nil)
			if c != nil {
				t.Errorf("got a config of %d values", c.root.size)
			}
			if errors, _ := list.Count(); errors != 1 || !strings.Contains(list[0].Message, tt.want) {
				t.Errorf("got %.3q\nwant one error with %q", lines(list), tt.want)
			}
		})
	}
}

func itoa(i int) string { return rubyText(&node{kind: stringNode, text: string(appendInt(nil, i))}) }

func appendInt(b []byte, i int) []byte {
	if i >= 10 {
		b = appendInt(b, i/10)
	}
	return append(b, byte('0'+i%10))
}

func TestLoadKeepsPlaces(t *testing.T) {
	t.Parallel()
	c, list := loadFiles(t, files{
		".gitlab-ci.yml": "include: ci/base.yml\n.deploy:\n  script: [x]\n  image: a\njob:\n  extends: .deploy\n  image: b\n  tags: !reference [.deploy, script]\n",
		"ci/base.yml":    "default:\n  image: c\njob:\n  stage: s\n  image: z\n",
	}, nil)
	if len(list) > 0 {
		t.Fatal(lines(list))
	}
	got := map[string]string{}
	for _, key := range []string{"script", "image", "stage", "tags"} {
		n := c.root.get("job").get(key)
		text := n.at.String()
		if n.via != "" {
			text += " via " + n.via
		}
		for _, p := range n.before {
			text += " over " + p.String()
		}
		got[key] = text
	}
	want := map[string]string{
		"script": ".gitlab-ci.yml:3:11 via extends .deploy",
		"image":  ".gitlab-ci.yml:7:10 over .gitlab-ci.yml:4:10 over ci/base.yml:5:10",
		"stage":  "ci/base.yml:4:10",
		"tags":   ".gitlab-ci.yml:3:11 via !reference [.deploy, script]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantFiles := []Source{{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, {Kind: SourceLocal, Path: "ci/base.yml"}}
	if diff := cmp.Diff(wantFiles, c.files); diff != "" {
		t.Errorf("files -want +got\n%s", diff)
	}
}

func TestLoadTakesPlacesOfJsonnet(t *testing.T) {
	t.Parallel()
	_, list := loadFiles(t, nil, func(in *Input) {
		in.Root.Path = "ci.jsonnet"
		in.Content = []byte(`{"job": {"extends": ["none"], "script": "yes"}}`)
		in.Positions = func(path []string) (diag.Place, bool) {
			if strings.Join(path, ".") == "job.extends.0" {
				return diag.Place{File: "ci.jsonnet", Line: 7, Column: 3}, true
			}
			return diag.Place{}, false
		}
	})
	want := []string{`ci.jsonnet:7:3: error: "job" extends "none", which is not defined`}
	if diff := cmp.Diff(want, lines(list)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var f findings
	c, err := newLoading(ctx, Input{Root: Source{Kind: SourceLocal, Path: "a.yml"}, Loader: files{}}, stubRules{}, &f).load(Input{Root: Source{Kind: SourceLocal, Path: "a.yml"}, Loader: files{}})
	if c != nil || !errors.Is(err, context.Canceled) || len(f.list) > 0 {
		t.Errorf("got %v, %v, %q", c, err, lines(f.list))
	}
}

func TestLoadNeedsTheRoot(t *testing.T) {
	t.Parallel()
	c, list := loadFiles(t, files{".gitlab-ci.yaml": "a: {}"}, nil)
	want := []string{`error: the file ".gitlab-ci.yml" was not found: no such file; did you mean ".gitlab-ci.yaml"?`}
	if diff := cmp.Diff(want, lines(list)); diff != "" || c != nil {
		t.Errorf("-want +got\n%s", diff)
	}
}

// folder is a loader for the files of one project on disk.
type folder string

func (d folder) Read(_ context.Context, s Source) ([]byte, Source, error) {
	if s.Kind != SourceLocal || s.Project != "" {
		return nil, s, errs.E(errs.Unavailable, "not on this disk")
	}
	b, err := os.ReadFile(filepath.Join(string(d), filepath.FromSlash(s.Path)))
	if err != nil {
		return nil, s, errs.E(errs.NotFound, "no such file")
	}
	return b, s, nil
}

func (d folder) List(_ context.Context, s Source) ([]string, error) {
	if s.Kind != SourceLocal || s.Project != "" {
		return nil, errs.E(errs.Unavailable, "not on this disk")
	}
	var paths []string
	err := filepath.WalkDir(string(d), func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(string(d), p)
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	})
	return paths, err
}

func conformance(t testing.TB, below string) string {
	t.Helper()
	dir := os.Getenv("REFLINE_CONFORMANCE")
	if dir == "" {
		t.Skip("REFLINE_CONFORMANCE does not name the folder of conformance data")
	}
	return filepath.Join(dir, filepath.FromSlash(below))
}

func TestConformancePipelinesLoad(t *testing.T) {
	t.Parallel()
	dir := conformance(t, "gitlab/pipelines")
	projects, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range projects {
		t.Run(p.Name(), func(t *testing.T) {
			t.Parallel()
			var f findings
			in := Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: folder(filepath.Join(dir, p.Name()))}
			in.Predefined = []pipeline.Variable{{Name: "CI_PROJECT_PATH", Value: "group/project"}, {Name: "CI_SERVER_FQDN", Value: "gitlab.example.com"}}
			rules := stubRules{"CI_SERVER_HOST": "gitlab.com", "CI_SERVER_URL": "https://gitlab.com", "CI_PROJECT_PATH": "group/project", "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main", "CI_COMMIT_REF_NAME": "main"}
			c, err := newLoading(t.Context(), in, rules, &f).load(in)
			if err != nil || c == nil {
				t.Fatalf("no config: %v\n%s", err, strings.Join(lines(f.list), "\n"))
			}
			for _, x := range f.list {
				if x.Level == diag.Error && x.Rule != "include" {
					t.Errorf("%s", x)
				}
				t.Log(x)
			}
			t.Logf("%d values in %d top-level keys of %d files, complete: %v", c.root.size, len(c.root.keys), len(c.files), c.complete)
		})
	}
}

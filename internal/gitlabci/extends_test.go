package gitlabci

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// A case loads one file and shows one top-level key of the result.
type keyCase struct {
	give string
	key  string
	want string
	says []string // findings
}

func runKeyCases(t *testing.T, tests map[string]keyCase) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, list := loadFiles(t, files{".gitlab-ci.yml": tt.give}, nil)
			if diff := cmp.Diff(tt.says, lines(list)); diff != "" {
				t.Errorf("findings -want +got\n%s", diff)
			}
			if c == nil {
				t.Fatal("no config")
			}
			if got := show(c.root.get(tt.key)); tt.want != "" && got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ".j%d: {extends: .j%d}\n", i, i+1)
	}
	fmt.Fprintf(&b, ".j%d: {script: x}\n", n)
	return b.String()
}

func TestExtends(t *testing.T) {
	t.Parallel()
	runKeyCases(t, map[string]keyCase{
		"maps merge deep, lists replace": {
			give: ".a: {script: [x, y], variables: {A: 1, B: 2}}\nj: {extends: .a, script: [z], variables: {B: 3}}\n",
			key:  "j", want: "{script: [z], variables: {A: 1, B: 3}, extends: .a}",
		},
		"later parents win": {
			give: ".a: {image: a, tags: [a]}\n.b: {image: b}\nj: {extends: [.a, .b]}\n",
			key:  "j", want: "{image: b, tags: [a], extends: [.a, .b]}",
		},
		"grandparents": {
			give: "j: {extends: .b}\n.b: {extends: .a, image: b}\n.a: {image: a, stage: s}\n",
			key:  "j", want: "{image: b, stage: s, extends: .b}",
		},
		"null stays, over what it takes away": {
			give: ".a: {image: a, variables: {A: 1}}\nj: {extends: .a, image: null, variables: {A: }}\n",
			key:  "j", want: "{image: null, variables: {A: null}, extends: .a}",
		},
		"null takes away across a chain": {
			give: ".a: {image: a}\n.n: {image: }\nj: {extends: [.a, .n]}\n",
			key:  "j", want: "{image: null, extends: [.a, .n]}",
		},
		"a map over a text": {
			give: ".a: {image: a}\nj: {extends: .a, image: {name: b}}\n",
			key:  "j", want: "{image: {name: b}, extends: .a}",
		},
		"a reference over a list": {
			give: ".a: {script: [x], after_script: [y]}\nj: {extends: .a, script: !reference [.a, after_script]}\n",
			key:  "j", want: "{script: [y], after_script: [y], extends: .a}",
		},
		"inherited reference": {
			give: ".c: {list: [z]}\n.a: {script: [!reference [.c, list]]}\nj: {extends: .a}\n",
			key:  "j", want: "{script: [[z]], extends: .a}",
		},
		"nothing to extend": {give: "j: {extends: , script: x}\n", key: "j", want: "{extends: null, script: x}"},
		"twice the same": {
			give: ".a: {image: a}\nj: {extends: [.a, .a]}\n",
			key:  "j", want: "{image: a, extends: [.a, .a]}",
		},
		"eleven levels": {give: chain(11), key: ".j0", want: "{script: x, extends: .j1}"},
		"twelve levels": {
			give: chain(12), key: ".j1", want: "{script: x, extends: .j2}",
			says: []string{`.gitlab-ci.yml:1:16: error: ".j0" extends over more than 11 levels; merge some of its parents`},
		},
		"unknown": {
			give: ".build: {}\nj: {extends: .biuld}\n", key: "j", want: "{extends: .biuld}",
			says: []string{`.gitlab-ci.yml:2:14: error: "j" extends ".biuld", which is not defined; did you mean ".build"?`},
		},
		"no map": {
			give: ".a: [x]\nj: {extends: [.a, q]}\n", key: "j",
			says: []string{
				`.gitlab-ci.yml:2:15: error: "j" extends ".a", which is a list and not a job`,
				`.gitlab-ci.yml:2:19: error: "j" extends "q", which is not defined`,
			},
		},
		"circle": {
			give: "a: {extends: b}\nb: {extends: c}\nc: {extends: a}\n", key: "a",
			says: []string{`.gitlab-ci.yml:3:14: error: extends forms a cycle: a → b → c → a`},
		},
		"itself": {
			give: "a: {extends: a}\n", key: "a",
			says: []string{`.gitlab-ci.yml:1:14: error: extends forms a cycle: a → a`},
		},
		"reference": {
			give: "a: {extends: !reference [b, extends]}\nb: {extends: [{c: d}]}\n", key: "a",
			says: []string{
				`.gitlab-ci.yml:1:14: error: extends cannot be a !reference, which is resolved later; write the names of the jobs`,
				`.gitlab-ci.yml:2:15: error: extends takes the names of jobs, not a map`,
			},
		},
	})
}

func TestReference(t *testing.T) {
	t.Parallel()
	runKeyCases(t, map[string]keyCase{
		"list in list": {
			give: ".a: {script: [x, y]}\nj: {script: [!reference [.a, script], z]}\n",
			key:  "j", want: "{script: [[x, y], z]}",
		},
		"whole value and one key": {
			give: ".a: {variables: {A: 1, B: 2}}\nj: {variables: !reference [.a, variables]}\nk: {variables: {C: !reference [.a, variables, B]}}\n",
			key:  "k", want: "{variables: {C: 2}}",
		},
		"through others": {
			give: ".a: {script: [x]}\n.b: {script: [!reference [.a, script]]}\nj: {script: !reference [.b, script]}\n",
			key:  "j", want: "{script: [[x]]}",
		},
		"what extends brings": {
			give: ".a: {script: [x]}\n.b: {extends: .a}\nj: {script: !reference [.b, script]}\n",
			key:  "j", want: "{script: [x]}",
		},
		"whole job": {give: ".a: {script: [x]}\nj: !reference [.a]\n", key: "j", want: "{script: [x]}"},
		"missing job": {
			give: ".a: {script: [x]}\nj: {script: [!reference [.b, script]]}\n", key: "j", want: "{script: [!reference [.b, script]]}",
			says: []string{`.gitlab-ci.yml:2:26: error: !reference [.b, script]: ".b" is not defined; did you mean ".a"?`},
		},
		"missing key": {
			give: ".a: {script: [x]}\nj: {script: !reference [.a, scirpt]}\n", key: "j",
			says: []string{`.gitlab-ci.yml:2:29: error: !reference [.a, scirpt]: .a has no "scirpt"; did you mean "script"?`},
		},
		"into a list": {
			give: ".a: {script: [x]}\nj: {script: !reference [.a, script, x]}\n", key: "j",
			says: []string{`.gitlab-ci.yml:2:37: error: !reference [.a, script, x]: .a.script is a list and has no "x"`},
		},
		"null and false": {
			give: ".a: {image: , interruptible: false}\nj: {image: !reference [.a, image], interruptible: !reference [.a, interruptible]}\n", key: "j",
			says: []string{
				`.gitlab-ci.yml:2:28: error: !reference [.a, image] is nothing, which GitLab refuses to refer to`,
				`.gitlab-ci.yml:2:67: error: !reference [.a, interruptible] is false, which GitLab refuses to refer to`,
			},
		},
		"a path through a reference": {
			give: ".a: {variables: {A: 1}}\n.b: {variables: !reference [.a, variables]}\nj: {image: !reference [.b, variables, A]}\n", key: "j",
			says: []string{`.gitlab-ci.yml:3:39: error: !reference [.b, variables, A]: .b.variables is a !reference itself, and a path cannot lead through it; refer to what that one refers to`},
		},
		"circle": {
			give: ".a: {script: !reference [.b, script]}\n.b: {script: [!reference [.a, script]]}\n", key: ".a",
			says: []string{`.gitlab-ci.yml:1:14: error: !reference [.b, script] forms a cycle`},
		},
		"itself": {
			give: "j: {script: [!reference [j]]}\n", key: "j",
			says: []string{`.gitlab-ci.yml:1:14: error: !reference [j] forms a cycle`},
		},
	})
}

// Whatever the graph of extends, without circles: each key of a job comes from
// the last of its parents that has it, in depth-first order, itself last.
func TestExtendsAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "jobs")
		parents := make([][]int, n)
		own := make([]map[string]string, n)
		var text strings.Builder
		for i := range n {
			own[i] = map[string]string{}
			fmt.Fprintf(&text, ".j%d:\n", i)
			if i > 0 {
				parents[i] = rapid.SliceOfN(rapid.IntRange(0, i-1), 0, 3).Draw(t, "parents")
			}
			names := make([]string, len(parents[i]))
			for k, p := range parents[i] {
				names[k] = fmt.Sprintf(".j%d", p)
			}
			fmt.Fprintf(&text, "  extends: [%s]\n", strings.Join(names, ", "))
			for _, key := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID[string]).Draw(t, "keys") {
				own[i][key] = fmt.Sprintf("%s%d", key, i)
				fmt.Fprintf(&text, "  %s: {v: %s}\n", key, own[i][key])
			}
		}
		var model func(i int) map[string]string
		model = func(i int) map[string]string {
			all := map[string]string{}
			for _, p := range parents[i] {
				for k, v := range model(p) {
					all[k] = v
				}
			}
			for k, v := range own[i] {
				all[k] = v
			}
			return all
		}
		var f findings
		c, err := newLoading(t.Context(), Input{Root: Source{Kind: SourceLocal, Path: "x.yml"}, Content: []byte(text.String())}, stubRules{}, &f).load(Input{Root: Source{Kind: SourceLocal, Path: "x.yml"}, Content: []byte(text.String())})
		if err != nil || c == nil || len(f.list) > 0 {
			t.Fatal(err, lines(f.list))
		}
		for i := range n {
			got := map[string]string{}
			for _, key := range []string{"a", "b", "c"} {
				if v := c.root.get(fmt.Sprintf(".j%d", i)).get(key).get("v"); v != nil {
					got[key] = v.text
				}
			}
			if diff := cmp.Diff(model(i), got); diff != "" {
				t.Fatalf(".j%d -want +got\n%s\n%s", i, diff, text.String())
			}
		}
	})
}

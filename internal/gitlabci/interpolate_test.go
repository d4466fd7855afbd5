package gitlabci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/pipeline"
)

// withSpec is a root file with these inputs and this content.
func withSpec(inputs, content string) files {
	return files{".gitlab-ci.yml": "spec:\n  inputs:\n    " + strings.ReplaceAll(inputs, "\n", "\n    ") + "\n---\n" + content + "\n"}
}

func giving(inputs map[string]any) func(*Input) { return func(in *Input) { in.Inputs = inputs } }

func TestInputs(t *testing.T) {
	t.Parallel()
	runIncludeCases(t, map[string]includeCase{
		"types are kept": {
			files: withSpec("s: {default: a}\nn: {type: number, default: 5}\nb: {type: boolean, default: no}\nl: {type: array, default: [x, {y: 1}]}",
				"j: {s: '$[[ inputs.s ]]', n: '$[[ inputs.n ]]', b: '$[[ inputs.b ]]', l: '$[[ inputs.l ]]'}"),
			want: "{j: {s: a, n: 5, b: false, l: [x, {y: 1}]}}",
		},
		"text from outside is read as the type": {
			files:  withSpec("s: \nn: {type: number}\nf: {type: number}\nb: {type: boolean}\nl: {type: array}", "j: {s: '$[[ inputs.s ]]', n: '$[[ inputs.n ]]', f: '$[[ inputs.f ]]', b: '$[[ inputs.b ]]', l: '$[[ inputs.l ]]'}"),
			change: giving(map[string]any{"s": "5", "n": "5", "f": "1.50", "b": "true", "l": `["a", 1, {"k": [true, null]}]`}),
			want:   `{j: {s: "5", n: 5, f: 1.5, b: true, l: [a, 1, {k: [true, null]}]}}`,
		},
		"values from outside": {
			files:  withSpec("s: \nn: {type: number}\nl: {type: array}\nb: {type: boolean}", "j: {s: '$[[ inputs.s ]]', n: '$[[ inputs.n ]]', b: '$[[ inputs.b ]]', l: '$[[ inputs.l ]]'}"),
			change: giving(map[string]any{"s": 5, "n": 2.5, "b": false, "l": []string{"a", "b"}}),
			want:   `{j: {s: "5", n: 2.5, b: false, l: [a, b]}}`,
		},
		"in a bigger text": {
			files: withSpec("s: {default: 'a b'}\nn: {type: number, default: 1.0}\nb: {type: boolean, default: yes}\nl: {type: array, default: [x, 1, null, {k: 'v\"', if: $A}]}",
				"j: ['<$[[ inputs.s ]]>', '$[[inputs.n]]$[[ inputs.b ]]', 'l $[[ inputs.l ]]']"),
			want: `{j: [<a b>, 1.0true, "l [\"x\", 1, nil, {:k=>\"v\\\"\", :if=>\"$A\"}]"]}`,
		},
		"in keys": {
			files: withSpec("s: {default: build}", "'$[[ inputs.s ]]-job': {stage: '$[[ inputs.s ]]'}\nj: {'$[[ inputs.s ]]': 1}"),
			want:  "{build-job: {stage: build}, j: {build: 1}}",
		},
		"a list takes its place in a list": {
			files: withSpec("l: {type: array, default: [x, y]}", "j: [a, '$[[ inputs.l ]]', ['$[[ inputs.l ]]'], b, 'c $[[ inputs.l ]]']"),
			want:  `{j: [a, x, y, [x, y], b, "c [\"x\", \"y\"]"]}`,
		},
		"parts": {
			files: withSpec("l: {type: array, default: [x, [y, z], {k: v}]}", "j: ['$[[ inputs.l[0] ]]', '$[[ inputs.l[1][1] ]]', '$[[ inputs.l[2].k ]]']"),
			want:  "{j: [x, z, v]}",
		},
		"left alone": {
			files: withSpec("s: {default: a}", "j: ['$[[ matrix.OS ]]', '$[ inputs.s ]', '$[[]]', '$[[ inputs.s', !reference [k, '$[[ inputs.s ]]']]\nk: {a: 1}"),
			want:  `{j: ["$[[ matrix.OS ]]", "$[ inputs.s ]", "$[[]]", "$[[ inputs.s", 1], k: {a: 1}}`,
		},
		"without a header": {
			files: files{".gitlab-ci.yml": "j: '$[[ inputs.s ]]'\n"},
			want:  `{j: "$[[ inputs.s ]]"}`,
		},
		"functions": {
			files: withSpec("s: {default: 'a b'}\ne: {default: '$V-$W-%V%-${V}'}\nc: {default: ' x, y ,,z '}\nu: {default: öäü}",
				"j: ['$[[ inputs.s | posix_escape ]]', '$[[ inputs.e | expand_vars ]]', \"$[[ inputs.c | split(',') ]]\", '$[[ inputs.u | truncate(1,1) ]]', '$[[ inputs.s | truncate(9,1) ]]', '$[[ inputs.e | expand_vars | truncate(0,1) | posix_escape ]]', \"$[[ inputs.s | split(' ') ]]\"]"),
			change: func(in *Input) { in.Project = []pipeline.Variable{{Name: "V", Value: "1"}} },
			want:   `{j: [a\ b, 1-$W-1-1, x, y, z, ä, "", "1", a, b]}`,
		},
		"wrong blocks": {
			files: withSpec("name: {default: a}\nn: {type: number, default: 5}\nl: {type: array, default: [x]}",
				"j:\n- '$[[ inputs.nmae ]]'\n- '$[[ name ]]'\n- '$[[ vars.x ]]'\n- '$[[ inputs.name | upper ]]'\n- '$[[ inputs.n | truncate(0,1) ]]'\n- '$[[ inputs.name | truncate(a) ]]'\n- \"$[[ inputs.name | split('') ]]\"\n- '$[[ inputs.name | expand_vars|expand_vars|expand_vars|expand_vars ]]'\n- '$[[ inputs.l[1] ]]'\n- '$[[ inputs.name[0] ]]'\n- '$[[ inputs.l[x] ]]'\n- '$[[ inputs.l[0].k ]]'\n- '$[[ component.name ]]'"),
			says: []string{
				`.gitlab-ci.yml:8:3: error: $[[ inputs.nmae ]]: there is no "nmae"; did you mean "name"?`,
				`.gitlab-ci.yml:9:3: error: $[[ name ]]: not a value that a block can have; write $[[ inputs.NAME ]]`,
				`.gitlab-ci.yml:10:3: error: $[[ vars.x ]]: there is no "vars"; a block can read inputs, and component in a component`,
				`.gitlab-ci.yml:11:3: error: $[[ inputs.name | upper ]]: there is no function upper; there are expand_vars, posix_escape, split, truncate`,
				`.gitlab-ci.yml:12:3: error: $[[ inputs.n | truncate(0,1) ]]: truncate takes a string, and this is the number 5; apply it to an input of type string`,
				`.gitlab-ci.yml:13:3: error: $[[ inputs.name | truncate(a) ]]: truncate(a) is not a call of truncate; write truncate(OFFSET,LENGTH)`,
				`.gitlab-ci.yml:14:3: error: $[[ inputs.name | split('') ]]: split('') is not a call of split; write split('SEPARATOR')`,
				`.gitlab-ci.yml:15:3: error: $[[ inputs.name | expand_vars|expand_vars|expand_vars|expand_vars ]]: a block takes at most 3 functions`,
				`.gitlab-ci.yml:16:3: error: $[[ inputs.l[1] ]]: [1] is past the end of a list of 1`,
				`.gitlab-ci.yml:17:3: error: $[[ inputs.name[0] ]]: [0] needs a list, and this is a string`,
				`.gitlab-ci.yml:18:3: error: $[[ inputs.l[x] ]]: [x] is not an index`,
				`.gitlab-ci.yml:19:3: error: $[[ inputs.l[0].k ]]: there is no "k"`,
				`.gitlab-ci.yml:20:3: error: $[[ component.name ]]: there is no "name"; list it in spec:component, and include the file as a component`,
			},
		},
		"masked variable": {
			files:  withSpec("s: {default: $T}", "j: '$[[ inputs.s | expand_vars ]]'"),
			change: func(in *Input) { in.Project = []pipeline.Variable{{Name: "T", Value: "s3cret", Masked: true}} },
			says:   []string{`.gitlab-ci.yml:5:4: error: $[[ inputs.s | expand_vars ]]: expand_vars cannot expand the masked variable T; use the variable itself in the job`},
		},
		"all that is wrong with values": {
			files: withSpec("a: \nb: {type: number}\nc: {options: [x, y]}\nd: {regex: ^v\\d$}\ne: {type: array}\nf: {type: boolean}\ng: {type: number, options: [1, 2]}\nh: {type: array, options: [x]}\ni: {type: number, default: x}", "j: {}"),
			change: giving(map[string]any{
				"b": "five", "c": "z", "d": "v10", "e": "x", "f": "yes", "g": 3, "h": []any{"y"}, "aa": 1,
			}),
			says: []string{
				`.gitlab-ci.yml: error: the pipeline has no input "aa"; did you mean "a"?`,
				`.gitlab-ci.yml:3:5: error: the pipeline needs the input "a"; give it a value, or a default here`,
				`.gitlab-ci.yml:4:5: error: input "b" must be a number, not "five"`,
				`.gitlab-ci.yml:5:5: error: input "c" cannot be "z"; it can be x, y`,
				`.gitlab-ci.yml:6:5: error: input "d" does not match ^v\d$: "v10"`,
				`.gitlab-ci.yml:7:5: error: input "e" must be an array, not "x"`,
				`.gitlab-ci.yml:8:5: error: input "f" must be a boolean, not "yes"`,
				`.gitlab-ci.yml:9:5: error: input "g" cannot be the number 3; it can be 1, 2`,
				`.gitlab-ci.yml:10:5: error: input "h" cannot be a list; it can be x`,
				`.gitlab-ci.yml:11:32: error: the default of input "i" must be a number, not "x"`,
			},
		},
		"values that fit": {
			files:  withSpec("c: {options: [x, 5]}\nd: {regex: ^v\\d$, default: v1}\ng: {type: number, options: [1, 2]}\nh: {type: array, options: [x, y]}\nn: {default: null}", "j: ['$[[ inputs.c ]]', '$[[ inputs.d ]]', '$[[ inputs.g ]]', '$[[ inputs.h ]]', '$[[ inputs.n ]]']"),
			change: giving(map[string]any{"c": 5, "g": "2.0", "h": []any{"y"}}),
			want:   `{j: ["5", v1, 2.0, y, ""]}`,
		},
		"all that is wrong with a header": {
			files: files{".gitlab-ci.yml": "spec:\n  input: {}\n  component: [name, foo]\n  inputs:\n    a: {typ: string}\n    b: {type: strnig}\n    c: {regex: '('}\n    d: {type: number, regex: x}\n    e: {options: x}\n    f: {rules: [{options: [x]}], default: x}\n    g: {rules: [{if: \"$[[ inputs.a ]] == 'x'\"}, {default: x}]}\n    h: [x]\n    i: {type: boolean, options: [true]}\n    k: {options: [x, null]}\nother: 1\n---\nj: {}\n"},
			says: []string{
				`.gitlab-ci.yml:2:3: error: "input" is not a keyword of spec; did you mean "inputs"?`,
				`.gitlab-ci.yml:3:21: error: spec:component takes name, sha, version, reference, not a string`,
				`.gitlab-ci.yml:5:9: error: "typ" is not a keyword of the input a; did you mean "type"?`,
				`.gitlab-ci.yml:6:15: error: input "b" has the unknown type "strnig"; did you mean "string"?`,
				"" + `.gitlab-ci.yml:7:16: error: input "c" has an invalid regex: missing closing ): ` + "`(`" + `; the syntax is RE2's: no lookarounds, no backreferences`,
				`.gitlab-ci.yml:8:30: error: input "d" is of type number; only a string can have a regex`,
				`.gitlab-ci.yml:9:18: error: input "e" has options that are a string instead of a list`,
				`.gitlab-ci.yml:10:34: error: input "f" cannot have both rules and default`,
				`.gitlab-ci.yml:11:17: error: input "g" has a rule without options and default`,
				`.gitlab-ci.yml:11:49: error: input "g" has a last rule without options; a rule without if must give options`,
				`.gitlab-ci.yml:12:8: error: input "h" must be a map of default, description, options, regex, rules and type, not a list`,
				`.gitlab-ci.yml:13:24: error: input "i" is a boolean, which takes no options`,
				`.gitlab-ci.yml:14:22: error: input "k" has an empty option`,
				`.gitlab-ci.yml:15:1: error: "other" is not a keyword of the header; known are spec`,
			},
		},
		"an unknown key hides no other": {
			files: withSpec("a: {typ: number}\nb: {type: number, default: x}\nc: {options: x, default: 1}\nd: {descriptoin: x, type: boolean, default: 5}", "j: {n: '$[[ inputs.a ]] $[[ inputs.zzz ]]'}"),
			says: []string{
				`.gitlab-ci.yml:3:9: error: "typ" is not a keyword of the input a; did you mean "type"?`,
				`.gitlab-ci.yml:4:32: error: the default of input "b" must be a number, not "x"`,
				`.gitlab-ci.yml:5:18: error: input "c" has options that are a string instead of a list`,
				`.gitlab-ci.yml:6:9: error: "descriptoin" is not a keyword of the input d; did you mean "description"?`,
				`.gitlab-ci.yml:6:49: error: the default of input "d" must be a boolean, not the number 5`,
				`.gitlab-ci.yml:8:8: error: $[[ inputs.zzz ]]: there is no "zzz"; declare it in spec:inputs`,
			},
		},
		"a wrong default hides no block": {
			files: withSpec("a: {type: number, default: x}\nb: {default: y}", "include: ['$[[ inputs.a ]].yml', 'gone-$[[ inputs.b ]].yml']\nj: ['$[[ inputs.a ]]', '$[[ inputs.zz ]]', 'a $[[ inputs.b[0] ]]']"),
			says: []string{
				`.gitlab-ci.yml:3:32: error: the default of input "a" must be a number, not "x"`,
				`.gitlab-ci.yml:6:34: error: the file "gone-y.yml" was not found: no such file`,
				`.gitlab-ci.yml:7:24: error: $[[ inputs.zz ]]: there is no "zz"; declare it in spec:inputs`,
				`.gitlab-ci.yml:7:44: error: $[[ inputs.b[0] ]]: [0] needs a list, and this is a string`,
			},
		},
		"rules": {
			files: withSpec("cloud: {default: aws}\nsize:\n  rules:\n  - if: $[[ inputs.cloud ]] == 'aws'\n    options: [t3, t4]\n    default: t3\n  - options: [small]\n    default: small", "j: '$[[ inputs.size ]]'"),
			want:  "{j: t3}",
		},
		"rules of another value": {
			files:  withSpec("cloud: {default: aws}\nsize:\n  rules:\n  - if: $[[ inputs.cloud ]] == 'aws'\n    options: [t3, t4]\n    default: t3\n  - options: [small]\n    default: small", "j: '$[[ inputs.size ]]'"),
			change: giving(map[string]any{"cloud": "gcp", "size": "t3"}),
			says:   []string{`.gitlab-ci.yml:4:5: error: input "size" cannot be "t3"; it can be small`},
		},
		"boolean in rules": {
			files: withSpec("p: {type: boolean, default: true}\ns:\n  rules:\n  - if: $[[ inputs.p ]] == true\n    default: publish\n  - if: $[[ inputs.p ]] == false\n    default: test", "j: '$[[ inputs.s ]]'"),
			want:  "{j: publish}",
		},
		"rules without a default need a value": {
			files: withSpec("s:\n  rules:\n  - options: [a]", "j: '$[[ inputs.s ]]'"),
			says:  []string{`.gitlab-ci.yml:3:5: error: the pipeline needs the input "s"; give it a value, or a default here`},
		},
		"rule that cannot be read": {
			files: withSpec("s:\n  rules:\n  - {if: '$[[ inputs.s ] == 1', default: a}", "j: 1"),
			says:  []string{`.gitlab-ci.yml:5:14: error: rules:if of input "s" cannot be read at character 1 of "$[[ inputs.s ] == 1": $[[ ]] may only hold inputs.NAME here`},
		},
		"header alone": {files: files{".gitlab-ci.yml": "spec: {inputs: {a: {default: x}}}\n---\n"}, want: "{}"},
		"included inputs": {
			files: files{
				".gitlab-ci.yml": "spec:\n  include: [in.yml]\n  inputs: {a: {default: x}}\n---\nj: ['$[[ inputs.a ]]', '$[[ inputs.b ]]']\n",
				"in.yml":         "inputs: {b: {default: y}}\n",
			},
			want: "{j: [x, y]}",
		},
		"included inputs are laid over each other": {
			files: files{
				".gitlab-ci.yml": "spec:\n  include: [one.yml, two.yml]\n  inputs: {b: {default: x}, d: {options: [v, w]}}\n---\nj: ['$[[ inputs.a ]]', '$[[ inputs.b ]]', '$[[ inputs.c ]]', '$[[ inputs.d ]]']\n",
				"one.yml":        "inputs: {a: {default: one}, b: {default: one}, c: {default: one}}\n",
				"two.yml":        "inputs: {a: {default: two}, d: {default: v, options: [v]}}\n",
			},
			want: "{j: [two, x, one, v]}",
			says: []string{
				`.gitlab-ci.yml:3:12: warning: the input "b" is declared at one.yml:1:32 too; this one wins`,
				`.gitlab-ci.yml:3:29: warning: the input "d" is declared at two.yml:1:32 too; this one wins`,
			},
		},
		"included inputs with a job": {
			files: files{
				".gitlab-ci.yml": "spec: {include: [in.yml]}\n---\nj: ['$[[ inputs.b ]]']\n",
				"in.yml":         "inputs: {b: {default: y}}\njob: {}\n",
			},
			want: "{j: [y]}",
			says: []string{`in.yml:2:1: error: "job" is not a keyword of the file "in.yml", which may hold inputs only; known are inputs`},
		},
		"inputs of an include": {
			files: files{
				".gitlab-ci.yml": "include:\n- {local: a.yml, inputs: {s: build}}\n- {local: a.yml, inputs: {s: test, n: '7'}}\n",
				"a.yml":          "spec: {inputs: {s: , n: {type: number, default: 1}}}\n---\n'$[[ inputs.s ]]': {n: '$[[ inputs.n ]]'}\n",
			},
			want: "{build: {n: 1}, test: {n: 7}}",
		},
		"missing inputs of an include": {
			files: files{
				".gitlab-ci.yml": "include:\n- {local: a.yml, inputs: {t: 1}}\nj: {extends: .a}\n",
				"a.yml":          "spec: {inputs: {stage: }}\n---\n.a: {}\n",
			},
			want: "{.a: {}, j: {extends: .a}}",
			says: []string{
				`.gitlab-ci.yml:2:11: error: the file "a.yml" needs the input "stage"; give it a value, or a default at a.yml:1:17`,
				`.gitlab-ci.yml:2:27: error: the file "a.yml" has no input "t"; it has stage`,
			},
		},
	})
}

func TestInputsKeepThePlaceOfTheBlock(t *testing.T) {
	t.Parallel()
	c, _ := loadFiles(t, withSpec("s: {default: [a], type: array}", "j:\n  k: '$[[ inputs.s ]]'"), nil)
	if got := c.root.get("j").get("k").at.String(); got != ".gitlab-ci.yml:6:6" {
		t.Errorf("got %s", got)
	}
}

func TestShellEscape(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"": "''", "a-b_c.d,e:f+g/h@i": "a-b_c.d,e:f+g/h@i", "a b": `a\ b`, "a'b\"": `a\'b\"`, "a\nb": "a'\n'b", "ö": `\ö`, "$(x)": `\$\(x\)`,
	}
	for give, want := range tests {
		if diff := cmp.Diff(want, shellEscape(give)); diff != "" {
			t.Errorf("%q -want +got\n%s", give, diff)
		}
	}
}

package gitlabci

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

type includeCase struct {
	files  files
	change func(*Input)
	want   string // the whole tree; not looked at when empty
	says   []string
}

func runIncludeCases(t *testing.T, tests map[string]includeCase) {
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, list := loadFiles(t, tt.files, tt.change)
			if diff := cmp.Diff(tt.says, lines(list)); diff != "" {
				t.Errorf("findings -want +got\n%s", diff)
			}
			if c == nil {
				if tt.want != "" {
					t.Fatal("no config")
				}
				return
			}
			if got := show(c.root); tt.want != "" && got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestInclude(t *testing.T) {
	t.Parallel()
	remote := "https://example.com/x.yml"
	runIncludeCases(t, map[string]includeCase{
		"a text": {
			files: files{".gitlab-ci.yml": "include: /a.yml\nj: {b: 1}\n", "a.yml": "j: {a: 1, b: 2}\n"},
			want:  "{j: {a: 1, b: 1}}",
		},
		"in order, own content last, lists replace": {
			files: files{
				".gitlab-ci.yml": "j: {z: own, l: [3]}\ninclude:\n- a.yml\n- local: b.yml\n",
				"a.yml":          "j: {x: a, y: a, z: a, l: [1, 2]}\n", "b.yml": "j: {y: b, z: b}\n",
			},
			want: "{j: {x: a, y: b, z: own, l: [3]}}",
		},
		"nothing": {files: files{".gitlab-ci.yml": "include:\nj: {a: 1}\n"}, want: "{j: {a: 1}}"},
		"nested": {
			files: files{".gitlab-ci.yml": "include: a.yml\n", "a.yml": "include: [b.yml]\nj: {a: 1}\n", "b.yml": "j: {b: 1}\n"},
			want:  "{j: {b: 1, a: 1}}",
		},
		"the same file twice": {
			files: files{".gitlab-ci.yml": "include: [a.yml, b.yml, a.yml]\n", "a.yml": "j: {a: 1}\n", "b.yml": "j: {a: 2}\n"},
			want:  "{j: {a: 1}}",
		},
		"patterns": {
			files: files{
				".gitlab-ci.yml": "include: ci/*.yml\n",
				"ci/a.yml":       "a: {x: 1}\n", "ci/b.txt": "", "ci/c/d.yml": "d: {x: 1}\n", "ci/e.yml": "e: {x: 1}\n",
			},
			want: "{a: {x: 1}, e: {x: 1}}",
		},
		"deep patterns": {
			files: files{
				".gitlab-ci.yml": "include: 'ci/**.yml'\n",
				"ci/a.yml":       "include: 'ci/**/*.yml'\na: {x: 1}\n", "ci/c/d.yml": "d: {x: 1}\n",
			},
			want: "{d: {x: 1}, a: {x: 1}}",
		},
		"not itself": {
			files: files{".gitlab-ci.yml": "include: '*.yml'\nj: {a: 1}\n", "b.yml": "b: {x: 1}\n"},
			want:  "{b: {x: 1}, j: {a: 1}}",
		},
		"no match": {
			files: files{".gitlab-ci.yml": "include: 'ci/*.yml'\nj: {a: 1}\n"},
			want:  "{j: {a: 1}}",
			says:  []string{`.gitlab-ci.yml:1:10: warning: no YAML file matches "ci/*.yml"`},
		},
		"variable in a pattern": {
			files: files{".gitlab-ci.yml": "include: [{local: '$D/*.yml'}]\nj: {a: 1}\n", "ci/a.yml": "a: {}"},
			says:  []string{`.gitlab-ci.yml:1:19: warning: GitLab looks for files before it replaces variables, so this pattern matches nothing`},
		},
		"project": {
			files: files{
				".gitlab-ci.yml": "include:\n- project: g/p\n  ref: v1\n  file: [/a.yml, b.yml]\n",
				"g/p@v1:a.yml":   "include: c.yml\na: {x: 1}\n", "g/p@v1:b.yml": "b: {x: 1}\n", "g/p@v1:c.yml": "c: {x: 1}\n",
			},
			want: "{c: {x: 1}, a: {x: 1}, b: {x: 1}}",
		},
		"remote": {
			files: files{".gitlab-ci.yml": "include: " + remote + "\n", remote: "include: [{template: T.gitlab-ci.yml}]\na: {x: 1}\n", "template:T.gitlab-ci.yml": "t: {x: 1}\n"},
			want:  "{t: {x: 1}, a: {x: 1}}",
		},
		"local in remote": {
			files: files{".gitlab-ci.yml": "include: " + remote + "\n", remote: "include: a.yml\n"},
			says:  []string{remote + `:1:10: error: the remote file "https://example.com/x.yml" does not belong to a project, so it cannot include a local file`},
		},
		"component": {
			files: files{
				".gitlab-ci.yml":             "include:\n- component: $H/g/p/scan@1.2.3\n  inputs: {stage: s}\n",
				"example.com/g/p/scan@1.2.3": "spec:\n  inputs: {stage: }\n  component: [name, sha, version, reference]\n---\ninclude: [other.yml]\n'$[[ component.name ]]': {stage: '$[[inputs.stage]]', at: '$[[ component.sha ]] $[[ component.version ]] $[[ component.reference ]]'}\n",
				"g/p@c0ffee:other.yml":       "spec: {component: [name]}\n---\no: {n: '$[[ component.name ]]'}\n",
			},
			change: func(in *Input) { in.Predefined = []pipeline.Variable{{Name: "H", Value: "example.com"}} },
			want:   "{o: {n: scan}, scan: {stage: s, at: c0ffee 1.2.3 1.2.3}}",
		},
		"spec:include of a component": {
			files: files{
				".gitlab-ci.yml":   "include:\n- component: h/g/p/c@1\n",
				"h/g/p/c@1":        "spec: {include: [i.yml]}\n---\ninclude: [l.yml]\n",
				"g/p@c0ffee:l.yml": "spec: {include: [i.yml]}\n---\nk: {}\n",
				"g/p@c0ffee:i.yml": "inputs: {x: {default: 1}}\n",
			},
			says: []string{`h/g/p/c@1:1:17: error: a component may not have spec:include`},
		},
		"versions of components": {
			files: files{
				".gitlab-ci.yml":  "include:\n- component: h/g/p/a@~latest\n- component: h/g/p/b@1\n- component: h/g/p/c@main\n",
				"h/g/p/a@~latest": versioned, "h/g/p/b@1": versioned, "h/g/p/c@main": versioned,
			},
			want: "{a: {v: 2.1.0 of ~latest}, b: {v: 1.4.2 of 1}, c: {v:  of main}}",
		},
		"what cannot be reached": {
			files: files{
				".gitlab-ci.yml": "include:\n- a.yml\n- project: g/p\n  file: b.yml\n- remote: https://u:pw@example.com/c.yml\n- template: D.gitlab-ci.yml\n- component: h/g/p/e@$V\n- local: x/bulid.yml\nj: {extends: .gone}\n",
				"a.yml":          "include: [{project: g/q, ref: v2, file: f.yml}]\na: {x: 1}\n",
				"x/build.yml":    "",
			},
			change: func(in *Input) { in.Pipeline = []pipeline.Variable{{Name: "V", Value: "1"}} },
			want:   "{a: {x: 1}, j: {extends: .gone}}",
			says: []string{
				`.gitlab-ci.yml:4:9: error: the file "b.yml" of project "g/p" cannot be reached: no source for it; name where other projects are: --projects URL-OR-FOLDER, REFLINE_PROJECTS; a token: REFLINE_GIT_TOKEN`,
				`.gitlab-ci.yml:5:11: error: the remote file "https://example.com/c.yml" cannot be reached: no source for it; check the address and the network`,
				`.gitlab-ci.yml:6:13: error: the template "D.gitlab-ci.yml" cannot be reached: no source for it; check the name and the network, or name a copy of GitLab's lib/gitlab/ci/templates: --templates FOLDER-OR-URL, REFLINE_TEMPLATES`,
				`.gitlab-ci.yml:7:14: error: the component "h/g/p/e@1" cannot be reached: no source for it; name where components are: --components URL-OR-FOLDER, REFLINE_COMPONENTS; a token: REFLINE_GIT_TOKEN`,
				`.gitlab-ci.yml:8:10: error: the file "x/bulid.yml" was not found: no such file; did you mean "x/build.yml"?`,
				`a.yml:1:41: error: the file "f.yml" of project "g/q" at "v2" cannot be reached: no source for it; name where other projects are: --projects URL-OR-FOLDER, REFLINE_PROJECTS; a token: REFLINE_GIT_TOKEN`,
			},
		},
		"integrity": {
			files: files{
				".gitlab-ci.yml": "include:\n- {remote: " + remote + ", integrity: sha256-cu5CSMK8m+K4KK+YihukstgQVa/4/fLRgBO0YW93RQc=}\n- {remote: " + remote + ", integrity: sha256-AAAA}\n",
				remote:           "a: {x: 1}\n",
			},
			want: "{a: {x: 1}}",
			says: []string{`.gitlab-ci.yml:3:12: error: the remote file "https://example.com/x.yml" is not the one that integrity names: it has sha256-cu5CSMK8m+K4KK+YihukstgQVa/4/fLRgBO0YW93RQc=; if the change is known and good, write that checksum`},
		},
		"a commit is shown short": {
			files: files{
				".gitlab-ci.yml":         "include: [{project: g/p, ref: 0123456789abcdef0123456789abcdef01234567, file: a.yml}]\n",
				"g/p@0123456789ab:a.yml": "include: b.yml\n",
			},
			says: []string{`g/p@0123456789ab:a.yml:1:10: error: the file "b.yml" of project "g/p" at "0123456789ab" cannot be reached: no source for it; name where other projects are: --projects URL-OR-FOLDER, REFLINE_PROJECTS; a token: REFLINE_GIT_TOKEN`},
		},
		"header alone": {
			files: files{".gitlab-ci.yml": "include: a.yml\n", "a.yml": "spec: {inputs: {a: {default: b}}}\n---\n"},
			says:  []string{`.gitlab-ci.yml:1:10: error: the file "a.yml" has a header and nothing else`},
		},
		"variables": {
			files: files{".gitlab-ci.yml": "include: ['$DIR/${NAME}.yml', '%NAME%.yml']\n", "ci/a.yml": "a: {x: 1}\n", "a.yml": "b: {x: 1}\n"},
			change: func(in *Input) {
				in.Predefined = []pipeline.Variable{{Name: "DIR", Value: "no"}, {Name: "NAME", Value: "a"}}
				in.Project = []pipeline.Variable{{Name: "DIR", Value: "ci"}}
			},
			want: "{a: {x: 1}, b: {x: 1}}",
		},
		"masked variables are not shown": {
			files: files{".gitlab-ci.yml": "include: 'https://example.com/x.yml?t=$T&.yml'\n"},
			change: func(in *Input) {
				in.Project = []pipeline.Variable{{Name: "T", Value: "s3cret", Masked: true}}
			},
			says: []string{`.gitlab-ci.yml:1:10: error: the remote file "https://example.com/x.yml?t=[MASKED]&.yml" cannot be reached: no source for it; check the address and the network`},
		},
		"unset variable": {
			files: files{".gitlab-ci.yml": "include: [{component: h/g/p/c@$SHA}, '$A/$B.yml']\n"},
			says: []string{
				`.gitlab-ci.yml:1:23: error: the component "h/g/p/c@" has no version; the variable SHA is not set`,
				`.gitlab-ci.yml:1:38: error: the file ".yml" does not end in .yml or .yaml; the variables A, B are not set`,
			},
		},
		"rules": {
			files: files{
				".gitlab-ci.yml": `
include:
- {local: a.yml, rules: [{if: $X == null}]}
- {local: b.yml, rules: [{if: $X == "2"}]}
- {local: c.yml, rules: [{if: $X == null, when: never}, {when: always}]}
- {local: d.yml, rules: [{if: $X == null, exists: ["yes"], changes: [yes]}]}
- {local: e.yml, rules: [{exists: [yes]}]}
- {local: f.yml, rules: [{exists: [maybe]}]}
- {local: g.yml, rules: }
`,
				"a.yml": "a: {}", "b.yml": "b: {}", "c.yml": "c: {}", "d.yml": "d: {}", "e.yml": "e: {}", "f.yml": "f: {}", "g.yml": "g: {}",
			},
			want: "{a: {}, e: {}, g: {}}",
		},
		"wrong rules": {
			files: files{".gitlab-ci.yml": "include:\n- local: a.yml\n  rules: [{if: $X =}, {iff: x}, {when: manual}, x, {}]\n- {local: a.yml, rules: x}\n- {local: a.yml, rules: []}\n", "a.yml": "a: {}"},
			says: []string{
				`.gitlab-ci.yml:3:16: error: include:rules:if cannot be read at character 4 of "$X =": "=" is not part of the language of rules; use == to compare, =~ to match`,
				`.gitlab-ci.yml:3:24: error: "iff" is not a keyword of a rule of an include; did you mean "if"?`,
				`.gitlab-ci.yml:3:40: error: when in include:rules is always or never, not "manual"`,
				`.gitlab-ci.yml:3:49: error: a rule of an include is a map, not a string`,
				`.gitlab-ci.yml:3:52: error: a rule of an include must not be empty`,
				`.gitlab-ci.yml:4:25: error: include:rules must be a list, not a string`,
				`.gitlab-ci.yml:5:25: error: include:rules must not be empty`,
			},
		},
		"wrong forms": {
			files: files{".gitlab-ci.yml": `
include:
- 5
- [a.yml]
- {}
- {locl: a.yml}
- {local: a.yml, remote: https://example.com/a.yml}
- {project: g/p}
- {local: a.yml, integrity: sha256-aaaa}
- {remote: https://example.com/a.yml, integrity: sha256-x}
- {remote: ftp://example.com/a.yml}
- {local: a.json}
- {local: [a.yml]}
- {component: a@1}
- {artifact: a.yml, job: b}
- !reference [a]
- {local: a.yml, inputs: [b]}
- {local: a.yml, cache: true}
- {remote: 'https://example.com/a.yml', cache: 30 seconds}
- {remote: 'https://example.com/a.yml', cache: [a]}
- {remote: 'https://example.com/a.yml', cache: 1 day}
`, "a.yml": "a: {}", "https://example.com/a.yml": "a: {}"},
			says: []string{
				`.gitlab-ci.yml:3:3: error: an include is a string or a map, not the number 5`,
				`.gitlab-ci.yml:4:3: error: an include is a string or a map, not a list`,
				`.gitlab-ci.yml:5:3: error: the include does not say what to include; give it one of local, project, remote, template, component`,
				`.gitlab-ci.yml:6:3: error: the include does not say what to include; give it one of local, project, remote, template, component`,
				`.gitlab-ci.yml:6:4: error: "locl" is not a keyword of include; did you mean "local"?`,
				`.gitlab-ci.yml:7:18: error: an include has one of local, project, remote, template, component, not both local and remote`,
				`.gitlab-ci.yml:8:4: error: include:project does not say which file to include; add file: with a path in that project`,
				`.gitlab-ci.yml:9:18: error: integrity is for include:remote only`,
				`.gitlab-ci.yml:10:50: error: integrity must be sha256- and a checksum in base64`,
				`.gitlab-ci.yml:11:12: error: the remote file "ftp://example.com/a.yml" needs an address that starts with https://`,
				`.gitlab-ci.yml:12:11: error: the file "a.json" does not end in .yml or .yaml`,
				`.gitlab-ci.yml:13:11: error: include:local must be a string, not a list`,
				`.gitlab-ci.yml:14:15: error: the component "a@1" is not the address of a component; write it as HOST/PROJECT/NAME@VERSION`,
				`.gitlab-ci.yml:15:4: error: include:artifact works only inside trigger:`,
				`.gitlab-ci.yml:16:3: error: include cannot be a !reference, which is resolved later; write the includes out`,
				`.gitlab-ci.yml:17:26: error: include:inputs must be a map, not a list`,
				`.gitlab-ci.yml:18:18: error: cache is for include:remote only`,
				`.gitlab-ci.yml:19:48: error: include:cache must be at least 1 minute, not "30 seconds"`,
				`.gitlab-ci.yml:20:48: error: include:cache must be true, false or a duration, not a list`,
			},
		},
		"circle": {
			files: files{".gitlab-ci.yml": "include: a.yml\n", "a.yml": "include: b.yml\n", "b.yml": "include: a.yml\n"},
			says:  []string{`b.yml:1:10: error: includes form a cycle: a.yml → b.yml → a.yml`},
		},
		"circle that ends by its inputs": {
			files: files{
				".gitlab-ci.yml": "include: [{local: a.yml, inputs: {n: xx}}]\n",
				"a.yml":          "spec: {inputs: {n: }}\n---\ninclude: [{local: a.yml, inputs: {n: '$[[ inputs.n | truncate(1,9) ]]'}, rules: [{if: '\"$[[ inputs.n ]]\" != \"\"'}]}]\nj$[[ inputs.n ]]: {}\n",
			},
			want: "{j: {}, jx: {}, jxx: {}}",
		},
		"empty file": {
			files: files{".gitlab-ci.yml": "include: a.yml\n", "a.yml": "# nothing\n"},
			says:  []string{`.gitlab-ci.yml:1:10: error: the file "a.yml" is empty`},
		},
		"broken file is reported once": {
			files: files{".gitlab-ci.yml": "include: [a.yml, a.yml]\nj: {extends: .a}\n", "a.yml": "a: [\n"},
			want:  "{j: {extends: .a}}",
			says:  []string{`a.yml:2:1: error: not valid YAML: did not find expected node content while parsing a flow node that starts at line 2; check the indentation of this line and of the lines above it`},
		},
		"inputs for a file without": {
			files: files{".gitlab-ci.yml": "include: [{local: a.yml, inputs: {b: 1}}]\n", "a.yml": "a: {}\n"},
			says:  []string{`.gitlab-ci.yml:1:35: error: the file "a.yml" declares no inputs; declare them there: spec: inputs: …, a line with ---, then the jobs`},
		},
	})
}

func TestIncludeStopsAt150Files(t *testing.T) {
	t.Parallel()
	fs := files{}
	root := "include:\n"
	for i := range 75 {
		root += fmt.Sprintf("- a%d.yml\n", i)
		fs[fmt.Sprintf("a%d.yml", i)] = fmt.Sprintf("include: b.yml\na%d: {}\n", i)
	}
	fs["b.yml"] = "b: {}\n"
	fs[".gitlab-ci.yml"] = root
	if _, list := loadFiles(t, fs, nil); len(list) > 0 {
		t.Errorf("150 files: %q", lines(list))
	}
	fs[".gitlab-ci.yml"] = root + "- b.yml\n"
	_, list := loadFiles(t, fs, nil)
	want := []string{`.gitlab-ci.yml:77:3: error: more than 150 files are included; .gitlab-ci.yml → b.yml`}
	if diff := cmp.Diff(want, lines(list)); diff != "" {
		t.Errorf("151 files, -want +got\n%s", diff)
	}
}

// versioned is a component that tells its version.
const versioned = "spec: {component: [name, version, reference]}\n---\n'$[[ component.name ]]': {v: '$[[ component.version ]] of $[[ component.reference ]]'}\n"

// outcomes is a loader whose every answer is the same.
type outcomes struct{ err error }

func (o outcomes) Read(context.Context, Source) ([]byte, Source, error) { return nil, Source{}, o.err }
func (o outcomes) List(context.Context, Source) ([]string, error)       { return nil, o.err }

func TestIncludeHidesSecretsInErrors(t *testing.T) {
	t.Parallel()
	var f findings
	in := Input{
		Root: Source{Kind: SourceLocal, Path: "x.yml"}, Content: []byte("include: ['a.yml', '*.yml', 'https://e/$T.yml']\n"),
		Loader:  outcomes{errs.E(errs.Denied, "https://me:hunter2@e/s3cret.yml said no")},
		Project: []pipeline.Variable{{Name: "T", Value: "s3cret", Masked: true}},
	}
	c, err := newLoading(t.Context(), in, stubRules{}, &f).load(in)
	if err != nil || c == nil || c.complete || len(f.list) != 3 {
		t.Fatal(c, err, lines(f.list))
	}
	for _, line := range lines(f.list) {
		if strings.Contains(line, "s3cret") || strings.Contains(line, "hunter2") {
			t.Error(line)
		}
	}
}

// meeting is a loader of remote files that answers when all of them were asked
// for.
type meeting struct {
	files
	all *sync.WaitGroup
}

func (m meeting) Read(ctx context.Context, s Source) ([]byte, Source, error) {
	if s.Kind == SourceRemote {
		m.all.Done()
		m.all.Wait()
	}
	return m.files.Read(ctx, s)
}

func TestRemoteFilesOfAListAreReadAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // where nobody can go on, the test fails
		loader := meeting{files{
			".gitlab-ci.yml":  "include: ['https://x/a.yml', b.yml, 'https://x/c.yml', 'https://x/a.yml', 'https://x/d.yml']\n",
			"https://x/a.yml": "j: {script: a, tags: [a]}\n",
			"b.yml":           "j: {script: b}\n",
			"https://x/c.yml": "j: {script: c, stage: test}\n",
			"https://x/d.yml": "k: {script: d}\n",
		}, &sync.WaitGroup{}}
		loader.all.Add(3)
		res, err := Compile(t.Context(), Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: loader})
		if err != nil || res.Findings.HasErrors() {
			t.Fatal(err, res.Findings)
		}
		if got := res.Pipeline.Job("j").Script[0]; got != "a" { // included last
			t.Errorf("j says %s, want a", got)
		}
		var order []string
		for _, f := range res.Files {
			order = append(order, f.Path)
		}
		if diff := cmp.Diff([]string{".gitlab-ci.yml", "https://x/a.yml", "b.yml", "https://x/c.yml", "https://x/d.yml"}, order); diff != "" {
			t.Error(diff)
		}
	})
}

package gitlabci

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// outline is a job in one line: when, and what else rules can change.
func outline(j *pipeline.Job) string {
	if j == nil {
		return "not there"
	}
	parts := []string{string(j.When)}
	if j.StartIn > 0 {
		parts = append(parts, "in "+j.StartIn.String())
	}
	if j.AllowFailure {
		parts = append(parts, "allowed to fail")
	}
	for _, code := range j.AllowFailureCodes {
		parts = append(parts, "allowed to exit "+strconv.Itoa(code))
	}
	if j.Interruptible {
		parts = append(parts, "interruptible")
	}
	if j.DAG {
		var names []string
		for _, n := range j.Needs {
			names = append(names, n.Job)
		}
		parts = append(parts, "needs ["+strings.Join(names, " ")+"]")
	}
	return strings.Join(parts, ", ")
}

func TestRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ job, want string }{
		"none":                                    {"", "on_success"},
		"first that matches":                      {"rules: [{if: $NO}, {if: $YES, when: always}, {when: never}]", "always"},
		"none matches":                            {"rules: [{if: $NO}]", "not there"},
		"never":                                   {"rules: [{if: $YES, when: never}, {when: always}]", "not there"},
		"when of the job":                         {"{when: always, rules: [{if: $YES}]}", "always"},
		"manual in a rule blocks":                 {"rules: [{when: manual}]", "manual"},
		"manual in the job does not":              {"when: manual", "manual, allowed to fail"},
		"manual in the job, rules without when":   {"{when: manual, rules: [{if: $YES}]}", "manual, allowed to fail"},
		"manual in the job, another in the rule":  {"{when: manual, rules: [{when: on_success}]}", "on_success, allowed to fail"},
		"manual in the job that must not fail":    {"{when: manual, allow_failure: false}", "manual"},
		"allow_failure in a rule":                 {"rules: [{when: manual, allow_failure: true}]", "manual, allowed to fail"},
		"allow_failure of the job":                {"{allow_failure: true, rules: [{if: $YES}]}", "on_success, allowed to fail"},
		"false in a rule":                         {"{allow_failure: true, rules: [{allow_failure: false}]}", "on_success"},
		"exit codes":                              {"allow_failure: {exit_codes: [1, 2]}", "on_success, allowed to exit 1, allowed to exit 2"},
		"exit codes of a manual job":              {"{when: manual, allow_failure: {exit_codes: 3}}", "manual, allowed to exit 3"},
		"allow_failure in a rule erases codes":    {"{allow_failure: {exit_codes: 1}, rules: [{allow_failure: false}]}", "on_success"},
		"no allow_failure in a rule keeps codes":  {"{allow_failure: {exit_codes: 1}, rules: [{if: $YES}]}", "on_success, allowed to exit 1"},
		"delayed in a rule":                       {"rules: [{when: delayed, start_in: 1 hour 30 min}]", "delayed, in 1h30m0s"},
		"delayed":                                 {"{when: delayed, start_in: '10'}", "delayed, in 10s"},
		"interruptible in a rule":                 {"{interruptible: true, rules: [{interruptible: false}]}", "on_success"},
		"interruptible of the job":                {"{interruptible: true, rules: [{when: always}]}", "always, interruptible"},
		"needs in a rule replace":                 {"{needs: [a], rules: [{if: $YES, needs: [b]}]}", "on_success, needs [b]"},
		"needs in a rule make a graph":            {"rules: [{if: $YES, needs: [b]}]", "on_success, needs [b]"},
		"needs in another rule do not":            {"{needs: [a], rules: [{if: $NO, needs: [b]}, {if: $YES}]}", "on_success, needs [a]"},
		"no needs in a rule":                      {"{needs: [a], rules: [{needs: []}]}", "on_success, needs []"},
		"rules in lists":                          {"rules: [[{if: $NO}], [[{if: $YES, when: always}]]]", "always"},
		"empty":                                   {"rules:", "on_success"},
		"if and changes and exists must all hold": {"rules: [{if: $YES, changes: [x], exists: [gone]}]", "not there"},
		"all three hold":                          {"rules: [{if: $YES, changes: [x], exists: [x]}]", "on_success"},
		"variables of the job":                    {"{variables: {MINE: y}, rules: [{if: '$MINE == \"y\"'}]}", "on_success"},
		"values are not expanded":                 {"{variables: {MINE: $YES}, rules: [{if: '$MINE == \"$YES\"'}]}", "on_success"},
		"name and stage are seen":                 {"rules: [{if: '$CI_JOB_NAME == \"job\" && $CI_JOB_STAGE == \"test\"'}]", "on_success"},
		"the environment is seen":                 {"{environment: prod, rules: [{if: '$CI_ENVIRONMENT_NAME == \"prod\"'}]}", "on_success"},
		"its name is expanded":                    {"{variables: {E: prod}, environment: $E/$CI_JOB_NAME, rules: [{if: '$CI_ENVIRONMENT_NAME == \"prod/job\"'}]}", "on_success"},
		"ifs of rules that are empty":             {"rules: [{if: }]", "on_success"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := strings.TrimSuffix(strings.TrimPrefix(tt.job, "{"), "}")
			if !strings.HasPrefix(tt.job, "{") {
				job = tt.job
			}
			text := "a: {stage: build, script: x}\nb: {stage: build, script: x}\njob: {script: x"
			if job != "" {
				text += ", " + job
			}
			res := compiledWith(t, text+"}", func(in *Input) {
				in.Predefined = []pipeline.Variable{{Name: "YES", Value: "1"}}
				in.Loader = files{"x": ""}
			})
			if res.Findings.HasErrors() || res.Pipeline == nil {
				t.Fatal(res.Findings, res.NotCreated)
			}
			if got := outline(res.Pipeline.Job("job")); got != tt.want {
				t.Errorf("job: %s, want %s", got, tt.want)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	compareTo := func(ref string) ([]string, error) {
		switch ref {
		case "main":
			return []string{"docs/a.md"}, nil
		case "same":
			return nil, nil
		}
		return nil, errs.E(errs.NotFound, "no ref %q", ref)
	}
	many := make([]string, 50_001)
	for i := range many {
		many[i] = "f" + strconv.Itoa(i)
	}
	tests := map[string]struct {
		rule    string
		changed Changed
		want    bool
	}{
		"no diff to look at":            {"changes: [x]", Changed{}, true},
		"nothing changed":               {"changes: ['**/*']", Changed{Known: true}, false},
		"a file":                        {"changes: [src/a.go]", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"another file":                  {"changes: [src/b.go]", Changed{Known: true, Files: []string{"src/a.go"}}, false},
		"a pattern":                     {"changes: ['**/*.{go,md}']", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"a folder is not its files":     {"changes: [src/]", Changed{Known: true, Files: []string{"src/a.go"}}, false},
		"paths":                         {"changes: {paths: [src/*]}", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"variables in a pattern":        {"changes: ['$DIR/*']", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"variables in variables":        {"changes: ['${NESTED}/*']", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"the matrix in a pattern":       {"changes: ['$M/*']", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"compared to a ref":             {"changes: {paths: [docs/*], compare_to: main}", Changed{Known: true, CompareTo: compareTo}, true},
		"compared without another diff": {"changes: {paths: [src/*], compare_to: main}", Changed{CompareTo: compareTo}, false},
		"compared to a variable":        {"changes: {paths: [docs/*], compare_to: $REF}", Changed{CompareTo: compareTo}, true},
		"compared to the same":          {"changes: {paths: ['**/*'], compare_to: same}", Changed{CompareTo: compareTo}, false},
		"too much to compare":           {"changes: [nothing]", Changed{Known: true, Files: many}, true},
		"a regular expression":          {"changes: {regexp: '\\Asrc/.*\\.go\\z'}", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"another regular expression":    {"changes: {regexp: '^a\\.go'}", Changed{Known: true, Files: []string{"src/a.go"}}, false},
		"slashes are what they are":     {"changes: {regexp: '/a\\.go/'}", Changed{Known: true, Files: []string{"src/a.go"}}, false},
		"looking ahead":                 {"changes: {regexp: '\\A(?!docs/)'}", Changed{Known: true, Files: []string{"docs/a", "src/a"}}, true},
		"looking ahead in vain":         {"changes: {regexp: '\\A(?!docs/)'}", Changed{Known: true, Files: []string{"docs/a"}}, false},
		"variables in an expression":    {"changes: {regexp: '\\A$DIR/'}", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"the matrix in an expression":   {"changes: {regexp: '\\A$M/'}", Changed{Known: true, Files: []string{"src/a.go"}}, true},
		"an expression for too many":    {"changes: {regexp: '\\.go\\z'}", Changed{Known: true, Files: many}, true},
		"without a diff":                {"changes: {regexp: x}", Changed{}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := compiledWith(t, "variables: {DIR: src, NESTED: $DIR, REF: main}\njob: {script: x, parallel: {matrix: [{M: src}]}, rules: [{"+tt.rule+"}]}", func(in *Input) {
				in.Changed = tt.changed
			})
			if res.Findings.HasErrors() {
				t.Fatal(res.Findings)
			}
			if got := res.Pipeline != nil; got != tt.want {
				t.Errorf("in the pipeline: %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("compared to what is not there", func(t *testing.T) {
		t.Parallel()
		res := compiledWith(t, "job: {script: x, rules: [{changes: {paths: [a], compare_to: nope}}]}", func(in *Input) {
			in.Changed.CompareTo = compareTo
		})
		want := `1:36: error: job "job": rules:changes cannot be decided: no ref "nope"`
		if got := said(res); got != want {
			t.Errorf("said %s, want %s", got, want)
		}
	})
}

// projects is a loader that lists the files of each project.
type projects map[string][]string

func (p projects) Read(_ context.Context, s Source) ([]byte, Source, error) {
	return nil, s, errs.E(errs.NotFound, "no such file")
}

func (p projects) List(_ context.Context, s Source) ([]string, error) {
	paths, ok := p[s.Project+"@"+s.Ref]
	if !ok {
		return nil, errs.E(errs.NotFound, "no project %s", s.Project)
	}
	return paths, nil
}

func TestExists(t *testing.T) {
	t.Parallel()
	big := make([]string, 50_001)
	for i := range big {
		big[i] = "big/f" + strconv.Itoa(i)
	}
	slices.Sort(big)
	loader := projects{
		"@":           {".x/y", "Dockerfile", "README.md", "src/main.go", "src/sub/a.rb"},
		"other/app@":  {"go.mod"},
		"other/app@v": {"old.mod"},
		"other/big@":  big,
	}
	tests := map[string]struct {
		rule string
		want bool
	}{
		"a file":                   {"exists: [Dockerfile]", true},
		"no such file":             {"exists: [dockerfile]", false},
		"one of several":           {"exists: [nope, README.md]", true},
		"a string":                 {"exists: README.md", true},
		"a folder":                 {"exists: [src/]", true},
		"a folder without a slash": {"exists: [src]", false},
		"no such folder":           {"exists: [sr/]", false},
		"a pattern":                {"exists: ['*.md']", true},
		"a pattern below":          {"exists: ['**/*.rb']", true},
		"a pattern does not cross": {"exists: ['*.rb']", false},
		"paths":                    {"exists: {paths: ['src/**/*.go']}", true},
		"variables":                {"exists: ['$DIR/main.go']", true},
		"another project":          {"exists: {paths: [go.mod], project: other/app}", true},
		"its ref":                  {"exists: {paths: [go.mod], project: other/app, ref: v}", false},
		"a project by variable":    {"exists: {paths: [old.mod], project: $APP, ref: $V}", true},
		"too much to compare":      {"exists: {paths: ['**/none'], project: other/big}", true},
		"exact names are no cost":  {"exists: {paths: [none], project: other/big}", false},
		"the top only is no cost":  {"exists: {paths: ['no*'], project: other/big}", false},
		"an ending is no cost":     {"exists: {paths: ['**/*.none'], project: other/big}", false},
		"an ending":                {"exists: ['**/*.go']", true},
		"no paths":                 {"exists: {paths: null}", false},
		"a regular expression":     {"exists: {regexp: 'sub.*rb\\z'}", true},
		"another one":              {"exists: {regexp: '\\Asub.*go'}", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := compiledWith(t, "variables: {DIR: src, APP: other/app, V: v}\njob: {script: x, rules: [{"+tt.rule+"}]}", func(in *Input) { in.Loader = loader })
			if res.Findings.HasErrors() {
				t.Fatal(res.Findings)
			}
			if got := res.Pipeline != nil; got != tt.want {
				t.Errorf("in the pipeline: %v, want %v", got, tt.want)
			}
		})
	}
}

func TestIncludeRulesSeeTheSameConditions(t *testing.T) {
	t.Parallel()
	root := `
include:
  - {local: a.yml, rules: [{if: $YES}]}
  - {local: b.yml, rules: [{if: $NO}]}
  - {local: c.yml, rules: [{exists: [c.yml]}]}
  - {local: d.yml, rules: [{exists: {paths: [gone]}}]}
  - {local: e.yml, rules: [{changes: ['*.md']}]}
  - {local: f.yml, rules: [{changes: {paths: ['*.go']}}]}
  - {local: g.yml, rules: [{exists: g.yml}]}
`
	fs := files{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		fs[name+".yml"] = name + ": {script: x}"
	}
	res := compiledWith(t, root, func(in *Input) {
		in.Loader = fs
		in.Changed = Changed{Known: true, Files: []string{"README.md"}}
		in.Pipeline = []pipeline.Variable{{Name: "YES", Value: "1"}}
	})
	if diff := cmp.Diff([]string{"a", "c", "e", "g"}, names(res.Pipeline)); diff != "" {
		t.Error(diff, res.Findings)
	}
}

func TestRegexpOfPathsIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"changes: {regexp: 'a('}":               `1:45: error: job "job": rules:changes:regexp is not valid: the regular expression cannot be read: missing closing ) in a(`,
		"changes: {regexp: ''}":                 `1:45: error: job "job": rules:changes:regexp must not be empty`,
		"changes: {regexp: [a]}":                `1:45: error: job "job": rules:changes:regexp must be a string, not a list`,
		"changes: {regexp: a, paths: [b]}":      `1:48: error: job "job": rules:changes cannot have both regexp and paths`,
		"changes: {compare_to: main}":           `1:36: error: job "job": rules:changes:paths is missing`,
		"changes: {paths: }":                    `1:44: error: job "job": rules:changes:paths must be a list of patterns, not nothing`,
		"exists: {regexp: 'a{1,2000}'}":         `1:44: error: job "job": rules:exists:regexp is not valid: the regular expression cannot be read: invalid repeat count in {1,2000}`,
		"exists: {regexp: '" + long(256) + "'}": `1:44: error: job "job": rules:exists:regexp is not valid: the regular expression may have at most 255 characters, not 256`,
		"exists: {regexp: 'x$LONG'}":            `1:35: error: job "job": rules:exists cannot be decided: the regular expression may have at most 255 characters, not 301`,
	}
	for rule, want := range tests {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			res := compiledWith(t, "job: {script: x, rules: [{"+rule+"}]}", func(in *Input) {
				in.Loader = files{"a": ""}
				in.Predefined = []pipeline.Variable{{Name: "LONG", Value: long(300)}}
				in.Changed = Changed{Known: true, Files: []string{"a"}}
			})
			if got := said(res); got != want {
				t.Errorf("said %s\nwant %s", got, want)
			}
		})
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// TestRulesSeeTheMatrix has a job for each combination that its own rules let in.
func TestRulesSeeTheMatrix(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		rules string
		want  []string
	}{
		"a value":              {"[{if: '$OS == \"linux\"'}]", []string{"j: [linux, a]", "j: [linux, $TOP]"}},
		"a pattern":            {"[{if: '$OS =~ /x$/'}]", []string{"j: [linux, a]", "j: [linux, $TOP]"}},
		"never":                {"[{if: '$V == \"a\"', when: never}, {when: on_success}]", []string{"j: [linux, $TOP]", "j: [mac, $TOP]"}},
		"values not expanded":  {"[{if: '$V == \"top\"'}]", nil},
		"with another":         {"[{if: '$TOP && $OS == \"mac\"'}]", []string{"j: [mac, a]", "j: [mac, $TOP]"}},
		"files, expanded":      {"[{exists: [$V]}]", []string{"j: [linux, $TOP]", "j: [mac, $TOP]"}},
		"what a rule sets not": {"[{if: '$R', variables: {R: x}}]", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := compiledWith(t, "variables: {TOP: top}\nother: {script: x}\nj: {script: x, parallel: {matrix: [{OS: [linux, mac], V: [a, $TOP]}]}, rules: "+tt.rules+"}",
				func(in *Input) { in.Loader = files{"top": ""} })
			if res.Pipeline == nil {
				t.Fatal(res.Findings)
			}
			if diff := cmp.Diff(tt.want, slices.DeleteFunc(names(res.Pipeline), func(n string) bool { return n == "other" }), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

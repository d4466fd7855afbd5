package definition

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/source"
)

// memory is a project of files in memory, on branch main.
type memory map[string]string

var _ source.Project = memory{}

func (m memory) Loader(gitlabci.Facts) gitlabci.Loader { return m }
func (m memory) Exists(_ context.Context, path string) (bool, error) {
	_, ok := m[path]
	return ok, nil
}
func (m memory) Read(_ context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	text, ok := m[src.Path]
	if !ok {
		return nil, src, errs.E(errs.NotFound, "no file %s", src.Path)
	}
	return []byte(text), src, nil
}
func (m memory) List(context.Context, gitlabci.Source) ([]string, error) {
	return slices.Sorted(maps.Keys(m)), nil
}
func (m memory) Facts(context.Context) (gitlabci.Facts, error) {
	return gitlabci.Facts{SHA: strings.Repeat("a", 40), BeforeSHA: strings.Repeat("b", 40), Branch: "main", DefaultBranch: "main", Folder: "p", Protected: true, Message: "one\ntwo"}, nil
}
func (m memory) Changed(context.Context, gitlabci.Facts) gitlabci.Changed { return gitlabci.Changed{} }
func (m memory) MergeBase(_ context.Context, branch string) (string, error) {
	return "base of " + branch, nil
}
func (m memory) LastCommit(context.Context, string) (string, error) { return "", nil }
func (m memory) Name() string                                       { return "/p" }
func (m memory) At() string                                         { return "main aaaaaaa" }

func compileMemory(t *testing.T, m memory, r Request) *Definition {
	t.Helper()
	r.Source = m
	if r.Trigger == "" {
		r.Trigger = pipeline.TriggerPush
	}
	d, err := Compile(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Findings.Err(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefaultFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		files memory
		want  string
		say   string
	}{
		{memory{".gitlab-ci.yml": "", ".gitlab-ci.jsonnet": ""}, ".gitlab-ci.yml", ""},
		{memory{".gitlab-ci.jsonnet": ""}, ".gitlab-ci.jsonnet", ""},
		{memory{".gitlab-ci.yaml": ""}, "", "rename it"},
		{memory{}, "", "no .gitlab-ci.yml"},
	} {
		got, err := DefaultFile(context.Background(), c.files)
		if got != c.want || c.say != "" && (!errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%v: got %q, %v, want %q, %q", c.files, got, err, c.want, c.say)
		}
	}
}

// A job's variables from outside: later scopes win, masked values need Reveal,
// and what is withheld is seen by rules only.
func TestJobVariables(t *testing.T) {
	t.Parallel()
	project := []secret.Variable{
		{Name: "A", Value: secret.NewString("project"), Environment: secret.AnyEnvironment},
		{Name: "B", Value: secret.NewString("project"), Environment: secret.AnyEnvironment},
		{Name: "B", Value: secret.NewString("of production"), Environment: "production"},
		{Name: "TOKEN", Value: secret.NewString("very secret value"), Masked: true, Environment: secret.AnyEnvironment},
		{Name: "KEY", Value: secret.NewString("a key"), Environment: secret.AnyEnvironment},
	}
	files := memory{".gitlab-ci.yml": `
variables: {TARGET: production}
job:
  script: x
  environment: $TARGET
  rules: [{if: $KEY, variables: {HAS_KEY: "1"}}]
`}
	for _, reveal := range []bool{false, true} {
		d := compileMemory(t, files, Request{PipelineID: 7, Variables: Variables{
			Group: []pipeline.Variable{{Name: "A", Value: "group"}, {Name: "G", Value: "group"}}, Project: project,
			Pipeline: []pipeline.Variable{{Name: "A", Value: "pipeline"}}, Job: []pipeline.Variable{{Name: "S", Value: "job"}},
			Withheld: []string{"KEY"}, Reveal: reveal,
		}})
		j := &d.Pipeline.Jobs[0]
		if got, _ := pipeline.Lookup(j.Variables)("HAS_KEY"); got != "1" {
			t.Error("the rule did not see the withheld variable")
		}
		below, above := d.JobVariables(j)
		got := map[string]string{}
		for _, v := range above {
			got[v.Name] = v.Value
		}
		token := got["TOKEN"]
		delete(got, "TOKEN")
		if (token == "very secret value") != reveal {
			t.Errorf("reveal %t: TOKEN is %q", reveal, token)
		}
		want := map[string]string{"A": "pipeline", "B": "of production", "G": "group", "S": "job"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if id, _ := pipeline.Lookup(below)("CI_PIPELINE_ID"); id != "7" {
			t.Errorf("CI_PIPELINE_ID = %q, want 7", id)
		}
		if got := d.Environment(j); got != "production" {
			t.Errorf("environment %q, want production", got)
		}
	}
}

// Only a push to a branch has a commit before it; a merge request has a title.
func TestFactsOfTriggers(t *testing.T) {
	t.Parallel()
	files := memory{".gitlab-ci.yml": "job: {script: x, rules: [{when: always}]}"}
	for trigger, before := range map[pipeline.Trigger]bool{
		pipeline.TriggerPush: true, pipeline.TriggerMergeRequest: false, pipeline.TriggerSchedule: false, pipeline.TriggerWeb: false,
	} {
		d := compileMemory(t, files, Request{Trigger: trigger})
		if got := d.Facts.BeforeSHA != ""; got != before {
			t.Errorf("%s: a commit before: %t, want %t", trigger, got, before)
		}
		if mr := d.Facts.MergeRequest; (mr != nil) != (trigger == pipeline.TriggerMergeRequest) || mr != nil && mr.Title != "one" {
			t.Errorf("%s: merge request %+v", trigger, mr)
		}
	}
}

func TestScriptInSource(t *testing.T) {
	t.Parallel()
	d := compileMemory(t, memory{"flow.py": "print()"}, Request{File: "flow.py", Inputs: map[string]any{"n": 5}})
	if !d.Script || len(d.Pipeline.Jobs) != 1 || !strings.Contains(d.Pipeline.Jobs[0].Script[0], "--n=5") {
		t.Errorf("got %+v", d.Pipeline)
	}
}

func TestChild(t *testing.T) {
	t.Parallel()
	files := memory{
		".gitlab-ci.yml": "t: {trigger: {include: child.yml, forward: {pipeline_variables: true}}}\nx: {script: x}",
		"child.yml":      "in-child: {script: x, rules: [{if: $CI_PIPELINE_SOURCE == 'parent_pipeline'}]}\ngrand: {trigger: {include: child.yml}}",
		"empty.yml":      "none: {script: x, rules: [{when: never}]}",
	}
	root := compileMemory(t, files, Request{PipelineID: 3, Variables: Variables{Pipeline: []pipeline.Variable{{Name: "V", Value: "1"}}}})
	before := root.Facts
	child, err := root.Child(context.Background(), ChildRequest{Job: root.Pipeline.Job("t"), ID: 9})
	if err != nil {
		t.Fatal(err)
	}
	if child.Facts.PipelineID != 9 || !child.Facts.Parent || child.File != "child.yml" || child.Pipeline.Job("in-child") == nil {
		t.Errorf("child %+v of %s", child.Facts, child.File)
	}
	if _, above := child.JobVariables(child.Pipeline.Job("in-child")); len(above) != 1 || above[0].Name != "V" {
		t.Errorf("forwarded: %v", above)
	}
	if diff := cmp.Diff(before, root.Facts); diff != "" || root.Pipeline.Job("t") == nil {
		t.Errorf("the parent changed: %s", diff)
	}
	grand, err := child.Child(context.Background(), ChildRequest{Job: child.Pipeline.Job("grand")})
	if err != nil {
		t.Fatal(err)
	}

	trigger := func(d pipeline.Downstream) *pipeline.Job { return &pipeline.Job{Name: "t", Downstream: &d} }
	local := func(names ...string) (out []pipeline.DownstreamInclude) {
		for _, n := range names {
			out = append(out, pipeline.DownstreamInclude{Local: n})
		}
		return out
	}
	for _, c := range []struct {
		from *Definition
		job  *pipeline.Job
		say  string
	}{
		{grand, trigger(pipeline.Downstream{Include: local("child.yml")}), "2 deep"},
		{root, trigger(pipeline.Downstream{}), "got 0"},
		{root, trigger(pipeline.Downstream{Include: local("a", "b", "c", "d")}), "got 4"},
		{root, trigger(pipeline.Downstream{Project: "other/p"}), "needs a server"},
		{root, trigger(pipeline.Downstream{Include: local("empty.yml")}), "no jobs"},
	} {
		if _, err := c.from.Child(context.Background(), ChildRequest{Job: c.job}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.say) {
			t.Errorf("want an error with %q, got %v", c.say, err)
		}
	}
}

// A merge request knows its target and the merge base; the registry is that of the
// request.
func TestMergeRequestFacts(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{"": "main", "release": "release"} {
		d := compileMemory(t, memory{".gitlab-ci.yml": "j: {script: x, rules: [{when: always}]}"}, Request{Trigger: pipeline.TriggerMergeRequest, Target: target, Registry: "r.example.com"})
		below, _ := d.JobVariables(&d.Pipeline.Jobs[0])
		get := pipeline.Lookup(below)
		for name, value := range map[string]string{
			"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": want, "CI_MERGE_REQUEST_DIFF_BASE_SHA": "base of " + want, "CI_REGISTRY": "r.example.com",
		} {
			if got, _ := get(name); got != value {
				t.Errorf("target %q: %s is %q, want %q", target, name, got, value)
			}
		}
	}
}

// Names in trigger:include see what an include of the child sees: predefined,
// project and forwarded variables. Inputs stay literal.
func TestChildNamesWithVariables(t *testing.T) {
	t.Parallel()
	files := memory{
		".gitlab-ci.yml":           "t: {trigger: {include: x.yml}}",
		"api/ci.yml":               "api: {script: x}",
		"main/p/web.yml":           "web: {script: x}",
		"parts/a.yml":              "a: {script: x}",
		"parts/b.yml":              "b: {script: x}",
		"inputs.yml":               "spec: {inputs: {name: }}\n---\n'$[[ inputs.name ]]': {script: x}",
		"from_parent_pipeline.yml": "by-source: {script: x}",
		"notes.txt":                "",
	}
	root := compileMemory(t, files, Request{Variables: Variables{Pipeline: []pipeline.Variable{{Name: "OFPIPELINE", Value: "api"}}, Group: []pipeline.Variable{{Name: "GROUP", Value: "web"}}}})
	vars := []pipeline.Variable{{Name: "SVC", Value: "api"}, {Name: "FN", Value: "gen"}, {Name: "DIR", Value: "parts"}, {Name: "TXT", Value: "notes.txt"}, {Name: "BOTH", Value: "api/ci.yml"}}
	type include = pipeline.DownstreamInclude
	tests := []struct {
		name     string
		includes []include
		want     string // the jobs, or what the error says
	}{
		{"a forwarded variable", []include{{Local: "$SVC/ci.yml"}}, "api"},
		{"a leading slash", []include{{Local: "/${SVC}/ci.yml"}}, "api"},
		{"predefined and of the group", []include{{Local: "$CI_COMMIT_BRANCH/$CI_PROJECT_NAME/$GROUP.yml"}}, "web"},
		{"the child's own source", []include{{Local: "from_$CI_PIPELINE_SOURCE.yml"}}, "by-source"},
		{"the whole name", []include{{Local: "$BOTH"}}, "api"},
		{"an artifact", []include{{Artifact: "$FN.yml", Job: "gen"}}, "made"},
		{"an artifact of a job", []include{{Artifact: "gen.yml", Job: "$FN"}}, "made"},
		{"several", []include{{Local: "$SVC/ci.yml"}, {Artifact: "$FN.yml", Job: "gen"}}, "api made"},
		{"a pattern", []include{{Local: "$DIR/a*.yml"}}, "this pattern matches nothing"},
		{"a literal pattern", []include{{Local: "parts/*.yml"}}, "a b"},
		{"inputs stay literal", []include{{Local: "inputs.yml", Inputs: map[string]any{"name": "$SVC"}}}, "$SVC"},
		{"an unset variable", []include{{Local: "$NOPE/ci.yml"}}, "no file ci.yml; trigger:include uses variables that are not set: NOPE"},
		{"nothing at all", []include{{Local: "$NOPE"}}, "names no file; trigger:include uses variables that are not set: NOPE"},
		{"a variable of the parent's pipeline", []include{{Local: "$OFPIPELINE/ci.yml"}}, "not set: OFPIPELINE"},
		{"no configuration", []include{{Local: "$TXT"}}, `must name a file that ends in .yml or .yaml, not "notes.txt"`},
	}
	for _, tt := range tests {
		job := &pipeline.Job{Name: "t", Downstream: &pipeline.Downstream{Include: tt.includes}}
		child, err := root.Child(context.Background(), ChildRequest{Job: job, Variables: vars, Open: func(job, path string) (io.ReadCloser, error) {
			if job != "gen" || path != "gen.yml" {
				t.Errorf("%s: opened %s of %s", tt.name, path, job)
			}
			return io.NopCloser(strings.NewReader("made: {script: x}")), nil
		}})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			var names []string
			for _, j := range child.Pipeline.Jobs {
				names = append(names, j.Name)
			}
			got = strings.Join(names, " ")
		}
		if err == nil && got != tt.want || err != nil && !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestChildFromArtifacts(t *testing.T) {
	t.Parallel()
	root := compileMemory(t, memory{".gitlab-ci.yml": "gen: {script: x, artifacts: {paths: [c.yml]}}"}, Request{})
	open := func(text string) func(string, string) (io.ReadCloser, error) {
		return func(job, path string) (io.ReadCloser, error) {
			if job != "gen" || path != "c.yml" {
				t.Errorf("opened %s of %s", path, job)
			}
			return io.NopCloser(strings.NewReader(text)), nil
		}
	}
	job := &pipeline.Job{Name: "t", Downstream: &pipeline.Downstream{Include: []pipeline.DownstreamInclude{{Artifact: "c.yml", Job: "gen"}}}}
	child, err := root.Child(context.Background(), ChildRequest{Job: job, Open: open("made: {script: x}")})
	if err != nil || child.Pipeline.Job("made") == nil {
		t.Fatalf("got %+v, %v", child, err)
	}
	_, err = root.Child(context.Background(), ChildRequest{Job: job, Open: open(strings.Repeat("#", maxChildBytes+1))})
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "larger than 5 MiB") {
		t.Errorf("a huge configuration: %v", err)
	}
}

func TestWithDefaultImage(t *testing.T) {
	t.Parallel()
	p := &pipeline.Pipeline{Jobs: []pipeline.Job{{Name: "a"}, {Name: "b", Image: &pipeline.Image{Name: "own"}}, {Name: "t", Downstream: &pipeline.Downstream{}}}}
	got := WithDefaultImage(p, "alpine")
	if got.Jobs[0].Image == nil || got.Jobs[0].Image.Name != "alpine" || got.Jobs[1].Image.Name != "own" || got.Jobs[2].Image != nil {
		t.Errorf("got %+v", got.Jobs)
	}
	if p.Jobs[0].Image != nil {
		t.Error("the given pipeline changed")
	}
	if WithDefaultImage(p, "") != p || WithDefaultImage(nil, "alpine") != nil {
		t.Error("nothing to do: want what is given")
	}
}

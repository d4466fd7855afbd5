package gitlabci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// compiled compiles one file. Each var is NAME=value, predefined.
func compiled(t *testing.T, text string, vars ...string) *Result {
	t.Helper()
	return compiledWith(t, text, func(in *Input) {
		for _, v := range vars {
			name, value, _ := strings.Cut(v, "=")
			in.Predefined = append(in.Predefined, pipeline.Variable{Name: name, Value: value})
		}
	})
}

func compiledWith(t *testing.T, text string, change func(*Input)) *Result {
	t.Helper()
	in := Input{Root: Source{Kind: SourceLocal, Path: "ci.yml"}, Content: []byte(text)}
	change(&in)
	res, err := Compile(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// onBranch are the variables of a push to a branch.
func onBranch(name string) []string {
	return []string{"CI_PIPELINE_SOURCE=push", "CI_COMMIT_BRANCH=" + name, "CI_COMMIT_REF_NAME=" + name}
}

func mustCompile(t *testing.T, text string, vars ...string) *pipeline.Pipeline {
	t.Helper()
	res := compiled(t, text, vars...)
	if res.Pipeline == nil {
		t.Fatalf("no pipeline (%s): %v", res.NotCreated, res.Findings)
	}
	return res.Pipeline
}

// said are the findings, one a line, without the name of the file.
func said(res *Result) string {
	var lines []string
	for _, f := range res.Findings {
		lines = append(lines, strings.TrimPrefix(f.String(), "ci.yml:"))
	}
	return strings.Join(lines, "\n")
}

func names(p *pipeline.Pipeline) []string {
	if p == nil {
		return nil
	}
	var list []string
	for _, j := range p.Jobs {
		list = append(list, j.Name)
	}
	return list
}

func TestJobsComeByStageThenAsWritten(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
stages: [build, check, deploy]
after: {stage: .post, script: x}
b: {stage: check, script: x}
a: {stage: check, script: x}
c: {stage: build, script: x}
before: {stage: .pre, script: x}
.hidden: {stage: nowhere}
`)
	if diff := cmp.Diff([]string{"before", "c", "b", "a", "after"}, names(p)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{".pre", "build", "check", ".post"}, p.Stages); diff != "" {
		t.Error(diff)
	}
}

func TestNoPipelineIsCreated(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"edges only":           {"a: {stage: .pre, script: x}\nb: {stage: .post, script: x}", "all jobs are in the stages .pre and .post"},
		"rules leave nothing":  {"a: {script: x, rules: [{if: $NO}]}", "rules exclude every job"},
		"workflow matches not": {"workflow: {rules: [{if: $NO}]}\na: {script: x}", "no rule of workflow matched"},
		"workflow says never":  {"workflow: {rules: [{when: never}]}\na: {script: x}", "a rule of workflow says never"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := compiled(t, tt.text)
			if res.Pipeline != nil || res.NotCreated != tt.want || len(res.Findings) > 0 {
				t.Errorf("pipeline %v, reason %q, findings %v; want the reason %q", res.Pipeline, res.NotCreated, res.Findings, tt.want)
			}
		})
	}
}

func TestCompileStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errs.E(errs.Unavailable, "enough")
	cancel(reason)
	_, err := Compile(ctx, Input{Root: Source{Kind: SourceLocal, Path: "ci.yml"}, Content: []byte("a: {script: x}")})
	if !errors.Is(err, reason) {
		t.Errorf("error = %v, want the cause", err)
	}
}

// TestStateCasesCompile holds the jobs of GitLab's state cases against what
// those cases expect right after the pipeline is created.
func TestStateCasesCompile(t *testing.T) {
	t.Parallel()
	dir := conformance(t, "gitlab/pipeline_processing")
	files, err := filepath.Glob(filepath.Join(dir, "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Config yaml.Node
			Init   struct {
				Expect struct{ Jobs map[string]string }
			}
		}
		if err := yaml.Unmarshal(content, &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		p := mustCompile(t, marshal(t, &c.Config), onBranch("main")...)
		want := make([]string, 0, len(c.Init.Expect.Jobs))
		for name := range c.Init.Expect.Jobs {
			want = append(want, name)
		}
		slices.Sort(want)
		got := names(p)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", filepath.Base(file), diff)
		}
	}
}

func TestSameInputSamePipeline(t *testing.T) {
	t.Parallel()
	text := `
build: {stage: build, script: x, parallel: {matrix: [{A: [a, b], B: [1, 2]}]}}
test: {script: y, needs: [build], secrets: {S: {vault: a/b/c@d}}, artifacts: {reports: {junit: a, dotenv: b}}}
`
	first := mustCompile(t, text)
	for range 5 {
		if diff := cmp.Diff(first, mustCompile(t, text)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// FuzzCompile: any text gives a pipeline, a reason or errors, all with places.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		"a: {script: x, rules: [{if: '$A == \"b\"', changes: [x], when: manual}]}",
		"stages: [a, b]\nj: {stage: a, script: [x, [y]], parallel: 3, needs: []}",
		"j: {script: x, parallel: {matrix: [{A: [1, 2], B: c}]}}\nk: {script: x, needs: [{job: j, parallel: {matrix: [{A: 1, B: c}]}}]}",
		"default: {image: {name: a}, cache: [{key: {files: [a]}}]}\nj: {script: x, inherit: {default: [image], variables: false}}",
		"t: {trigger: {include: [{artifact: a, job: b}], forward: {yaml_variables: false}}}\nb: {script: x, environment: {name: r/$X, on_stop: t}}",
		"workflow: {name: '$A', rules: [{if: $A, variables: {B: c}, auto_cancel: {on_new_commit: none}}]}\nj: {run: [{name: a, step: b}]}",
		"j: {script: x, only: {refs: [/a/, tags@g/p], variables: [$A], changes: ['*']}, except: [web]}",
		"include: gone.yml\nj: {image: {entrypoint: [a]}, services: [{alias: b}], rules: [{changes: {regexp: '^(?!a)'}}]}\nk: {stage: x, needs: [j]}\nstages: [a]",
		"spec: {inputz: {a: }}\n---\nj: {script: '$[[ inputs.a ]]', retry: {when: ['$[[ inputs.b ]]']}, '$[[ c ]]': 1}",
		"j: {script: '${{ job.inputs.a + 1 }}', inputs: {a: {type: number, default: 1}}, image: '${{ \"a\" }}'}",
		"j: {script: '${{ inputs.a }}', inputs: {a: {default: b}}, retry: {max: 1, exit_codes: [1]}, secrets: {S: {vault: a}}}",
		"variables: {A: $B$B, B: $A}\nj: {script: x, resource_group: $A, release: {tag_name: $A, description: d}, pages: true}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		res, err := Compile(t.Context(), Input{Root: Source{Kind: SourceLocal, Path: "ci.yml"}, Content: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		if res.Pipeline == nil && res.NotCreated == "" && !res.Findings.HasErrors() {
			t.Error("no pipeline, no reason, no error")
		}
		if res.Pipeline != nil && res.Findings.HasErrors() {
			t.Error("a pipeline in spite of errors")
		}
		for _, x := range res.Findings {
			if x.Message == "" || x.File == "" {
				t.Errorf("a finding without message or place: %+v", x)
			}
		}
		if res.Pipeline != nil {
			if _, err := pipeline.NewGraph(res.Pipeline); err != nil {
				t.Errorf("the pipeline is no graph: %v", err)
			}
		}
	})
}

func BenchmarkCompileOneJob(b *testing.B) {
	in := Input{Root: Source{Kind: SourceLocal, Path: "ci.yml"}, Content: []byte("hello:\n  script: echo hello\n")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileHundredJobs(b *testing.B) {
	var text strings.Builder
	for i := range 100 {
		name := "job-" + strconv.Itoa(i)
		text.WriteString(name + ":\n  stage: test\n  script: [echo " + name + "]\n  rules:\n    - if: $CI_COMMIT_BRANCH == \"main\"\n    - when: manual\n")
	}
	in := Input{Root: Source{Kind: SourceLocal, Path: "ci.yml"}, Content: []byte(text.String())}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileLargest(b *testing.B) {
	in := Input{
		Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: folder(conformance(b, "gitlab/pipelines/Kitware__VTK")),
		Predefined: Predefined(Facts{Branch: "main", DefaultBranch: "main", Trigger: pipeline.TriggerMergeRequest, MergeRequest: &MergeRequest{IID: 1}}),
	}
	for _, name := range []string{"CI_PROJECT_PATH", "CI_MERGE_REQUEST_PROJECT_PATH"} {
		in.Predefined = append(in.Predefined, pipeline.Variable{Name: name, Value: "vtk/vtk"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

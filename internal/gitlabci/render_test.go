package gitlabci

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// rendered compiles p's rendering and compares it with p: a job is the same but
// for where it is written and that a parallel job has become one by itself, which
// its variables tell.
func rendered(t *testing.T, p *pipeline.Pipeline) string {
	t.Helper()
	text, err := Render(p)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Compile(t.Context(), Input{Root: Source{Kind: SourceLocal, Path: "rendered.yml"}, Content: text})
	if err != nil {
		t.Fatal(err)
	}
	if res.Pipeline == nil {
		return strings.TrimSpace(res.NotCreated + "\n" + said(res))
	}
	jobs := slices.Clone(p.Jobs)
	for i := range jobs {
		if j := &jobs[i]; j.Index > 0 {
			j.Variables = append([]pipeline.Variable{
				{Name: "CI_NODE_INDEX", Value: strconv.Itoa(j.Index)}, {Name: "CI_NODE_TOTAL", Value: strconv.Itoa(j.Total)},
			}, j.Variables...)
		}
	}
	return cmp.Diff(jobs, res.Pipeline.Jobs, cmpopts.EquateEmpty(),
		cmpopts.IgnoreTypes(diag.Place{}),
		cmpopts.IgnoreFields(pipeline.Job{}, "Base", "Index", "Total"),
		cmpopts.IgnoreFields(pipeline.Variable{}, "Description", "Options"))
}

func TestRenderRealPipelines(t *testing.T) {
	t.Parallel()
	dir := conformance(t, "gitlab/pipelines")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range entries {
		for _, facts := range someFacts() {
			res, err := Compile(t.Context(), Input{
				Root:   Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"},
				Loader: folder(filepath.Join(dir, e.Name())), Predefined: Predefined(facts),
			})
			if err != nil {
				t.Fatal(err)
			}
			if res.Pipeline == nil {
				continue
			}
			count++
			if d := rendered(t, res.Pipeline); d != "" {
				t.Errorf("%s (%s): compiled again it is another\n%s", e.Name(), facts.Trigger, d)
				break
			}
		}
	}
	if count < len(entries) {
		t.Errorf("only %d pipelines were rendered", count)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
workflow: {name: all, auto_cancel: {on_job_failure: all}}
stages: [one, two]
variables: {A: "1", RAW: {value: $B, expand: false}}
build:
  stage: one
  image: {name: alpine, entrypoint: [""], pull_policy: [always, if-not-present], docker: {user: me, platform: linux/arm64}}
  services: [{name: postgres, alias: "db,database", command: [run], variables: {P: x}}]
  parallel: {matrix: [{V: [a, b]}]}
  script: [echo "$V", [nested]]
  retry: {max: 2, when: [script_failure], exit_codes: [7]}
  timeout: 1h 30m
  artifacts: {paths: [out], exclude: [out/tmp], when: always, expire_in: 1 week, reports: {dotenv: a.env, junit: [a.xml, b.xml]}}
  cache: [{key: {files: [go.sum], prefix: p}, paths: [c], fallback_keys: [f], policy: pull}, {key: text, paths: [d]}]
  interruptible: true
  tags: [x]
ask:
  stage: two
  needs: [{job: "build: [a]", artifacts: false}]
  when: manual
  manual_confirmation: sure?
  allow_failure: false
  script: [x]
  environment: {name: live, url: https://x, action: start}
  resource_group: live
later: {stage: two, when: delayed, start_in: 2 hours, script: [x], allow_failure: {exit_codes: [3]}, coverage: '/\d+/'}
child: {stage: two, trigger: {include: [{local: c.yml}], strategy: depend, forward: {pipeline_variables: true}}}
mirror: {stage: two, needs: {pipeline: group/other}}
parent: {stage: two, needs: [{pipeline: $PARENT_PIPELINE_ID, job: x}], script: [x]}
split: {stage: two, needs: [], parallel: 2, script: [x]}
coverage: {stage: two, needs: [], script: [x], artifacts: {reports: {coverage_report: {coverage_format: jacoco, path: j.xml}}}}
start: {stage: one, needs: [], script: [x], hooks: {pre_get_sources_script: [y]}, release: {tag_name: v1, description: d}, id_tokens: {T: {aud: a}}}
steps: {stage: two, run: [{name: s, script: echo, env: {K: v}}]}
`)
	if d := rendered(t, p); d != "" {
		t.Error(d)
	}
}

func TestRenderKeepsWhatTheModelHolds(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, "split: {parallel: 2, script: [x]}\ncoverage: {script: [x], artifacts: {reports: {coverage_report: {coverage_format: jacoco, path: j.xml}}}}")
	if got := p.Job("coverage").Artifacts.CoverageFormat; got != "jacoco" {
		t.Errorf("the coverage format is %q", got)
	}
	text, err := Render(p)
	if err != nil {
		t.Fatal(err)
	}
	again := mustCompile(t, string(text))
	if got := again.Job("coverage").Artifacts.CoverageFormat; got != "jacoco" {
		t.Errorf("the coverage format is %q after rendering", got)
	}
	env := pipeline.Lookup(pipeline.Merge(JobVariables(again.Job("split 2/2")), again.Job("split 2/2").Variables))
	for _, name := range []string{"CI_NODE_INDEX", "CI_NODE_TOTAL"} {
		if value, _ := env(name); value != "2" {
			t.Errorf("%s is %q after rendering, want 2", name, value)
		}
	}
}

package gitlabci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/pipeline"
)

// TestListsInListsAreJoined holds every list that GitLab flattens, as it is after
// a !reference inside a list.
func TestListsInListsAreJoined(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 15) + "pg" + strings.Repeat("]", 15)
	p := mustCompile(t, `
default:
  services: [[redis, [{name: mysql}]], ]
.shared:
  services: [`+deep+`, {name: mongo, alias: m}]
  cache: [{paths: [a]}]
  needs: [gen]
  rules: [{if: $NO}, {when: manual}]
gen: {stage: build, script: x}
by default: {stage: build, script: x}
job:
  stage: test
  script: [[x, [y]], z]
  services: [!reference [.shared, services], [[kafka], null]]
  cache: [!reference [.shared, cache], [[{paths: [b]}]]]
  needs: [[[[[[[[[[[[!reference [.shared, needs]]]]]]]]]]]]]
  rules: [!reference [.shared, rules]]
`)
	services := func(job string) (list []string) {
		for _, s := range p.Job(job).Services {
			list = append(list, s.Name)
		}
		return list
	}
	if diff := cmp.Diff([]string{"redis", "mysql"}, services("by default")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pg", "mongo", "kafka"}, services("job")); diff != "" {
		t.Error(diff)
	}
	job := p.Job("job")
	if len(job.Caches) != 2 || job.Caches[1].Paths[0] != "b" || len(job.Needs) != 1 || job.When != pipeline.WhenManual {
		t.Errorf("caches %v, needs %v, when %s", job.Caches, job.Needs, job.When)
	}
}

// TestListsInListsOfRules: those of workflow, of an include and of an input.
func TestListsInListsOfRules(t *testing.T) {
	t.Parallel()
	res := compiledWith(t, `
spec: {inputs: {a: {default: x}, b: {rules: [[[{if: "$[[ inputs.a ]] == 'x'", options: [v], default: v}]]]}}}
---
workflow: {rules: [[[{if: $V}]]]}
include: [{local: more.yml, rules: [[{if: $V == "no", when: never}], [[{if: $V}]]]}]
job: {script: 'echo $[[ inputs.b ]]'}
`, func(in *Input) {
		in.Predefined = []pipeline.Variable{{Name: "V", Value: "yes"}}
		in.Loader = files{"more.yml": "more: {script: x}\n"}
	})
	if got := said(res); got != "" || res.Pipeline == nil {
		t.Fatalf("said %s, %s", got, res.NotCreated)
	}
	if diff := cmp.Diff([]string{"more", "job"}, names(res.Pipeline)); diff != "" {
		t.Error(diff)
	}
	if got := res.Pipeline.Job("job").Script[0]; got != "echo v" {
		t.Errorf("script %q", got)
	}
}

func TestServicesInListsAreChecked(t *testing.T) {
	t.Parallel()
	got := said(compiled(t, "job: {script: x, services: [[a, [{alias: b}]], ~, 5]}"))
	want := `1:34: error: job "job": services:name is missing
1:48: warning: job "job": services has an entry without a value, which is left out
1:51: error: job "job": services must be a string or a map, not the number 5`
	if got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

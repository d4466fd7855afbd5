package prefectfile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/diag"
)

func env(name string) string { return map[string]string{"TEAM": "data", "BRANCH": "dev"}[name] }

const whole = `name: etl
prefect-version: 3.8.8
build: null
push: []
pull:
- prefect.deployments.steps.git_clone:
    id: clone
    repository: https://git.example.com/{{ $TEAM }}/flows.git
    branch: main
    access_token: "{{ prefect.blocks.secret.git-token }}"
- prefect.deployments.steps.pip_install_requirements:
    requirements_file: requirements.txt
definitions:
  pool: &pool
    name: k8s
    job_variables:
      image: python:3.12
deployments:
- name: nightly
  version: null
  tags: [a]
  description: null
  entrypoint: flows/etl.py:etl
  parameters: {day: 3, table: "{{ $TEAM }}_x", when: 2026-01-02, secret: "{{ prefect.variables.x }}"}
  schedules:
  - cron: "0 6 * * *"
    timezone: Europe/Berlin
    parameters: {day: 1}
  - {interval: 3600, anchor_date: 2026-01-01T00:00:00Z, active: true}
  - {cron: "0 0 * * *", active: false}
  - rrule: FREQ=DAILY
  - {cron: "0 0 1 * 1", day_or: false}
  concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}
  work_pool: *pool
- <<: {work_pool: {name: other, work_queue_name: high}}
  name: hourly
  entrypoint: flows.etl.load
  paused: true
  schedule: {interval: 3600.0}
  concurrency_limit: 1
  pull:
  - prefect.deployments.steps.set_working_directory: {directory: /opt}
  - my.steps.custom: {}
`

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := Parse("prefect.yaml", []byte(whole), env)
	if err != nil {
		t.Fatal(err)
	}
	want := []Deployment{
		{
			Name: "nightly", Path: "flows/etl.py", Function: "etl", Pool: "k8s", Concurrency: 2, Skip: true,
			Code:       Code{Repository: "https://git.example.com/data/flows.git", Branch: "main", Variable: "GIT_TOKEN"},
			Parameters: map[string]any{"day": 3, "table": "data_x", "when": "2026-01-02"},
			Schedules: []Schedule{
				{Cron: "0 6 * * *", Timezone: "Europe/Berlin", Parameters: map[string]any{"day": 1}},
				{Every: time.Hour},
			},
		},
		{Name: "hourly", Path: "flows/etl.py", Function: "load", Pool: "other", Concurrency: 1, Paused: true, Schedules: []Schedule{{Every: time.Hour}}},
	}
	if d := cmp.Diff(want, f.Deployments, cmpopts.IgnoreFields(Deployment{}, "Place", "PoolPlace")); d != "" {
		t.Error(d)
	}
	var left []string
	for _, l := range f.Left {
		left = append(left, l.String())
	}
	wantLeft := []string{
		"prefect.yaml:21:3: nightly: tags: tags of a runtime choose its runners",
		"prefect.yaml:24:74: nightly: parameter secret: the template {{ prefect.variables.x }} cannot be filled in here; give the value with refline flow set --input",
		"prefect.yaml:29:35: nightly: anchor_date: an interval counts from midnight",
		"prefect.yaml:30:5: nightly: schedule: it is not active",
		"prefect.yaml:31:5: nightly: schedule: rrule has no counterpart; write it as cron or interval",
		"prefect.yaml:32:5: nightly: schedule: day_or: false has no counterpart; a day matches by either field",
		"prefect.yaml:17:7: nightly: job variable image: set it at the runtime: refline runtime set --help",
		"prefect.yaml:42:5: hourly: set_working_directory: a job works at the root of its checkout",
		"prefect.yaml:43:5: hourly: step my.steps.custom: put it into before_script of a pipeline",
		"prefect.yaml:35:50: hourly: work queue high: give the flow a priority: refline flow set --priority",
	}
	if d := cmp.Diff(wantLeft, left); d != "" {
		t.Error(d)
	}
}

// Every mistake is reported with its place, all in one go.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "prefect.yaml:1:1: error: the file is empty"},
		"not YAML":           {"a: [", "prefect.yaml"},
		"a list":             {"- a", "prefect.yaml:1:1: error: a project file is a mapping"},
		"no deployments":     {"name: x", "prefect.yaml:1:1: error: the file has no deployments"},
		"twice":              {"deployments:\n- name: a\n  name: b\n  entrypoint: f.py:f", `prefect.yaml:3:3: error: "name" is given twice`},
		"no entrypoint":      {"deployments:\n- name: a", "prefect.yaml:2:3: error: a has no entrypoint"},
		"no name":            {"deployments:\n- entrypoint: f.py:f", "prefect.yaml:2:3: error: the deployment has no name"},
		"no function":        {"deployments:\n- name: a\n  entrypoint: f.py", `prefect.yaml:3:15: error: entrypoint "f.py" is not FILE.py:FUNCTION`},
		"outside":            {"deployments:\n- name: a\n  entrypoint: ../f.py:f", "3:15: error: entrypoint"},
		"a method":           {"deployments:\n- name: a\n  entrypoint: f.py:A.f", "names a method"},
		"a template":         {"deployments:\n- name: a\n  entrypoint: \"{{ build.out }}:f\"", "only Prefect can fill in"},
		"an unset variable":  {"deployments:\n- name: a\n  entrypoint: \"{{ $NONE }}:f\"", "needs the variable NONE, which is not set here"},
		"one name":           {"deployments:\n- {name: a, entrypoint: f.py:f}\n- {name: a, entrypoint: f.py:f}", `3:3: error: deployment "f-a" of one flow is given twice`},
		"interval":           {"deployments:\n- name: a\n  entrypoint: f.py:f\n  schedule: {interval: 5}", "4:24: error: interval 5: want whole seconds from 60"},
		"interval no number": {"deployments:\n- name: a\n  entrypoint: f.py:f\n  schedule: {interval: 1h}", `interval "1h" is not a number`},
		"cron and interval":  {"deployments:\n- name: a\n  entrypoint: f.py:f\n  schedule: {interval: 60, cron: \"* * * * *\"}", "not both"},
		"no time":            {"deployments:\n- name: a\n  entrypoint: f.py:f\n  schedule: {timezone: UTC}", "cron, interval or rrule"},
		"concurrency":        {"deployments:\n- name: a\n  entrypoint: f.py:f\n  concurrency_limit: no", "from 1 to 1000"},
		"strategy":           {"deployments:\n- name: a\n  entrypoint: f.py:f\n  concurrency_limit: {limit: 1, collision_strategy: X}", "neither ENQUEUE nor CANCEL_NEW"},
		"two refs":           {"pull:\n- git_clone: {repository: https://x/y, branch: a, commit_sha: b}\ndeployments:\n- {name: a, entrypoint: f.py:f}", "2:3: error: git_clone has both"},
		"no repository":      {"pull:\n- git_clone: {branch: a}\ndeployments:\n- {name: a, entrypoint: f.py:f}", "has no repository"},
		"a cycle":            {"deployments: &a\n- *a", "prefect.yaml"},
		"a nest of merges":   {"x: &a {<<: {<<: {<<: {<<: {<<: {<<: {<<: {<<: {<<: {<<: {<<: {<<: {a: 1}}}}}}}}}}}}}\ndeployments: [*a]", "nested too deep"},
		"a deployment":       {"deployments: [5, []]", "1:18: error: a deployment is a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("prefect.yaml", []byte(c.text), env)
			if err == nil || !strings.Contains(text(err), c.want) {
				t.Errorf("got %v, want %s", text(err), c.want)
			}
		})
	}
	_, err := Parse("prefect.yaml", []byte("deployments:\n- name: a\n- entrypoint: x\n- {name: c, entrypoint: f.py:f, paused: 3, schedule: 5}"), env)
	var failure *diag.Failure
	if !errors.As(err, &failure) || len(failure.Findings) != 5 {
		t.Errorf("want 5 findings: %v", text(err))
	}
}

func text(err error) string {
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		return ""
	}
	var lines []string
	for _, f := range failure.Findings {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// A secret in the file is a mistake, and is not in the message.
func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	for _, pull := range []string{
		"{repository: 'https://user:glpat-1234@git.example.com/a.git'}",
		"{repository: 'https://glpat-1234@git.example.com/a.git'}",
		"{repository: 'https://git.example.com/a.git', access_token: glpat-1234}",
	} {
		_, err := Parse("prefect.yaml", []byte("pull:\n- git_clone: "+pull+"\ndeployments:\n- {name: a, entrypoint: f.py:f}"), env)
		if got := text(err); !strings.Contains(got, "secret") || strings.Contains(got, "glpat") {
			t.Errorf("%s: %s", pull, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("a: &a [*a]\ndeployments: *a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("prefect.yaml", text, env)
		if err == nil && len(file.Deployments) == 0 {
			t.Fatal("a file without deployments is not a mistake")
		}
	})
}

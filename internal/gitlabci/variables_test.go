package gitlabci

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/pipeline"
)

func assignments(vars []pipeline.Variable) string {
	var list []string
	for _, v := range vars {
		list = append(list, v.Name+"="+v.Value)
	}
	return strings.Join(list, " ")
}

func TestVariablesOfAJob(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
variables: {A: top, B: top, C: {value: top, description: d, options: [top, x]}}
workflow: {rules: [{variables: {B: workflow, W: workflow}}]}
all: {script: x, variables: {A: job, Z: job}}
none: {script: x, inherit: {variables: false}, variables: {A: job}}
some: {script: x, inherit: {variables: [B]}}
rules: {script: x, variables: {A: job}, rules: [{if: $NO, variables: {A: no}}, {variables: {A: rule, R: rule}}]}
matrix: {script: x, variables: {A: job}, parallel: {matrix: [{A: m, M: m}]}, rules: [{variables: {M: rule}}]}
`)
	want := map[string]string{
		"all":            "A=job B=workflow C=top W=workflow Z=job",
		"none":           "A=job",
		"some":           "B=workflow",
		"rules":          "A=rule B=workflow C=top W=workflow R=rule",
		"matrix: [m, m]": "A=m B=workflow C=top W=workflow M=rule",
	}
	got := map[string]string{}
	for _, j := range p.Jobs {
		got[j.Name] = assignments(j.Variables)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, want := assignments(p.Variables), "A=top B=workflow C=top W=workflow"; got != want {
		t.Errorf("variables of the pipeline: %s, want %s", got, want)
	}
	if c := p.Variables[2]; c.Description != "d" || len(c.Options) != 2 {
		t.Errorf("C = %+v, want its description and options", c)
	}
}

func TestValuesOfVariables(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
variables: {S: text, I: 0755, F: 1.50, T: yes, N: , RAW: {value: $S, expand: false}, 12: n, E: {value: 5}}
job: {script: x}
`)
	want := []pipeline.Variable{
		{Name: "S", Value: "text"},
		{Name: "I", Value: "493"},
		{Name: "F", Value: "1.5"},
		{Name: "T", Value: "true"},
		{Name: "N"},
		{Name: "RAW", Value: "$S", Raw: true},
		{Name: "12", Value: "n"},
		{Name: "E", Value: "5"},
	}
	if diff := cmp.Diff(want, p.Variables); diff != "" {
		t.Error(diff)
	}
}

// What is given for a run beats what the files say; conditions see it so.
func TestPrecedenceInConditions(t *testing.T) {
	t.Parallel()
	scopes := []struct {
		name string
		put  func(*Input, pipeline.Variable)
	}{
		{"predefined", func(in *Input, v pipeline.Variable) { in.Predefined = append(in.Predefined, v) }},
		{"top", nil},
		{"job", nil},
		{"instance", func(in *Input, v pipeline.Variable) { in.Instance = append(in.Instance, v) }},
		{"group", func(in *Input, v pipeline.Variable) { in.Group = append(in.Group, v) }},
		{"project", func(in *Input, v pipeline.Variable) { in.Project = append(in.Project, v) }},
		{"pipeline", func(in *Input, v pipeline.Variable) { in.Pipeline = append(in.Pipeline, v) }},
	}
	for i := range scopes {
		text := "job: {script: x, rules: [{if: '$V == \"" + scopes[i].name + "\"'}]"
		if i >= 2 {
			text += ", variables: {V: job}"
		}
		text += "}\n"
		if i >= 1 {
			text += "variables: {V: top}\n"
		}
		res := compiledWith(t, text, func(in *Input) {
			for _, s := range scopes[:i+1] {
				if s.put != nil {
					s.put(in, pipeline.Variable{Name: "V", Value: s.name})
				}
			}
		})
		if res.Pipeline == nil {
			t.Errorf("with all up to %s: %s", scopes[i].name, res.Jobs[0].Rules[0].Clauses[0].Values)
		}
	}
}

func TestJobVariables(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
variables: {WHERE: eu}
"Deploy to: prod!":
  script: x
  when: manual
  parallel: 2
  environment: {name: Prod/$WHERE$UNSET, url: "https://$WHERE.example.com"}
plain: {script: x}
`)
	want := "CI_JOB_NAME=Deploy to: prod! 2/2 CI_JOB_URL=$CI_PROJECT_URL/-/jobs/$CI_JOB_ID CI_JOB_NAME_SLUG=deploy-to--prod--2-2 CI_JOB_GROUP_NAME=Deploy to: prod! " +
		"CI_JOB_STAGE=test CI_NODE_INDEX=2 CI_NODE_TOTAL=2 CI_JOB_MANUAL=true CI_ENVIRONMENT_NAME=Prod/eu " +
		"CI_ENVIRONMENT_SLUG=" + pipeline.EnvironmentSlug("Prod/eu") + " CI_ENVIRONMENT_ACTION=start CI_ENVIRONMENT_TIER=production " +
		"CI_ENVIRONMENT_URL=https://$WHERE.example.com"
	if diff := cmp.Diff(want, assignments(JobVariables(&p.Jobs[1]))); diff != "" {
		t.Error(diff)
	}
	want = "CI_JOB_NAME=plain CI_JOB_URL=$CI_PROJECT_URL/-/jobs/$CI_JOB_ID CI_JOB_NAME_SLUG=plain CI_JOB_GROUP_NAME=plain CI_JOB_STAGE=test CI_NODE_TOTAL=1"
	if diff := cmp.Diff(want, assignments(JobVariables(p.Job("plain")))); diff != "" {
		t.Error(diff)
	}
}

func TestPipelineVariables(t *testing.T) {
	t.Parallel()
	named := mustCompile(t, "workflow: {name: 'of $CI_COMMIT_BRANCH'}\na: {script: x}", onBranch("main")...)
	if got := assignments(PipelineVariables(named)); got != "CI_PIPELINE_NAME=of main" {
		t.Errorf("got %q", got)
	}
	for _, p := range []*pipeline.Pipeline{nil, mustCompile(t, "a: {script: x}")} {
		if got := PipelineVariables(p); got != nil {
			t.Errorf("%v without a name", got)
		}
	}
}

// The address of a job is whole once the job has a number.
func TestJobURL(t *testing.T) {
	t.Parallel()
	vars := append(Predefined(Facts{Remote: "https://example.com/g/p.git"}), JobVariables(&pipeline.Job{Name: "a"})...)
	vars, err := pipeline.ExpandAll(append(vars, pipeline.Variable{Name: "CI_JOB_ID", Value: "7", Raw: true}))
	if err != nil {
		t.Fatal(err)
	}
	vars = pipeline.ResolveAll(vars, func(string) string { return "" })
	if got, _ := pipeline.Lookup(vars)("CI_JOB_URL"); got != "https://example.com/g/p/-/jobs/7" {
		t.Errorf("CI_JOB_URL is %q", got)
	}
}

func TestPredefinedServer(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"https://example.com/g/p.git":          "example.com 443 https://example.com/g/p 1",
		"http://example.com/g/p":               "example.com 80 http://example.com/g/p 1",
		"https://me@example.com:8443/g/p.git":  "example.com 8443 https://example.com:8443/g/p 1",
		"http://[::1]:8080/g/p.git":            "[::1] 8080 http://[::1]:8080/g/p 1",
		"https://[2001:db8::2]/g/p.git":        "[2001:db8::2] 443 https://[2001:db8::2]/g/p 1",
		"ssh://git@example.com:2222/g/p.git":   "example.com 443 https://example.com/g/p 1",
		"ssh://git@[2001:db8::2]:2222/g/p.git": "[2001:db8::2] 443 https://[2001:db8::2]/g/p 1",
		"git@example.com:g/p.git":              "example.com 443 https://example.com/g/p 1",
		"git@[2001:db8::2]:g/p.git":            "[2001:db8::2] 443 https://[2001:db8::2]/g/p 1",
		"":                                     "localhost 443 https://localhost/local/here 1",
	} {
		get := pipeline.Lookup(Predefined(Facts{Remote: remote, Folder: "here"}))
		var got []string
		for _, name := range []string{"CI_SERVER_HOST", "CI_SERVER_PORT", "CI_PROJECT_URL", "CI_PROJECT_ID"} {
			value, _ := get(name)
			got = append(got, value)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", remote, got, want)
		}
	}
}

func TestCommitDescription(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("t", 100)
	for message, want := range map[string]string{
		"": "", "title": "", "title\n\nbody\n": "body\n", long: long,
	} {
		got, ok := pipeline.Lookup(Predefined(Facts{Message: message}))("CI_COMMIT_DESCRIPTION")
		if !ok || got != want {
			t.Errorf("%q: got %q, set %v, want %q", message, got, ok, want)
		}
	}
}

func TestGuessTier(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"production": "production", "review/x": "development", "Staging": "staging", "QA": "testing", "gprd": "production", "blue": "other",
	} {
		if got := guessTier(name); got != want {
			t.Errorf("guessTier(%s) = %s, want %s", name, got, want)
		}
	}
}

// Variables that name themselves and each other must not take forever.
func TestVariablesThatGrow(t *testing.T) {
	t.Parallel()
	text := "variables:\n  A0: x\n"
	for i := 1; i < 40; i++ {
		text += "  A" + strconv.Itoa(i) + ": $A" + strconv.Itoa(i-1) + "$A" + strconv.Itoa(i-1) + "\n"
	}
	text += "  SELF: $SELF\njob: {script: x, rules: [{changes: ['$A39$SELF']}]}"
	res := compiledWith(t, text, func(in *Input) { in.Changed = Changed{Known: true, Files: []string{"a"}} })
	if res.Findings.HasErrors() || res.Pipeline != nil {
		t.Errorf("findings %v, pipeline %v", res.Findings, res.Pipeline)
	}
}

// A variable that the run is given wins over the files', in circles too.
func TestGivenVariablesInCircles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, given, want string }{
		"one breaks it": {"a: {script: x, variables: {C: $D, D: $C}}", "x", ""},
		"one makes it":  {"a: {script: x, variables: {C: x, D: $C}}", "$D", circles("1:31", `job "a": variables`, "C → D → C")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := said(compiledWith(t, tt.text, func(in *Input) {
				in.Pipeline = []pipeline.Variable{{Name: "C", Value: tt.given}}
			}))
			if got != tt.want {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPredefined(t *testing.T) {
	t.Parallel()
	request := Facts{
		Remote: "git@example.com:g/p.git", DefaultBranch: "Main/One", Trigger: pipeline.TriggerMergeRequest, Message: "a",
		MergeRequest: &MergeRequest{IID: 7, SourceBranch: "topic", Title: "Draft: a"},
	}
	ready := request
	ready.MergeRequest = &MergeRequest{Title: "a draft: no"}
	request.MergeRequest.TargetBranch, request.MergeRequest.BaseSHA = "Main/One", "ba5e"
	const before, zeros = "0123456789012345678901234567890123456789", "0000000000000000000000000000000000000000"
	by := func(trigger pipeline.Trigger, change func(*Facts)) Facts {
		f := Facts{Branch: "main", BeforeSHA: before}
		change(&f)
		return f.As(trigger)
	}
	same := func(*Facts) {}
	beforeIs := func(sha string) map[string]string { return map[string]string{"CI_COMMIT_BEFORE_SHA": sha} }
	registry := func(name, image string) map[string]string {
		return map[string]string{"CI_REGISTRY": name, "CI_REGISTRY_IMAGE": image}
	}
	trigger := Facts{Trigger: pipeline.TriggerToken, Message: strings.Repeat("é", 60_000), Folder: "p"}
	for name, tt := range map[string]struct {
		facts Facts
		want  map[string]string // "-" for none
	}{
		"merge request": {request, map[string]string{
			"CI_DEFAULT_BRANCH_SLUG": "main-one", "CI_MERGE_REQUEST_DRAFT": "true", "CI_COMMIT_BRANCH": "-", "CI_COMMIT_REF_NAME": "topic",
			"CI_MERGE_REQUEST_PROJECT_URL": "https://example.com/g/p", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "g/p",
			"CI_COMMIT_MESSAGE_IS_TRUNCATED": "false", "CI_PIPELINE_TRIGGERED": "-",
			"CI_MERGE_REQUEST_DIFF_BASE_SHA": "ba5e", "CI_MERGE_REQUEST_DIFF_ID": "7", "CI_MERGE_REQUEST_PROJECT_ID": "1",
			"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "1", "CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED": "true",
			"CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "false", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
			"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "", "CI_OPEN_MERGE_REQUESTS": "g/p!7",
		}},
		"a push":           {by(pipeline.TriggerPush, same), beforeIs(before)},
		"a first push":     {by(pipeline.TriggerPush, func(f *Facts) { f.BeforeSHA = "" }), beforeIs(zeros)},
		"a tag":            {by(pipeline.TriggerPush, func(f *Facts) { f.Branch, f.Tag = "", "v1" }), beforeIs(zeros)},
		"a schedule":       {by(pipeline.TriggerSchedule, same), beforeIs(zeros)},
		"by hand":          {by(pipeline.TriggerWeb, same), beforeIs(zeros)},
		"by the API":       {by(pipeline.TriggerAPI, same), beforeIs(zeros)},
		"before a request": {by(pipeline.TriggerMergeRequest, same), beforeIs(zeros)},
		"gitlab.com":       {Facts{Remote: "git@gitlab.com:My-Group/App.git"}, registry("registry.gitlab.com", "registry.gitlab.com/my-group/app")},
		"another server":   {Facts{Remote: "https://example.com/g/p"}, registry("-", "-")},
		"no server":        {Facts{Folder: "p"}, registry("-", "-")},
		"its own registry": {Facts{Remote: "https://example.com/G/p", Registry: "r.example.com:5050"}, registry("r.example.com:5050", "r.example.com:5050/g/p")},
		"ready":            {ready, map[string]string{"CI_MERGE_REQUEST_DRAFT": "false"}},
		"trigger":          {trigger, map[string]string{"CI_PIPELINE_TRIGGERED": "true", "CI_COMMIT_MESSAGE_IS_TRUNCATED": "true", "CI_COMMIT_MESSAGE": strings.Repeat("é", 51_200), "CI_DEFAULT_BRANCH_SLUG": "-"}},
	} {
		get := pipeline.Lookup(Predefined(tt.facts))
		for variable, want := range tt.want {
			got, ok := get(variable)
			if !ok {
				got = "-"
			}
			if got != want {
				t.Errorf("%s: %s is %.40q, want %.40q", name, variable, got, want)
			}
		}
	}
}

func TestRulesSeeTheVariablesOfTheirEnvironment(t *testing.T) {
	t.Parallel()
	text := `
a: {stage: deploy, environment: test/$CI_JOB_STAGE/1, script: x, rules: [{if: $S == "of test/deploy/1"}]}
b: {stage: deploy, environment: test/$V/2, script: x, variables: {V: v, S: job}, rules: [{if: $S == "of test/v/2"}]}
c: {stage: deploy, script: x, rules: [{if: $S == "of all"}]}
d: {stage: deploy, environment: test/$S, script: x, rules: [{if: $S == "of test/of all"}]}
e: {stage: deploy, environment: 'test/$M', script: x, parallel: {matrix: [{M: [1, 2]}]}, rules: [{if: $S == "of test/2", when: manual}]}
f: {stage: deploy, environment: other, script: x, only: {variables: [$S == "of other"]}}
g: {stage: deploy, environment: other, script: x, rules: [{if: $S == "of all"}]}
h: {stage: deploy, environment: other, script: x, rules: [{if: $P == "run"}]}
`
	of := func(environment string) []pipeline.Variable {
		return []pipeline.Variable{{Name: "S", Value: "of " + environment, Raw: true}, {Name: "P", Value: "project"}}
	}
	res := compiledWith(t, text, func(in *Input) {
		in.Project = of("all")
		in.ProjectFor = of
		in.Pipeline = []pipeline.Variable{{Name: "P", Value: "run"}}
	})
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e: [2]", "f", "h"}, names(res.Pipeline)); diff != "" {
		t.Error(diff, res.Findings)
	}
}

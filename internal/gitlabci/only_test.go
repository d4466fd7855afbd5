package gitlabci

import (
	"slices"
	"testing"

	"refline/internal/pipeline"
)

func TestOnlyAndExcept(t *testing.T) {
	t.Parallel()
	main := onBranch("main")
	tag := []string{"CI_PIPELINE_SOURCE=push", "CI_COMMIT_TAG=v1.2", "CI_COMMIT_REF_NAME=v1.2"}
	request := []string{"CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=3", "CI_COMMIT_REF_NAME=topic"}
	source := func(s string) []string { return append([]string{"CI_PIPELINE_SOURCE=" + s}, main[1:]...) }
	tests := map[string]struct {
		job  string
		vars []string
		want bool
	}{
		"nothing, branch":                   {"", main, true},
		"nothing, tag":                      {"", tag, true},
		"nothing, merge request":            {"", request, false},
		"branches":                          {"only: [branches]", main, true},
		"branches, tag":                     {"only: [branches]", tag, false},
		"tags":                              {"only: [tags]", tag, true},
		"merge_requests":                    {"only: [merge_requests]", request, true},
		"merge_requests, branch":            {"only: [merge_requests]", main, false},
		"pushes":                            {"only: [pushes]", main, true},
		"push":                              {"only: [push]", main, true},
		"schedules":                         {"only: [schedules]", source("schedule"), true},
		"web":                               {"only: [web]", source("web"), true},
		"api":                               {"only: [api]", source("api"), true},
		"triggers":                          {"only: [triggers]", source("trigger"), true},
		"pipelines":                         {"only: [pipelines]", source("pipeline"), true},
		"external":                          {"only: [external]", source("external"), true},
		"a name":                            {"only: [main]", main, true},
		"another name":                      {"only: [master]", main, false},
		"a name is not for merge requests":  {"only: [topic]", request, false},
		"a regular expression":              {"only: ['/^ma.n$/']", main, true},
		"a regular expression without case": {"only: ['/^MAIN$/i']", main, true},
		"a regular expression on a tag":     {"only: ['/^v/']", tag, true},
		"of this project":                   {"only: ['main@group/project']", append(main, "CI_PROJECT_PATH=group/project"), true},
		"of another project":                {"only: ['branches@other/project']", append(main, "CI_PROJECT_PATH=group/project"), false},
		"except a name":                     {"except: [main]", main, false},
		"except another name":               {"except: [master]", main, true},
		"except tags":                       {"except: [tags]", tag, false},
		"except, merge request":             {"except: [master]", request, false},
		"only and except":                   {"only: [branches], except: [main]", main, false},
		"only of nothing":                   {"only: []", main, false},
		"refs and variables":                {"only: {refs: [main], variables: [$A, $B]}", append(main, "B=1"), true},
		"refs and other variables":          {"only: {refs: [main], variables: [$A]}", main, false},
		"variables have the default refs":   {"only: {variables: [$A]}", append(request, "A=1"), false},
		"changes":                           {"only: {changes: ['*.md']}", main, true},
		"other changes":                     {"only: {changes: ['*.go']}", main, false},
		"except changes":                    {"except: {changes: ['*.md']}", main, false},
		"except one of several":             {"except: {refs: [master], variables: [$A]}", append(main, "A=1"), false},
		"kubernetes":                        {"only: {kubernetes: active}", main, false},
		"except kubernetes":                 {"except: {kubernetes: active}", main, true},
		"empty":                             {"only: , except: ", main, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "job: {script: x, " + tt.job + "}"
			if tt.job == "" {
				text = "job: {script: x}"
			}
			res := compiledWith(t, text, func(in *Input) {
				for _, v := range slices.Clone(tt.vars) {
					in.Predefined = append(in.Predefined, variable(v))
				}
				in.Changed = Changed{Known: true, Files: []string{"a.md"}}
			})
			if res.Findings.HasErrors() {
				t.Fatal(res.Findings)
			}
			if got := res.Pipeline != nil; got != tt.want {
				t.Errorf("in the pipeline: %v, want %v (%s)", got, tt.want, res.Jobs[0].Only)
			}
		})
	}
}

func variable(assignment string) pipeline.Variable {
	for i := range len(assignment) {
		if assignment[i] == '=' {
			return pipeline.Variable{Name: assignment[:i], Value: assignment[i+1:]}
		}
	}
	return pipeline.Variable{Name: assignment}
}

// With workflow:rules, jobs without rules are for every kind of pipeline.
func TestWorkflowRulesTakeAwayTheDefaultOfOnly(t *testing.T) {
	t.Parallel()
	request := []string{"CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=3"}
	p := mustCompile(t, "workflow: {rules: [{when: always}]}\njob: {script: x}\nother: {script: x, only: [branches]}", request...)
	if got := names(p); len(got) != 1 || got[0] != "job" {
		t.Errorf("jobs = %v, want job only", got)
	}
}

func TestOnlyIsExplained(t *testing.T) {
	t.Parallel()
	request := []string{"CI_PIPELINE_SOURCE=merge_request_event", "CI_MERGE_REQUEST_IID=3"}
	for _, tt := range []struct {
		job  string
		vars []string
		want string
	}{
		{"", onBranch("main"), ""},
		{"", request, "only, by default: branches, tags (no)"},
		{
			", only: {refs: [main, tags], variables: [$A, $CI_COMMIT_BRANCH]}, except: {changes: [x]}", onBranch("main"),
			`only: main, tags (yes), variables $A: not set; $CI_COMMIT_BRANCH: "main" (yes) · except: changes x: there is no diff to compare with (yes)`,
		},
	} {
		if got := compiled(t, "job: {script: x"+tt.job+"}", tt.vars...).Jobs[0].Only; got != tt.want {
			t.Errorf("{%s}: %s, want %s", tt.job, got, tt.want)
		}
	}
}

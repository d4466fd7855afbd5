package gitlabci

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	res := compiledWith(t, `
default: {image: base}
.deploy:
  environment: prod
  rules:
    - if: $CI_COMMIT_BRANCH == "main" && $TOKEN
    - if: $CI_COMMIT_TAG
    - exists: ["*.tf"]
      when: manual
    - when: never
deploy: {extends: .deploy, script: x, environment: stage}
legacy: {script: x, only: [tags]}
`, func(in *Input) {
		for _, v := range onBranch("topic") {
			in.Predefined = append(in.Predefined, variable(v))
		}
		in.Project = []pipeline.Variable{{Name: "TOKEN", Value: "hush", Masked: true}}
		in.Loader = files{"main.tf": ""}
	})
	at := func(line, column int) diag.Place { return diag.Place{File: "ci.yml", Line: line, Column: column} }
	want := []Explanation{
		{
			Job: "deploy", In: true, Allowed: true, When: pipeline.WhenManual, Place: at(11, 1),
			Rules: []RuleTrace{
				{Place: at(6, 7), Reached: true, Clauses: []Clause{{
					Kind: "if", Text: `$CI_COMMIT_BRANCH == "main" && $TOKEN`, Values: `"topic" == "main" && [masked]`,
				}}},
				{Place: at(7, 7), Reached: true, Clauses: []Clause{{Kind: "if", Text: "$CI_COMMIT_TAG", Values: "not set"}}},
				{
					Place: at(8, 7), Reached: true, Matched: true, Result: "when: manual",
					Clauses: []Clause{{Kind: "exists", Text: "*.tf", Values: "main.tf matches *.tf", True: true}},
				},
				{Place: at(10, 7)},
			},
			Keys: []KeyOrigin{
				{Key: "environment", Place: at(11, 39), Before: []diag.Place{at(4, 16)}},
				{Key: "rules", Place: at(5, 3), Via: "extends .deploy"},
				{Key: "extends", Place: at(11, 10)},
				{Key: "script", Place: at(11, 28)},
				{Key: "image", Place: at(2, 11), Via: "default"},
			},
		},
		{
			Job: "legacy", When: pipeline.WhenNever, Place: at(12, 1), Only: "only: tags (no)",
			Keys: []KeyOrigin{
				{Key: "script", Place: at(12, 10)}, {Key: "only", Place: at(12, 21)}, {Key: "image", Place: at(2, 11), Via: "default"},
			},
		},
	}
	if diff := cmp.Diff(want, res.Jobs); diff != "" {
		t.Error(diff)
	}
}

// TestWhyNot: the one line names the rule and its place.
func TestWhyNot(t *testing.T) {
	t.Parallel()
	text := `
stages: [test]
no rule: {script: x, rules: [{if: $NOPE, changes: [a]}, {if: $CI_COMMIT_TAG}]}
many: {script: x, rules: [{if: $A}, {if: $B}, {if: $C}, {if: $D}, {if: $E}]}
never: {script: x, rules: [{if: $CI_COMMIT_BRANCH, when: never}, {when: always}]}
only: {script: x, only: [tags]}
in: {script: x}
split: {script: x, parallel: 2}
matrix: {script: x, parallel: {matrix: [{A: [b, c]}]}}
`
	why := map[string]string{
		"no rule": "none of its rules matched (ci.yml:3:30): if: $NOPE, changes: a; if: $CI_COMMIT_TAG",
		"many":    "none of its rules matched (ci.yml:4:27): if: $A; if: $B; if: $C; and 2 more",
		"never":   "its rule at ci.yml:5:28 matched: if: $CI_COMMIT_BRANCH → when: never",
		"only":    "only: tags (no) (ci.yml:6:1)",
		"in":      "", "split": "", "split 1/2": "", "matrix: [b]": "",
	}
	res := compiled(t, text, onBranch("main")...)
	for job, want := range why {
		x := res.Explain(job)
		if x == nil {
			t.Fatalf("%s is not explained", job)
		}
		if got := x.WhyNot(); got != want || x.In != (want == "") || x.Allowed != x.In {
			t.Errorf("%s: %q (in %v, allowed %v), want %q", job, got, x.In, x.Allowed, want)
		}
	}
	for _, job := range []string{"", "nope", "split 1", "ma"} {
		if x := res.Explain(job); x != nil {
			t.Errorf("%q is explained as %s", job, x.Job)
		}
	}
	if why := res.WhyNone(); why != "" {
		t.Errorf("why none: %q", why)
	}
}

// TestWhyNone: without a pipeline no job is in it, whatever its own rules say.
func TestWhyNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"workflow: {rules: [{if: $CI_COMMIT_TAG}]}\njob: {script: x}":               "no rule of workflow matched (ci.yml:1:20)",
		"workflow: {rules: [{if: $NO}, {when: never}]}\njob: {script: x}":           "a rule of workflow says never (ci.yml:1:31)",
		"workflow: {rules: [{when: always}]}\njob: {script: x, rules: [{if: $NO}]}": "rules exclude every job",
		"job: {script: x, stage: .pre}":                                             "all jobs are in the stages .pre and .post",
	} {
		res := compiled(t, text, onBranch("main")...)
		if got := res.WhyNone(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if x := res.Explain("job"); x == nil || x.In {
			t.Errorf("%s: the job is in no pipeline, explained as %+v", text, x)
		}
	}
}

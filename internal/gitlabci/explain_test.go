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
			Job: "deploy", In: true, When: pipeline.WhenManual, Place: at(11, 1),
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

package stack

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPatternsAreTheSameInThePipeline compares a pattern with the regular
// expression that the pipeline asks GitLab with.
func TestPatternsAreTheSameInThePipeline(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.OneOf(rapid.Just("**"), rapid.StringMatching(`[a.+(*?]{1,4}`))
		pattern := strings.Join(rapid.SliceOfN(step, 1, 4).Draw(t, "pattern"), "/")
		name := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[a.+(]{1,3}`), 1, 4).Draw(t, "name"), "/")
		for _, s := range strings.Split(pattern, "/") {
			if s != "**" && strings.Contains(s, "**") {
				t.Skip("two stars inside a step stand for one")
			}
		}
		rule := RefRule{Branch: pattern}
		if rule.valid() != nil {
			t.Skip("no pattern")
		}
		want := rule.matches(Ref{Name: name})
		re := regexp.MustCompile(strings.ReplaceAll(globExpression(pattern), `\/`, "/"))
		if got := re.MatchString(name); got != want {
			t.Fatalf("%q as %s matches %q: %t, want %t", pattern, re, name, got, want)
		}
	})
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]RefRule{
		`'$CI_COMMIT_BRANCH == "main"'`:              {Branch: "main"},
		`'$CI_COMMIT_BRANCH =~ /^feature\/[^\/]*$/'`: {Branch: "feature/*"},
		`'$CI_COMMIT_BRANCH =~ /^fix''s-\d+$/'`:      {Branch: `/^fix's-\d+$/`},
		`'$CI_COMMIT_TAG =~ /^v[^\/]*$/'`:            {Tag: "v*"},
	} {
		if got := r.condition(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

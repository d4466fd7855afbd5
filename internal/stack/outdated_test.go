package stack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/stack/planfile"
)

func TestDescriptionIsRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		origin Origin
		refs   string
		want   describedPlan
	}{
		"a branch":            {Origin{Ref: "develop", Commit: "3f9c2ab", Pipeline: "https://ci/7, 8"}, "develop", describedPlan{"develop", "3f9c2ab", false}},
		"a branch named tag":  {Origin{Ref: "tag", Commit: "3f9c2ab"}, "tag", describedPlan{"tag", "3f9c2ab", false}},
		"a tag":               {Origin{Ref: "v1", Tag: true, Commit: "3f9c2ab"}, "x", describedPlan{"tag v1", "3f9c2ab", false}},
		"with a comma":        {Origin{Ref: "a,b", Commit: "3f9c2ab"}, "x", describedPlan{"a,b", "3f9c2ab", false}},
		"a merge request":     {Origin{Ref: "topic", Request: true, Commit: "3f9c2ab"}, "topic", describedPlan{"topic", "3f9c2ab", true}},
		"planned only":        {Origin{Ref: "topic", Commit: "3f9c2ab"}, "{branch: topic, does: plan}", describedPlan{"topic", "3f9c2ab", true}},
		"no branch":           {Origin{Commit: "3f9c2ab"}, "x", describedPlan{"", "3f9c2ab", false}},
		"nothing known":       {Origin{}, "x", describedPlan{}},
		"in the name as well": {Origin{Ref: "in", Commit: "3f9c2ab"}, "x", describedPlan{"in", "3f9c2ab", false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, strings.Replace(fmt.Sprintf(oneStack, "", ""), "refs: [develop]", "refs: ["+tc.refs+"]", 1), nil)
			w.Origin = tc.origin
			text := w.describeOrigin(w.target("landing"))
			if got, ok := readDescription(text); !ok || got != tc.want {
				t.Errorf("%q is read as %+v, %t, want %+v", text, got, ok, tc.want)
			}
		})
	}
	if _, ok := readDescription("made by hand"); ok {
		t.Error("a change set of somebody else is taken for a plan")
	}
}

// TestLaterPlans: which plans take the place of one.
func TestLaterPlans(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		later    Origin
		made     func(ChangeSetInput, *ChangeSet)
		change   func(w *world)
		replaced bool
	}{
		"of the next commit":             {later: Origin{Ref: "develop", Commit: "9b1d0e4"}, replaced: true},
		"the same again":                 {later: Origin{Ref: "develop", Commit: "3f9c2ab"}},
		"the same, with another value":   {later: Origin{Ref: "develop", Commit: "3f9c2ab"}, change: func(w *world) { w.Config.Environments[0].Tags = []Value{{Key: "x", Text: "y"}} }, replaced: true},
		"the same, without changes":      {later: Origin{Ref: "develop", Commit: "3f9c2ab"}, made: fails("No updates are to be performed."), replaced: true},
		"that failed":                    {later: Origin{Ref: "develop", Commit: "9b1d0e4"}, made: fails("no such thing")},
		"of a merge request":             {later: Origin{Ref: "topic", Request: true, Commit: "9b1d0e4"}},
		"of another branch that deploys": {later: Origin{Ref: "other", Commit: "9b1d0e4"}, replaced: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := planned(t, "")
			w.Origin = tc.later
			if tc.made != nil {
				w.made = tc.made
			}
			if tc.change != nil {
				tc.change(w)
			}
			w.now = w.now.Add(1)
			if _, err := w.Plan(t.Context(), w.target("landing"), PlanOptions{}); err != nil && !strings.Contains(err.Error(), "no such thing") {
				t.Fatal(err)
			}
			w.Origin = p.Origin
			w.Origin, w.script = p.Origin, goodUpdate()
			_, err := w.Deploy(t.Context(), p, DeployOptions{})
			got := errs.Is(err, errs.Conflict) && strings.Contains(err.Error(), "a later plan of landing-dev replaced it")
			if got != tc.replaced {
				t.Errorf("replaced %t (%v), want %t", got, err, tc.replaced)
			}
		})
	}
}

func TestConfigurationDigest(t *testing.T) {
	t.Parallel()
	digest := func(text string) string {
		c := load(t, text)
		return c.digest(c.Target(c.Stacks[0], c.Environments[0]))
	}
	const base = `stacks: {a: {template: a.yml, tags: {x: y}}, b: {template: b.yml}}
environments: {dev: {account: "111111111111", region: eu-west-1, stacks: {a: {tags: {z: "1"}}}}, prod: {account: "222222222222", region: eu-west-1}}
`
	same := []string{
		"# a comment\n" + base,
		strings.Replace(base, "{account: \"111111111111\", region: eu-west-1,", "{region: eu-west-1, account: \"111111111111\",", 1),
		strings.Replace(base, "b.yml}", "b.yml, tags: {x: y}}", 1),
		strings.Replace(base, "222222222222", "333333333333", 1),
		strings.Replace(base, `a: {tags: {z: "1"}}`, `a: {tags: {z: "1"}}, b: {tags: {z: "2"}}`, 1),
	}
	other := []string{
		strings.Replace(base, "a.yml", "c.yml", 1),
		strings.Replace(base, "x: y", "x: z", 1),
		strings.Replace(base, "111111111111", "444444444444", 1),
		strings.Replace(base, `z: "1"`, `z: "2"`, 1),
		base + "rules: more.yml\n",
	}
	want := digest(base)
	for _, text := range append(slices.Clone(same), other...) {
		if text == base {
			t.Fatal("a case that changes nothing")
		}
		if got := digest(text) == want; got != slices.Contains(same, text) {
			t.Errorf("the same digest %t for\n%s", got, text)
		}
	}
	if !strings.HasPrefix(want, "sha256:") || len(want) != len(planfile.DigestOf(nil)) {
		t.Errorf("digest %q", want)
	}
}

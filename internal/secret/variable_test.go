package secret

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
)

// shown writes variables as NAME=value for tests.
func shown(variables []Variable) string {
	var out []string
	for _, v := range variables {
		out = append(out, v.Name+"="+v.Value.RevealString())
	}
	return strings.Join(out, " ")
}

// named makes variables whose value is their scope, "!" for protected ones.
func named(specs ...string) (out []Variable) {
	for _, s := range specs {
		name, scope, _ := strings.Cut(s, ":")
		bare, protected := strings.CutSuffix(scope, "!")
		out = append(out, Variable{Name: name, Value: NewString(scope), Environment: bare, Protected: protected})
	}
	return out
}

func TestSelect(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		variables []Variable
		job       Job
		want      string
	}{
		"all environments":            {named("A:*"), Job{Environment: "production"}, "A=*"},
		"no environment":              {named("A:*", "B:production", "C:review/*"), Job{}, "A=*"},
		"another environment":         {named("A:staging", "B:review/*"), Job{Environment: "production"}, ""},
		"exact before wildcard":       {named("A:review/app", "A:review/*", "A:*"), Job{Environment: "review/app"}, "A=review/app"},
		"wildcard before all":         {named("A:*", "A:review/*"), Job{Environment: "review/app"}, "A=review/*"},
		"order does not matter":       {named("A:review/*", "A:*"), Job{Environment: "review/app"}, "A=review/*"},
		"more characters first":       {named("A:re*", "A:review/a*", "A:*app"), Job{Environment: "review/app"}, "A=review/a*"},
		"a scope is not a prefix":     {named("A:review"), Job{Environment: "review/app"}, ""},
		"protected, protected ref":    {named("A:*!"), Job{ProtectedRef: true}, "A=*!"},
		"protected, other ref":        {named("A:*!", "B:*"), Job{}, "B=*"},
		"the unprotected one counts":  {named("A:*", "A:production!"), Job{Environment: "production"}, "A=*"},
		"the scope decides, then not": {named("A:*", "A:production!"), Job{Environment: "production", ProtectedRef: true}, "A=production!"},
		"by name":                     {named("C:*", "A:*", "B:*"), Job{}, "A=* B=* C=*"},
		"% and _ are themselves": {named("A:re_iew/*", "B:rev%", "C:review.app"), Job{Environment: "review/app"},
			""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, shown(Select(tt.variables, tt.job))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestProtectedRefs(t *testing.T) {
	t.Parallel()
	p := ProtectedRefs{Branches: []string{"main", "release/*", "*-stable"}, Tags: []string{"v*"}}
	for name, want := range map[string]bool{"main": true, "Main": false, "main2": false, "release/1.0": true, "release": false,
		"1-0-stable": true, "stable": false, "v1": false, "": false} {
		if got := p.Branch(name); got != want {
			t.Errorf("branch %q protected: %v, want %v", name, got, want)
		}
	}
	if !p.Tag("v1.0") || p.Tag("main") || (ProtectedRefs{}).Branch("main") {
		t.Error("tags are not distinguished from branches, or nothing protects something")
	}
}

// The reference backtracks; it is slow and plainly right.
func TestWildcardsAgainstReference(t *testing.T) {
	t.Parallel()
	var reference func(pattern, name string) bool
	reference = func(pattern, name string) bool {
		switch {
		case pattern == "":
			return name == ""
		case pattern[0] == '*':
			return reference(pattern[1:], name) || name != "" && reference(pattern, name[1:])
		}
		return name != "" && name[0] == pattern[0] && reference(pattern[1:], name[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab]{0,10}`).Draw(t, "name")
		if got, want := matchesWildcard(pattern, name), reference(pattern, name); got != want {
			t.Fatalf("matchesWildcard(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		v    Variable
		want string
	}{
		"good":            {Variable{Name: "A_b9", Environment: "review/${X}-*.a b"}, ""},
		"no name":         {Variable{Environment: "*"}, "a name has letters"},
		"dash in a name":  {Variable{Name: "A-B", Environment: "*"}, "a name has letters"},
		"long name":       {Variable{Name: strings.Repeat("A", 256), Environment: "*"}, "a name has letters"},
		"no scope":        {Variable{Name: "A"}, "invalid environment scope"},
		"scope with !":    {Variable{Name: "A", Environment: "!prod"}, "invalid environment scope"},
		"binary value":    {Variable{Name: "A", Environment: "*", Value: NewString(content + "\xff")}, "its value is not text"},
		"NUL in a value":  {Variable{Name: "A", Environment: "*", Value: NewString(content + "\x00")}, "its value is not text"},
		"line in a scope": {Variable{Name: "A", Environment: "a\nb"}, "invalid environment scope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.v.Check()
			if tt.want == "" && err != nil || tt.want != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), content) {
				t.Error("the error shows a value")
			}
		})
	}
}

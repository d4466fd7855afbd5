package secret

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grantRule is a row of the table below; "" in a column is any value.
type grantRule struct {
	event, fork, level, ref string
	gets                    string // nothing, unprotected, all
}

// grantTable says who gets which secrets. Each combination matches exactly one row.
func grantTable() []grantRule {
	rules := []grantRule{
		{event: "chat", gets: "nothing"},
		{event: "external_pull_request_event", gets: "nothing"},
		{event: "", gets: "nothing"},
	}
	for _, event := range []string{"push", "merge_request_event", "schedule", "web", "api", "trigger", "pipeline", "parent_pipeline"} {
		rules = append(rules,
			grantRule{event, "fork", "", "", "nothing"},
			grantRule{event, "own", "none", "", "nothing"},
			grantRule{event, "own", "run", "", "unprotected"},
			grantRule{event, "own", "protected", "unprotected", "unprotected"},
			grantRule{event, "own", "protected", "protected", "all"},
		)
	}
	return rules
}

func (g grantRule) matches(event, fork, level, ref string) bool {
	return g.event == event && (g.fork == "" || g.fork == fork) && (g.level == "" || g.level == level) && (g.ref == "" || g.ref == ref)
}

// Invariant: secrets go out by the rule, in all combinations of event, origin,
// trust, ref, environment and flags.
func TestGrant(t *testing.T) {
	t.Parallel()
	levels := map[string]Level{"none": LevelNone, "run": LevelRun, "protected": LevelProtected}
	events := map[string]bool{}
	for _, g := range grantTable() {
		events[g.event] = true
	}
	combinations := 0
	for event := range events {
		for _, fork := range []string{"fork", "own"} {
			for level := range levels {
				for _, ref := range []string{"protected", "unprotected"} {
					var rows []grantRule
					for _, g := range grantTable() {
						if g.matches(event, fork, level, ref) {
							rows = append(rows, g)
						}
					}
					if len(rows) != 1 {
						t.Fatalf("%s %s %s %s: %d rows of the table match", event, fork, level, ref, len(rows))
					}
					for _, environment := range []string{"", "production", "review/a"} {
						for _, protected := range []bool{false, true} {
							for _, scope := range []string{"*", "production", "review/*"} {
								combinations++
								r := Request{Event: event, Fork: fork == "fork", Level: levels[level], ProtectedRef: ref == "protected", Environment: environment}
								fits := scope == "*" || scope == environment || scope == "review/*" && environment == "review/a"
								want := fits && (rows[0].gets == "all" || rows[0].gets == "unprotected" && !protected)
								checkGrant(t, r, protected, scope, want)
							}
						}
					}
				}
			}
		}
	}
	if want := 11 * 2 * 3 * 2 * 3 * 2 * 3; combinations != want {
		t.Errorf("%d combinations, want %d", combinations, want)
	}
}

func checkGrant(t *testing.T, r Request, protected bool, scope string, want bool) {
	t.Helper()
	what := fmt.Sprintf("%+v, protected %v, scope %s", r, protected, scope)
	v := Variable{Name: "A", Value: NewString(content), Protected: protected, Environment: scope}
	if _, own := r.Variables(nil, []Variable{v}); (len(own) == 1) != want {
		got := !want
		t.Errorf("%s: variable of the project granted %v, want %v", what, got, want)
	}
	if all, _ := r.Variables([]Variable{v}, nil); (len(all) == 1) != want {
		got := !want
		t.Errorf("%s: variable of the server granted %v, want %v", what, got, want)
	}
	if got := r.Allows(protected, scope); got != want {
		t.Errorf("%s: key granted %v, want %v", what, got, want)
	}
	if want && !r.Any() {
		t.Errorf("%s: granted, but Any says no", what)
	}
}

func TestGrantPrefersTheProject(t *testing.T) {
	t.Parallel()
	r := Request{Event: "push", Level: LevelProtected, ProtectedRef: true, Environment: "production"}
	server, project := named("A:production", "B:*", "C:*!"), named("A:*", "D:*")
	fromServer, fromProject := r.Variables(server, project)
	if diff := cmp.Diff("A=* D=* | B=* C=*!", shown(fromProject)+" | "+shown(fromServer)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// On another ref the server's stands in for the project's that is withheld.
	r.ProtectedRef = false
	fromServer, fromProject = r.Variables(named("A:*", "B:*!"), named("A:*!", "B:*!"))
	if diff := cmp.Diff(" | A=*", shown(fromProject)+" | "+shown(fromServer)); diff != "" {
		t.Errorf("on another ref (-want +got)\n%s", diff)
	}
}

func TestProtects(t *testing.T) {
	t.Parallel()
	p := ProtectedRefs{Branches: []string{"main", "release/*"}, Tags: []string{"v*"}}
	for ref, want := range map[Ref]bool{
		{Branch: "main"}:                      true,
		{Branch: "feature"}:                   false,
		{Tag: "v1"}:                           true,
		{Tag: "main"}:                         false,
		{Branch: "v1"}:                        false,
		{}:                                    false,
		{Branch: "feature", Target: "main"}:   false,
		{Branch: "main", Target: "feature"}:   false,
		{Branch: "release/1", Target: "main"}: true,
		{Branch: "main", Tag: "v1"}:           false, // there is no such run
		{Target: "main"}:                      false,
	} {
		if got := p.Protects(ref); got != want {
			t.Errorf("%+v protected: %v, want %v", ref, got, want)
		}
	}
	all := ProtectedRefs{Branches: []string{"*"}, Tags: []string{"*"}}
	if all.Protects(Ref{}) || all.Protects(Ref{Target: "main"}) {
		t.Error("* protects what has no branch")
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	list := named("A:*", "B:production!")
	for trust, want := range map[Trust]string{
		{}:                                  "",
		{Level: LevelRun}:                   "A=*",
		{Level: LevelProtected}:             "A=* B=production!",
		{Level: LevelProtected, Fork: true}: "",
	} {
		if got := shown(trust.Visible(list)); got != want {
			t.Errorf("%+v: %s, want %s", trust, got, want)
		}
	}
	if got := shown(list); got != "A=* B=production!" {
		t.Errorf("the list was changed: %s", got)
	}
}

package web

import "testing"

// Expressions of the API become patterns that mean the same, or none.
func TestBrowserPattern(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"":            "",
		`^a+$`:        `[^]*?(?:(?:^(?:\u{61})+$))[^]*`,
		`[a-z-]|\d?`:  `[^]*?(?:(?:[\u{2d}-\u{2d}\u{61}-\u{7a}]|(?:[\u{30}-\u{39}])?))[^]*`,
		`(?i)a`:       "",
		`(?P<x>"<&)`:  `[^]*?(?:(?:\u{22}\u{3c}\u{26}))[^]*`,
		`(?=python)x`: "",
		`(?m)^x`:      "",
		`\Aab??\z`:    `[^]*?(?:(?:^\u{61}(?:\u{62})??$))[^]*`,
	} {
		if got := browserPattern(expression); got != want {
			t.Errorf("%q becomes %q, want %q", expression, got, want)
		}
	}
}

func TestFieldIDsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, name := range []string{"a b", "a-b", "a-20b", "A b", "ä", `"><x`, "a_b", "a.b"} {
		id := fieldID(name)
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q share the id %s", name, other, id)
		}
		seen[id] = name
	}
}

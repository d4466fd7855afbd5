package lint

import "strings"

// Replacement says whether a change of a property replaces the resource.
type Replacement string

// The replacements. The zero value means that it does not, or that the type is
// not known.
const (
	ReplacementMaybe  Replacement = "maybe"
	ReplacementAlways Replacement = "always"
)

// Replaces says, by the schema of a resource type, whether a change of the
// property at a path (Tags/0/Value) replaces the resource: always if the
// property can only be set at creation, maybe if a part of it is such a one or
// the schema has a condition for it.
func Replaces(typeName string, path []string) (Replacement, error) {
	book, err := openRulebook()
	if err != nil {
		return "", err
	}
	t := book.typeNamed(typeName)
	if t == nil {
		return "", nil
	}
	worst := Replacement("")
	for _, p := range stringsOf(t.raw["createOnlyProperties"]) {
		only := strings.Split(strings.TrimPrefix(p, "/properties/"), "/")
		switch {
		case leads(only, path):
			return ReplacementAlways, nil
		case leads(path, only):
			worst = ReplacementMaybe
		}
	}
	for _, p := range stringsOf(t.raw["conditionalCreateOnlyProperties"]) {
		only := strings.Split(strings.TrimPrefix(p, "/properties/"), "/")
		if leads(only, path) || leads(path, only) {
			worst = ReplacementMaybe
		}
	}
	return worst, nil
}

// leads reports whether path a is path b or leads to it. An index is any item.
func leads(a, b []string) bool {
	a, b = withoutItems(a), withoutItems(b)
	if len(a) > len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// withoutItems is a path without indexes, stars and the word items: schemas
// write lists in each of these ways.
func withoutItems(path []string) []string {
	out := make([]string, 0, len(path))
	for _, s := range path {
		if s != "*" && s != "items" && s != "properties" && strings.Trim(s, "0123456789") != "" {
			out = append(out, s)
		}
	}
	return out
}

package stack

import (
	_ "embed"
	"html/template"
	"sync"
)

//go:embed plan.html
var planPage string

var planTemplate = sync.OnceValues(func() (*template.Template, error) {
	return template.New("plan").Funcs(template.FuncMap{
		"shown": func(v *string, unknown bool) string { return shown(v, unknown) },
		"full": func(v *string) string {
			if v == nil {
				return ""
			}
			return visible(*v)
		},
		"short":   Short,
		"effects": effects,
		"short12": func(s string) string { return s[:min(len(s), 12)] },
	}).Parse(planPage)
})

// Label is an effect in words.
func (e Effect) Label() string {
	switch e {
	case Removed:
		return "removed"
	case Replaced:
		return "replaced"
	case Maybe:
		return "maybe replaced"
	case Imported:
		return "imported"
	case Added:
		return "added"
	default:
		return "changed in place"
	}
}

// Sentence is what becomes of the resource and of what it holds.
func (c Change) Sentence() string { return c.sentence() }

// Why says what causes the change and whether it replaces the resource.
func (p PropertyChange) Why() string { return p.why() }

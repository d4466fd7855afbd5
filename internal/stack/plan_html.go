package stack

import (
	_ "embed"
	"html/template"
	"sync"

	"refline/internal/stack/planfile"
)

//go:embed plan.html
var planPage string

var planTemplate = sync.OnceValues(func() (*template.Template, error) {
	return template.New("plan").Funcs(template.FuncMap{
		"shown": planfile.Shown,
		"full": func(v *string) string {
			if v == nil {
				return ""
			}
			return planfile.PlainLines(*v)
		},
		"lines":   planfile.PlainLines,
		"short":   planfile.Short,
		"effects": planfile.Effects,
		"short12": func(s string) string { return s[:min(len(s), 12)] },
	}).Parse(planPage)
})

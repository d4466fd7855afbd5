package web

import (
	"fmt"
	"html/template"
	"io/fs"
	"strings"
	"sync"
)

// templates are parsed when they are first used, each page with the layout and parts.
var templates = sync.OnceValue(func() *templateSet { return &templateSet{byName: map[string]*template.Template{}} })

type templateSet struct {
	sync.Mutex
	shared *template.Template
	byName map[string]*template.Template
}

// templateOf returns a page's templates. A name that is not there is a bug.
func templateOf(name string) *template.Template {
	set := templates()
	set.Lock()
	defer set.Unlock()
	if t := set.byName[name]; t != nil {
		return t
	}
	if set.shared == nil {
		set.shared = template.Must(template.New("").Funcs(functions()).Parse(source("layout") + source("parts") + source("form") + source("run_form")))
	}
	t := template.Must(template.Must(set.shared.Clone()).Parse(source(name)))
	set.byName[name] = t
	return t
}

// source is a template without the space that indents it.
func source(name string) string {
	text, err := fs.ReadFile(files, "templates/"+name+".html")
	if err != nil {
		panic(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString(strings.TrimLeft(line, " \t"))
	}
	return out.String()
}

// functions are what templates call beside the methods of their values.
func functions() template.FuncMap {
	return template.FuncMap{
		"mark": mark, "sign": sign, "lookName": lookName,
		"number": func(n any) string {
			switch n := n.(type) {
			case int64:
				return number(n)
			case int:
				return number(n)
			}
			return ""
		},
		"short": shortCommit,
		"command": func(words ...any) string {
			var list []string
			for _, w := range words {
				list = append(list, fmt.Sprint(w))
			}
			return command(list...)
		},
		"duration": duration,
		"runPath":  runPath, "comparePath": comparePath, "jobPath": jobPath, "projectPath": projectPath, "flowPath": flowPath, "environmentPath": environmentPath,
		"add": func(a, b int) int { return a + b },
		// pair gives a part two values.
		"pair": func(a, b any) []any { return []any{a, b} },
	}
}

// shortCommit is what people call a commit by.
func shortCommit(sha string) string { return sha[:min(len(sha), 7)] }

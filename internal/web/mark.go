package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"sync"

	"refline/internal/graphview"
	"refline/internal/pipeline"
)

// lookOf is the look of a status: its own, or "warned" for what failed and may.
func lookOf(status pipeline.Status, allowed bool) string {
	if status == pipeline.StatusFailed && allowed {
		return "warned"
	}
	if status == "" {
		return string(pipeline.StatusCreated)
	}
	return string(status)
}

// lookName is a look in words.
func lookName(look string) string {
	switch look {
	case "success":
		return "passed"
	case "warned":
		return "failed, allowed"
	case "pending", "preparing":
		return "queued"
	case "waiting_for_resource":
		return "waits for a slot"
	case "manual":
		return "waits for a person"
	case "created":
		return "not started"
	case "scheduled":
		return "starts later"
	}
	return strings.ReplaceAll(look, "_", " ")
}

// mark shows a look: its symbol, with its name for who does not see it.
func mark(look string) template.HTML {
	if !isLook(look) {
		look = "created"
	}
	return template.HTML(fmt.Sprintf(`<svg class="mark %s" role="img" aria-label="%s"><title>%s</title><use href="#m-%s"/></svg>`,
		look, lookName(look), lookName(look), look))
}

// sign is [mark] beside a text that says the same.
func sign(look string) template.HTML {
	if !isLook(look) {
		look = "created"
	}
	return template.HTML(fmt.Sprintf(`<svg class="mark %s" aria-hidden="true"><use href="#m-%s"/></svg>`, look, look))
}

func isLook(look string) bool {
	for _, known := range graphview.Looks() {
		if known == look {
			return true
		}
	}
	return false
}

// symbols are the marks for use by all of a page.
var symbols = sync.OnceValue(func() template.HTML {
	var out strings.Builder
	for _, look := range graphview.Looks() {
		fmt.Fprintf(&out, `<symbol id="m-%s" viewBox="0 0 16 16">%s</symbol>`, look, graphview.Mark(look))
	}
	return template.HTML(out.String())
})

// icon is the mark in the browser's tab. It has no style sheet: colours are part of it.
func icon(look string) template.URL {
	shape, colour := `<g fill="none" stroke="#5b82e0" stroke-width="2"><path d="M0 8h4m8 0h4"/><circle cx="8" cy="8" r="3.6"/></g>`, "#5b82e0"
	if isLook(look) {
		switch look {
		case "success":
			colour = "#1a9480"
		case "failed":
			colour = "#d3261f"
		case "warned":
			colour = "#be7100"
		case "skipped", "canceled", "created":
			colour = "#808790"
		}
		shape = strings.NewReplacer(
			`class="full"`, `fill="`+colour+`"`,
			`class="cut"`, `fill="none" stroke="#fff" stroke-width="2" stroke-linecap="round"`,
			`class="ring"`, `fill="none" stroke="`+colour+`" stroke-width="1.7"`,
			`class="line"`, `fill="none" stroke="`+colour+`" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"`,
		).Replace(graphview.Mark(look))
	}
	image := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">` + shape + `</svg>`
	return template.URL("data:image/svg+xml," + strings.ReplaceAll(url.QueryEscape(image), "+", "%20"))
}

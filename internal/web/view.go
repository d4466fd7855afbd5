package web

import (
	"bytes"
	"compress/gzip"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"refline/internal/api"
)

// View is what a page shows.
type View struct {
	Template string // templates/NAME.html
	Title    string // begins with the state: "failed: daily_sales #1042"
	Look     string // of the mark in the browser's tab; "" for the brand
	Section  string // path of the entry of the bar
	Command  string // that does the same
	Class    string // of main
	Data     any

	// Live names the events that the page depends on: "run=1042", or "all" for every
	// run; "" for a page that does not change by itself. Fragments are the templates
	// that are fetched again then.
	Live      string
	Fragments []string

	// Problem is what went wrong with a change that was asked for on this page.
	Problem *api.Problem

	// What follows is filled in when the view is rendered.

	Base     string
	Caller   api.Caller
	Waiting  int // that wait for the caller
	Sections []section
	View     preferences
	Here     string // path and query of the page
	Zone     string // name of the zone of all times
	Now      int64  // milliseconds
	Stuff    stuff
}

// section is an entry of the bar.
type section struct {
	Path, Name string
	Current    bool
}

func sections(current string) []section {
	list := []section{{Path: "/", Name: "Overview"}, {Path: "/runs", Name: "Runs"}, {Path: "/flows", Name: "Flows"},
		{Path: "/environments", Name: "Environments"}, {Path: "/projects", Name: "Projects"}, {Path: "/runners", Name: "Runners"}, {Path: "/settings", Name: "Settings"}}
	for i := range list {
		list[i].Current = list[i].Path == current
	}
	return list
}

// stuff are the addresses of the files that pages use.
type stuff struct {
	CSS, JS string
	Icon    template.URL
	Symbols template.HTML
}

// fragmentHeader names the fragments that the script wants instead of a page.
const fragmentHeader = "Refline-Fragments"

// render writes a page, or the fragments of it that are asked for.
func (c *request) render(status int, v *View) {
	v.complete(c)
	var out bytes.Buffer
	var err error
	t := templateOf(v.Template)
	h := c.w.Header()
	if wanted := c.Header.Get(fragmentHeader); wanted != "" {
		for name := range strings.FieldsSeq(wanted) {
			if err == nil && slices.Contains(v.Fragments, name) {
				err = t.ExecuteTemplate(&out, name, v)
			}
		}
		h.Set("Vary", fragmentHeader)
	} else {
		err = t.ExecuteTemplate(&out, "layout", v)
	}
	if err != nil {
		c.fail(err)
		return
	}
	h.Set("Cache-Control", "no-store") // Back shows what is, not what was
	c.site.write(c.w, c.Request, status, out.Bytes())
}

// write sends HTML.
func (s *Site) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Add("Vary", "Accept-Encoding, Cookie")
	if takesGzip(r) && len(body) > 1<<10 {
		h.Set("Content-Encoding", "gzip")
		body = zipped(body, gzip.BestSpeed+2)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the browser may be gone
	}
}

// complete fills in what every page has.
func (v *View) complete(c *request) {
	v.Base, v.View, v.Now = c.Base, c.wishes, c.now.UnixMilli()
	v.Zone = c.wishes.location.String()
	v.Here = c.URL.RequestURI()
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		v.Here = LocalPath(c.Base + "/") // a page that is shown after a failed change
	}
	v.Sections = sections(v.Section)
	v.Stuff = stuff{CSS: c.Base + "/assets/" + assets()["css"].name, JS: c.Base + "/assets/" + assets()["js"].name, Icon: icon(v.Look), Symbols: symbols()}
	if c.problem != nil && !c.placed {
		v.Problem = problemOf(c.problem)
	}
	if c.Header.Get(fragmentHeader) == "" && v.Caller.Kind == "" {
		c.greet(v)
	}
}

// greet looks up who the caller is and what waits for it. A page is shown without
// that too.
func (c *request) greet(v *View) {
	if who, err := c.caller(); err == nil {
		v.Caller = who
		if n, err := c.API.CountWaiting(c.ctx()); err == nil {
			v.Waiting = n
		}
	}
}

// URL is the address of a path of this site.
func (v *View) URL(path string) string { return v.Base + path }

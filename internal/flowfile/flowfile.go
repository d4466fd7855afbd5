// Package flowfile reads files that describe many flows: their code, schedules,
// runtimes and limits.
//
// It reports every mistake at its place. It does not know whether a ref, a file or a
// runtime exists.
package flowfile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
)

// File is a file of flows.
type File struct {
	Repository string // "" if it names none
	Project    string
	Flows      []Flow
}

// Flow is one entry. Zero values are those of a flow that is registered without the
// flag.
type Flow struct {
	diag.Place
	Name                string
	Path                string
	Branch, Tag, Commit string
	FollowTag           bool
	Runtime             string
	Inputs              map[string]any
	Concurrency         int
	WhenBusy            string
	Slots               []string
	Priority            int
	Schedules           *[]Schedule // nil: those that the flow has stay
}

// Schedule is when a flow runs by itself.
type Schedule struct {
	Cron     string
	Every    time.Duration
	Timezone string
	CatchUp  string
	Inputs   map[string]any
}

// maxFlows bounds the flows of a file.
const maxFlows = 1000

// Parse reads a file. The error is a [diag.Failure] with all that is wrong. span reads
// an interval such as 15m or 1d.
func Parse(name string, text []byte, span func(string) (time.Duration, error)) (File, error) {
	r := &reader{name: name, span: span}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		r.findings = append(r.findings, diag.Finding{Place: diag.Place{File: name}, Level: diag.Error, Message: strings.TrimPrefix(err.Error(), "yaml: ")})
		return File{}, r.findings.Err()
	}
	var f File
	if len(doc.Content) == 0 {
		r.fail(&yaml.Node{Line: 1, Column: 1}, "the file is empty; it has flows: and below it a name for each")
	} else {
		r.file(doc.Content[0], &f)
	}
	return f, r.findings.Err()
}

type reader struct {
	name     string
	span     func(string) (time.Duration, error)
	findings diag.List
}

func (r *reader) place(n *yaml.Node) diag.Place {
	return diag.Place{File: r.name, Line: n.Line, Column: n.Column}
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.findings = append(r.findings, diag.Finding{Place: r.place(n), Level: diag.Error, Message: fmt.Sprintf(format, args...)})
}

// fields reads a mapping by a reader for each key.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is a mapping of %s", what, keys(known))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read := known[key.Value]
		switch {
		case seen[key.Value]:
			r.fail(key, "%q is given twice in %s", key.Value, what)
		case read == nil:
			hint := ""
			if near := diag.Nearest(key.Value, sortedKeys(known)); near != "" {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			r.fail(key, "%q is not a key of %s%s; the keys are %s", key.Value, what, hint, keys(known))
		default:
			read(value)
		}
		seen[key.Value] = true
	}
}

func sortedKeys(known map[string]func(*yaml.Node)) []string {
	var list []string
	for k := range known {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func keys(known map[string]func(*yaml.Node)) string { return strings.Join(sortedKeys(known), ", ") }

func (r *reader) file(n *yaml.Node, f *File) {
	r.fields(n, "a file of flows", map[string]func(*yaml.Node){
		"repository": r.text(&f.Repository),
		"project":    r.text(&f.Project),
		"flows":      func(n *yaml.Node) { r.flows(n, f) },
	})
	if len(f.Flows) == 0 && len(r.findings) == 0 {
		r.fail(n, "the file has no flows; below flows: is a name for each")
	}
}

func (r *reader) flows(n *yaml.Node, f *File) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "flows is a mapping: a name for each flow, and below it path, branch, schedules …")
		return
	}
	if len(n.Content)/2 > maxFlows {
		r.fail(n, "a file has at most %d flows", maxFlows)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		flow := Flow{Place: r.place(n.Content[i]), Name: n.Content[i].Value}
		if seen[flow.Name] {
			r.fail(n.Content[i], "flow %q is given twice", flow.Name)
			continue
		}
		seen[flow.Name] = true
		r.flow(n.Content[i], n.Content[i+1], &flow)
		f.Flows = append(f.Flows, flow)
	}
}

func (r *reader) flow(key, n *yaml.Node, f *Flow) {
	r.fields(n, "a flow", map[string]func(*yaml.Node){
		"path": r.text(&f.Path), "branch": r.text(&f.Branch), "tag": r.text(&f.Tag), "commit": r.text(&f.Commit), "follow-tag": r.value(&f.FollowTag, "true or false"),
		"runtime": r.text(&f.Runtime), "inputs": r.value(&f.Inputs, "a mapping of names and values"), "concurrency": r.value(&f.Concurrency, "a number"),
		"when-busy": r.text(&f.WhenBusy), "slots": r.value(&f.Slots, "a list of names"), "priority": r.value(&f.Priority, "a number"),
		"schedules": func(n *yaml.Node) { r.schedules(n, f) },
	})
	refs := 0
	for _, ref := range []string{f.Branch, f.Tag, f.Commit} {
		if ref != "" {
			refs++
		}
	}
	switch {
	case refs > 1:
		r.fail(key, "flow %s has more than one of branch, tag and commit", f.Name)
	case f.FollowTag && f.Tag == "":
		r.fail(key, "flow %s has follow-tag and no tag", f.Name)
	}
}

func (r *reader) schedules(n *yaml.Node, f *Flow) {
	list := []Schedule{}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "schedules is a list; each has cron or every")
		return
	}
	for _, item := range n.Content {
		var s Schedule
		r.fields(item, "a schedule", map[string]func(*yaml.Node){
			"cron": r.text(&s.Cron), "timezone": r.text(&s.Timezone), "catch-up": r.text(&s.CatchUp), "inputs": r.value(&s.Inputs, "a mapping of names and values"),
			"every": func(n *yaml.Node) {
				var err error
				if s.Every, err = r.span(n.Value); err != nil {
					r.fail(n, "every %q: %v", n.Value, err)
				}
			},
		})
		if s.Cron == "" && s.Every == 0 && item.Kind == yaml.MappingNode && len(r.findings) == 0 {
			r.fail(item, "a schedule has cron or every")
		}
		list = append(list, s)
	}
	f.Schedules = &list
}

// text reads a word that is not empty.
func (r *reader) text(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value == "" || n.Tag == "!!null" {
			r.fail(n, "want a text that is not empty")
			return
		}
		*to = n.Value
	}
}

// value reads a value of another kind.
func (r *reader) value(to any, want string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if err := n.Decode(to); err != nil {
			r.fail(n, "want %s", want)
		}
	}
}

package notify

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"refline/internal/errs"
)

// Bounds of templates. What a template can do is bounded too: it ranges over the
// jobs only, calls comparisons only, and defines nothing, so it always ends soon.
const (
	maxTemplate = 8 << 10
	maxText     = 16 << 10
	maxNesting  = 2
)

// Data is what a template sees.
type Data struct {
	Event        Event
	Subject      string // one line that says what happened
	Project      string
	Flow         string // "" for the project's pipeline
	Number       int64
	Status       string
	Ref          string // short, or "merge request 7"
	Commit       string
	ShortCommit  string
	Title        string // of the commit
	Actor        string
	Source       string
	URL          string
	Duration     string // "" if it has not ended
	MergeRequest int64
	Failed       []Job
	Waiting      []Job
}

// defaultTemplate is for mail and webhooks, slackTemplate for chats.
const (
	defaultTemplate = `{{.Subject}}

{{if .Title}}{{.Title}}
{{end}}commit {{.ShortCommit}}{{if .Actor}} by {{.Actor}}{{end}}{{if .Duration}}, took {{.Duration}}{{end}}
{{range .Failed}}
failed: {{.Name}}{{if .Reason}} ({{.Reason}}){{end}}{{end}}{{range .Waiting}}
waits: {{.Name}}{{end}}

{{.URL}}
`
	slackTemplate = `<{{.URL}}|{{.Subject}}>{{if .Title}}
{{.Title}}{{end}}{{range .Failed}}
• {{.Name}}{{if .Reason}} ({{.Reason}}){{end}}{{end}}{{range .Waiting}}
• {{.Name}}{{end}}`
)

// CheckTemplate returns an error of kind Invalid, with the line, unless a template
// can be used. "" is the default one.
func CheckTemplate(text string) error {
	if text == "" {
		return nil
	}
	t, err := parseTemplate(text)
	if err != nil {
		return err
	}
	sample := sampleRun()
	if err := t.Execute(io.Discard, dataOf(payload{Event: EventFailure, Run: sample}, func(s string) string { return s })); err != nil {
		return errs.E(errs.Invalid, "the template does not fit: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	return nil
}

func parseTemplate(text string) (*template.Template, error) {
	if len(text) > maxTemplate {
		return nil, errs.E(errs.Invalid, "the template has %d bytes, more than %d", len(text), maxTemplate)
	}
	t, err := template.New("template").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the template cannot be read: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	if len(t.Templates()) > 1 || t.Tree == nil {
		return nil, errs.E(errs.Invalid, "the template defines others or is empty; write one text")
	}
	if err := checkNode(t.Tree, t.Root, 0); err != nil {
		return nil, err
	}
	return t, nil
}

// checkNode refuses what could run long or grow large.
func checkNode(tree *parse.Tree, n parse.Node, nesting int) error {
	if n == nil || reflect.ValueOf(n).IsNil() {
		return nil
	}
	refuse := func(format string, args ...any) error {
		place, _ := tree.ErrorContext(n)
		return errs.E(errs.Invalid, "%s: %s", place, fmt.Sprintf(format, args...))
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			if err := checkNode(tree, c, nesting); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		return checkNode(tree, n.Pipe, nesting)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			if err := checkNode(tree, c, nesting); err != nil {
				return err
			}
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			if err := checkNode(tree, a, nesting); err != nil {
				return err
			}
		}
	case *parse.ChainNode:
		return checkNode(tree, n.Node, nesting)
	case *parse.IdentifierNode:
		switch n.Ident {
		case "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len":
		default:
			return refuse("the function %s is not allowed; use conditions, and, or, not, len and comparisons", n.Ident)
		}
	case *parse.IfNode:
		return checkBranch(tree, &n.BranchNode, nesting)
	case *parse.WithNode:
		return checkBranch(tree, &n.BranchNode, nesting)
	case *parse.RangeNode:
		if text := n.Pipe.String(); !rangesOverJobs(text) {
			return refuse("range is over .Failed or .Waiting only, not %s", text)
		}
		if nesting >= maxNesting {
			return refuse("range is more than %d deep", maxNesting)
		}
		return checkBranch(tree, &n.BranchNode, nesting+1)
	case *parse.TemplateNode:
		return refuse("a template cannot use others")
	}
	return nil
}

func checkBranch(tree *parse.Tree, n *parse.BranchNode, nesting int) error {
	for _, c := range []parse.Node{n.Pipe, n.List, n.ElseList} {
		if err := checkNode(tree, c, nesting); err != nil {
			return err
		}
	}
	return nil
}

func rangesOverJobs(pipe string) bool {
	if _, after, found := strings.Cut(pipe, ":="); found {
		pipe = after
	}
	switch strings.TrimSpace(pipe) {
	case ".Failed", ".Waiting", "$.Failed", "$.Waiting":
		return true
	}
	return false
}

// render fills a template in, with texts made harmless by escape. What is longer
// than so many bytes is cut.
func (p payload) render(text string, escape func(string) string, most int) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	out := &limited{most: most}
	if err := t.Execute(out, dataOf(p, escape)); err != nil && !errors.Is(err, errFull) {
		return "", errs.E(errs.Invalid, "the template does not fit: %s", strings.TrimPrefix(err.Error(), "template: "))
	}
	written := strings.ToValidUTF8(out.String(), "")
	if out.full {
		written += "…"
	}
	return written, nil
}

var errFull = errors.New("the text is too long")

// limited takes so many bytes.
type limited struct {
	strings.Builder
	most int
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.most {
		l.full = true
		l.Builder.Write(p[:l.most-l.Len()])
		return 0, errFull
	}
	return l.Builder.Write(p)
}

// dataOf is what a template sees of a message.
func dataOf(p payload, escape func(string) string) Data {
	r := p.Run
	jobs := func(list []Job) []Job {
		var out []Job
		for _, j := range list {
			out = append(out, Job{escape(j.Name), escape(j.Reason), escape(j.URL)})
		}
		return out
	}
	d := Data{
		Event: p.Event, Subject: escape(p.subject()), Project: escape(r.Project), Flow: escape(r.Flow), Number: r.Number, Status: r.Status,
		Ref: escape(shortRef(r)), Commit: r.Commit, ShortCommit: r.Commit[:min(len(r.Commit), 8)], Title: escape(oneLine(r.Title)), Actor: escape(r.Actor),
		Source: r.Source, URL: r.URL, MergeRequest: r.MergeRequest, Failed: jobs(r.Failed), Waiting: jobs(r.Waiting),
	}
	if !r.Started.IsZero() && r.Finished.After(r.Started) {
		d.Duration = r.Finished.Sub(r.Started).Round(time.Second).String()
	}
	return d
}

// sampleRun is for tests of rules and templates.
func sampleRun() Run {
	at := time.Date(2026, 1, 2, 6, 0, 0, 0, time.UTC)
	return Run{
		ID: 1, Number: 1, Project: "example", Flow: "hello", Status: "failed", Previous: "success", Source: "push", Ref: "refs/heads/main",
		Commit: "0123456789abcdef0123456789abcdef01234567", Title: "This is a test of the notification", Actor: "refline",
		Failed: []Job{{Name: "test", Reason: "script_failure"}}, Waiting: []Job{{Name: "deploy"}}, Started: at, Finished: at.Add(74 * time.Second),
	}
}

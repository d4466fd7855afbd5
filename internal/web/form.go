package web

import (
	"strconv"
	"strings"

	"refline/internal/api"
)

// form is what a person fills in and sends. It folds behind its title. After an error it
// is shown again, open, with the error and what was typed, but without secrets.
type form struct {
	ID      string // of the form in its page; it is sent too
	Title   string // "Set a variable"
	Path    string
	Text    string // above the fields
	Fields  []field
	Submit  string
	Command string // that does the same
	Get     bool   // the form asks for a page and changes nothing
	Open    bool
	Problem *api.Problem
}

// field is a value of a form.
type field struct {
	Name, Label, Hint string
	Kind              fieldKind
	Value             string
	Placeholder       string
	Options           []option // of a choice
	Checked           bool     // of a tick
	Required          bool
	Max               int // characters; 0 for 200
}

type fieldKind string

const (
	fieldText   fieldKind = ""
	fieldNumber fieldKind = "number"
	fieldLines  fieldKind = "lines"
	fieldChoice fieldKind = "choice"
	fieldTick   fieldKind = "tick"
	fieldSecret fieldKind = "secret" // lines that are never shown again
	fieldHidden fieldKind = "hidden"
)

type option struct{ Value, Text string }

// form completes a form: if it was sent and failed, it has the error and what was typed.
func (c *request) form(f form) *form {
	for i := range f.Fields {
		if f.Fields[i].Max == 0 {
			f.Fields[i].Max = 200
		}
	}
	if c.problem == nil || c.PostFormValue("form") != f.ID {
		return &f
	}
	f.Open, f.Problem, c.placed = true, problemOf(c.problem), true
	for i := range f.Fields {
		sent := &f.Fields[i]
		switch values, has := c.PostForm[sent.Name]; {
		case sent.Kind == fieldSecret || sent.Kind == fieldHidden:
		case sent.Kind == fieldTick:
			sent.Checked = has
		case has && len(values) > 0:
			sent.Value = values[0]
		}
	}
	return &f
}

// typed is a field as it was typed, without space around it.
func (c *request) typed(name string) string { return strings.TrimSpace(c.text(name)) }

// text is a field with the line ends of a file: browsers send CRLF.
func (c *request) text(name string) string {
	return strings.ReplaceAll(c.PostFormValue(name), "\r\n", "\n")
}

// ticked reports whether a box is ticked.
func (c *request) ticked(name string) bool { return c.PostFormValue(name) != "" }

// words are the words of a field, with commas or space between.
func (c *request) words(name string) []string {
	return strings.FieldsFunc(c.text(name), func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// may reports whether the caller has an action of the API. Forms depend on it; the API
// decides.
func (c *request) may(action string) bool {
	who, err := c.caller()
	if err != nil {
		return false
	}
	for _, have := range who.Scopes {
		if have == action {
			return true
		}
	}
	return false
}

// caller asks once who the browser is signed in as.
func (c *request) caller() (api.Caller, error) {
	if c.who == nil {
		who, err := c.API.Caller(c.ctx())
		if err != nil {
			return who, err
		}
		c.who = &who
	}
	return *c.who, nil
}

// maxNumber is far above what a form asks for, and far from an overflow.
const maxNumber = 1_000_000_000

// number is a field with a whole number; an empty one is 0.
func (c *request) number(name string) (int64, error) {
	text := c.typed(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > maxNumber {
		return 0, invalid("%q is not a whole number from 0 to %s", text, number(maxNumber))
	}
	return n, nil
}

package web

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
)

// inputField is the field of one input.
type inputField struct {
	Input       string // its name
	ID          string
	Kind        string // text, number, check, select, lines, date or datetime-local
	Value       string
	Usual       string // value that is not sent
	Checked     bool
	Options     []string // of a select
	Suggest     []string // of a text
	Empty       bool     // of a select: it may be left open
	Required    bool
	Pattern     string // in the syntax of browsers
	Min, Max    string
	Step        string
	Description string
	Hint        string
	Error       string

	declared api.FlowInputField
}

// newInputField makes the field of an input with the value that it has so far.
func newInputField(d api.FlowInputField, values map[string]string, wrong string) inputField {
	f := inputField{Input: d.Name, ID: "in-" + fieldID(d.Name), Description: d.Description, Hint: fieldHint(d), Required: d.Required && !d.Ruled, Error: wrong, declared: d}
	usual, has := usualValue(d)
	f.Usual, f.Value = usual, usual
	if v, ok := values[d.Name]; ok {
		f.Value = v
	}
	f.Kind = fieldKindOf(d, f.Value, has)
	switch f.Kind {
	case "check":
		f.Checked = f.Value == "true"
	case "select":
		f.Options, f.Empty = d.Options, !has || usual == "" || d.Optional
		if d.Type == "boolean" {
			f.Options = []string{"true", "false"}
		}
		if f.Value != "" && !slices.Contains(f.Options, f.Value) {
			f.Options = append(slices.Clone(f.Options), f.Value) // what was typed stays; the API says that it is wrong
		}
	case "number":
		f.Step = "any"
		if d.Type == "integer" {
			f.Step = "1"
		}
		f.Min, f.Max = bound(d.Min), bound(d.Max)
	case "text":
		f.Pattern = browserPattern(d.Regex)
		if d.Ruled {
			f.Suggest = d.Options
		}
	}
	return f
}

// fieldKindOf chooses how an input is typed.
func fieldKindOf(d api.FlowInputField, value string, has bool) string {
	switch {
	case d.Type == "list" || d.Type == "json" || strings.Contains(value, "\n"):
		return "lines"
	case d.Type == "boolean" && (value == "true" || value == "false" || !has && value == "" && !d.Optional):
		return "check"
	case d.Type == "boolean", len(d.Options) > 0 && !d.Ruled:
		return "select"
	case d.Type == "number" || d.Type == "integer":
		if _, err := strconv.ParseFloat(value, 64); err == nil || value == "" {
			return "number"
		}
	case d.Type == "date":
		if _, err := time.Parse(time.DateOnly, value); err == nil || value == "" {
			return "date"
		}
	case d.Type == "datetime":
		if value == "" || localTime(value) {
			return "datetime-local"
		}
	}
	return "text" // a value of another form is kept as it was typed
}

// localTime reports whether a browser's field for a time can show a value.
func localTime(value string) bool {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, value); err == nil {
			return true
		}
	}
	return false
}

// text is the value that the field sends.
func (f inputField) text() string {
	if f.Kind == "check" {
		return strconv.FormatBool(f.Checked)
	}
	return f.Value
}

// fieldHint says what a value may be, and what it is if it is left out.
func fieldHint(d api.FlowInputField) string {
	var out []string
	switch d.Type {
	case "list":
		out = append(out, `a list as JSON: ["a", "b"]`)
	case "json":
		out = append(out, "JSON")
	case "datetime":
		out = append(out, "a time: 2026-11-22T06:00:00+01:00")
	}
	if d.Min != nil || d.Max != nil {
		out = append(out, boundsText(d))
	}
	if d.Regex != "" {
		out = append(out, "matches "+d.Regex)
	}
	if d.Ruled {
		out = append(out, "other inputs decide which values are allowed")
	}
	switch {
	case d.Value != nil:
		out = append(out, "the flow has "+shownValue(*d.Value))
		if d.Default != nil && *d.Default != *d.Value {
			out = append(out, "the file has "+shownValue(*d.Default))
		}
	case d.Optional && (d.Default == nil || *d.Default == "") && d.DefaultCode == "":
		out = append(out, "may be left empty")
	case d.Default != nil:
		out = append(out, "default "+shownValue(*d.Default))
	case d.DefaultCode != "":
		out = append(out, "default "+cut(d.DefaultCode, 80))
	case d.Required:
		out = append(out, "required")
	}
	return strings.Join(out, " · ")
}

func shownValue(v string) string {
	if v == "" {
		return "empty"
	}
	return cut(v, 80)
}

func boundsText(d api.FlowInputField) string {
	var out []string
	if d.Min != nil {
		out = append(out, sense(">", d.MinOpen)+" "+bound(d.Min))
	}
	if d.Max != nil {
		out = append(out, sense("<", d.MaxOpen)+" "+bound(d.Max))
	}
	return strings.Join(out, " and ")
}

func sense(sign string, open bool) string {
	if open {
		return sign
	}
	return map[string]string{">": "≥", "<": "≤"}[sign]
}

func bound(n *float64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatFloat(*n, 'g', -1, 64)
}

// fieldID is a name as part of an element's id: no two names share one.
func fieldID(name string) string {
	var out strings.Builder
	for _, b := range []byte(name) {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "-%02x", b)
		}
	}
	return out.String()
}

// browserPattern writes an expression of RE2 in the syntax of a field's pattern, which
// has to match all of the value. It is "" if browsers have no way to say it: the API
// checks the value in any case.
func browserPattern(expression string) string {
	if expression == "" {
		return ""
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return ""
	}
	var out strings.Builder
	if !writePattern(&out, re.Simplify()) || out.Len() > 2000 {
		return ""
	}
	return "[^]*?(?:" + out.String() + ")[^]*"
}

// writePattern writes an expression; false if browsers have none for it.
func writePattern(out *strings.Builder, re *syntax.Regexp) bool {
	list := func(between string) bool {
		out.WriteString("(?:")
		for i, sub := range re.Sub {
			if i > 0 {
				out.WriteString(between)
			}
			if !writePattern(out, sub) {
				return false
			}
		}
		out.WriteString(")")
		return true
	}
	lazy := ""
	if re.Flags&syntax.NonGreedy != 0 {
		lazy = "?"
	}
	repeated := func(sign string) bool {
		good := list("")
		out.WriteString(sign + lazy)
		return good
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return false
		}
		for _, r := range re.Rune {
			fmt.Fprintf(out, `\u{%x}`, r)
		}
	case syntax.OpCharClass:
		out.WriteString("[")
		for i := 0; i+1 < len(re.Rune); i += 2 {
			fmt.Fprintf(out, `\u{%x}-\u{%x}`, re.Rune[i], re.Rune[i+1])
		}
		out.WriteString("]")
	case syntax.OpAnyCharNotNL:
		out.WriteString(`[^\n]`)
	case syntax.OpAnyChar:
		out.WriteString(`[^]`)
	case syntax.OpBeginText:
		out.WriteString("^")
	case syntax.OpEndText:
		out.WriteString("$")
	case syntax.OpWordBoundary:
		out.WriteString(`\b`)
	case syntax.OpNoWordBoundary:
		out.WriteString(`\B`)
	case syntax.OpCapture, syntax.OpConcat:
		return list("")
	case syntax.OpAlternate:
		return list("|")
	case syntax.OpStar:
		return repeated("*")
	case syntax.OpPlus:
		return repeated("+")
	case syntax.OpQuest:
		return repeated("?")
	default:
		return false
	}
	return true
}

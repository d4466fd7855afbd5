// Package diag holds findings: something to say about a place in a source.
//
// Every compiler and lint returns a [List] instead of stopping at the first
// error, and the command line prints it as text, JSON, SARIF, JUnit or Code
// Quality. The package promises one shape for all of them and refuses to know
// what is being checked.
package diag

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Level orders findings by how much they matter.
type Level uint8

// The levels, least first. Only Error makes an input unusable.
const (
	Info Level = iota
	Warning
	Error
)

func (l Level) String() string {
	switch l {
	case Error:
		return "error"
	case Warning:
		return "warning"
	default:
		return "info"
	}
}

// Place is a position in a source. Line and Column count from 1, columns in
// characters (code points); 0 means unknown. File is as the user would name it (relative to where they stand, or
// "project@ref:path" for a file of another repository).
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String gives file:line:column, leaving out what is not known.
func (p Place) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(p.Line))
		if p.Column > 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(p.Column))
		}
	}
	return b.String()
}

// IsZero reports whether nothing is known of the place.
func (p Place) IsZero() bool { return p == Place{} }

// Finding is one thing to say. Message is lower case, one sentence, and names
// what is wrong; Hint says what to do about it and may be empty.
type Finding struct {
	Place
	Width   int    `json:"width,omitempty"` // characters to underline, 0 for one
	Level   Level  `json:"-"`
	Rule    string `json:"rule,omitempty"` // a stable name, as "unknown-keyword" or "E3002"
	Subject string `json:"subject,omitempty"`
	// Subject is the thing in the source that the finding is about: a job's
	// name, or a template's path as Resources/Bucket/Properties.
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Related are the other places that explain the finding, the nearest first:
	// the stack of an evaluation, or the two ends of a contradiction.
	Related []Related `json:"related,omitempty"`
}

// Related is another place that a finding speaks of.
type Related struct {
	Place
	Message string `json:"message,omitempty"`
}

// String gives "file:line:column: level: message; hint".
func (f Finding) String() string {
	var b strings.Builder
	if s := f.Place.String(); s != "" {
		b.WriteString(s)
		b.WriteString(": ")
	}
	b.WriteString(f.Level.String())
	b.WriteString(": ")
	b.WriteString(f.Message)
	if f.Hint != "" {
		b.WriteString("; ")
		b.WriteString(f.Hint)
	}
	return b.String()
}

// List is every finding about one input.
type List []Finding

// HasErrors reports whether any finding is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(f Finding) bool { return f.Level == Error })
}

// Count gives the number of errors and of warnings.
func (l List) Count() (errors, warnings int) {
	for _, f := range l {
		switch f.Level {
		case Error:
			errors++
		case Warning:
			warnings++
		}
	}
	return errors, warnings
}

// Sort orders the list by file, line, column, the worse level first, and drops
// exact repetitions.
func (l List) Sort() List {
	slices.SortStableFunc(l, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(b.Level, a.Level))
	})
	return slices.CompactFunc(l, same)
}

func same(a, b Finding) bool {
	return a.Place == b.Place && a.Width == b.Width && a.Level == b.Level && a.Rule == b.Rule &&
		a.Subject == b.Subject && a.Message == b.Message && a.Hint == b.Hint && slices.Equal(a.Related, b.Related)
}

// Err returns nil when the list has no error, else an error of kind Invalid
// that holds the whole list (find it again with errors.As and *[Failure]).
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	return errs.E(errs.Invalid, "%w", &Failure{Findings: l})
}

// Failure is a list with errors, as an error.
type Failure struct{ Findings List }

func (f *Failure) Error() string {
	lines := make([]string, len(f.Findings))
	for i, x := range f.Findings {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

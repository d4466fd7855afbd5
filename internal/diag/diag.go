// Package diag holds findings: messages about a place in a source.
//
// Compilers and linters return a [List] instead of stopping at the first error,
// and a [Printer] prints it as text, JSON, SARIF, JUnit or Code Quality. The
// package promises one form of finding for all of them. It does not know what is
// checked.
package diag

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Level is the severity of a finding.
type Level uint8

// The levels, from the least severe. Only Error makes an input unusable.
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
// characters (code points); 0 means unknown. File is the name that the user would
// use: relative to the current folder, or "project@ref:path" for a file of another
// repository.
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String returns file:line:column, without what is unknown.
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

// IsZero reports whether nothing is known about the place.
func (p Place) IsZero() bool { return p == Place{} }

// Finding is one message about a place. Message is one sentence in lower case that
// names the problem; Hint is what to do about it and may be empty.
type Finding struct {
	Place
	Width int    `json:"width,omitempty"` // characters to underline, 0 for one
	Level Level  `json:"-"`
	Rule  string `json:"rule,omitempty"` // a stable name, such as "unknown-keyword" or "E3002"
	// Subject is what the finding is about: the name of a job, or a path in a
	// template such as Resources/Bucket/Properties.
	Subject string `json:"subject,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Related are other places that explain the finding, the nearest first: the
	// stack of an evaluation, or the two sides of a contradiction.
	Related []Related `json:"related,omitempty"`
}

// Related is another place that explains a finding.
type Related struct {
	Place
	Message string `json:"message,omitempty"`
}

// String returns "file:line:column: level: message; hint".
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

// List holds all findings about one input.
type List []Finding

// HasErrors reports whether any finding is an error.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(f Finding) bool { return f.Level == Error })
}

// Count returns the number of errors and of warnings.
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

// Sort orders the list by file, line, column and level, the most severe first, and
// removes exact repetitions.
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

// Err returns nil if the list has no error, otherwise an error of kind Invalid that
// holds the whole list; errors.As finds it as a *[Failure].
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

package gitlabci

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"refline/internal/diag"
	"refline/internal/gitlabci/expr"
)

// findings collects errors and warnings, so that users see all of them at once. The
// zero value is ready to use.
type findings struct {
	list diag.List
}

// errorf adds an error. subject is the name of a job or "", rule a stable name such
// as "unknown-keyword". Messages are lower case without a full stop.
func (f *findings) errorf(at diag.Place, subject, rule, format string, args ...any) {
	f.add(diag.Error, at, subject, rule, format, args)
}

// warnf adds a warning: GitLab accepts it, but it is likely not what was meant.
func (f *findings) warnf(at diag.Place, subject, rule, format string, args ...any) {
	f.add(diag.Warning, at, subject, rule, format, args)
}

func (f *findings) add(level diag.Level, at diag.Place, subject, rule, format string, args []any) {
	f.list = append(f.list, diag.Finding{
		Place: at, Level: level, Rule: rule, Subject: subject, Message: fmt.Sprintf(format, args...),
	})
}

// hint adds advice to the last finding.
func (f *findings) hint(text string) {
	if n := len(f.list); n > 0 {
		f.list[n-1].Hint = text
	}
}

// underline sets the width of the last finding to that of text, unless text has
// several lines.
func (f *findings) underline(text string) {
	if n := len(f.list); n > 0 && !strings.Contains(text, "\n") {
		f.list[n-1].Width = utf8.RuneCountInString(text)
	}
}

// unreadable reports that the clause n of a rule could not be decided: the place
// in its expression, or err.
func (f *findings) unreadable(n *node, path string, err error) {
	var fault *expr.SyntaxError
	if !errors.As(err, &fault) {
		f.errorf(n.at, "", "rules", "%s: %v", path, err)
		return
	}
	f.errorf(n.at, "", "expression", "%s cannot be read at character %d of %s: %s", path, fault.Column, shown(n), fault.Message)
	f.hint(fault.Hint)
}

// sorted returns the findings in the order of the sources, without duplicates.
func (f *findings) sorted() diag.List { return slices.Clone(f.list).Sort() }

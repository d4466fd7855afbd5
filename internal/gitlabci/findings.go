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

// findings collects what there is to say about a configuration, so that all of
// it comes together. The zero value is ready.
type findings struct {
	list diag.List
}

// errorf adds an error. subject is a job's name or "", rule a stable name as
// "unknown-keyword"; the message is lower case and has no full stop.
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

// hint says what to do about the finding that was added last.
func (f *findings) hint(text string) {
	if n := len(f.list); n > 0 {
		f.list[n-1].Hint = text
	}
}

// underline marks the text that the finding added last is about, when it is one
// line.
func (f *findings) underline(text string) {
	if n := len(f.list); n > 0 && !strings.Contains(text, "\n") {
		f.list[n-1].Width = utf8.RuneCountInString(text)
	}
}

// unreadable says that the clause n of a rule, named path, could not be decided:
// where its expression breaks, or what else err says.
func (f *findings) unreadable(n *node, path string, err error) {
	var fault *expr.SyntaxError
	if !errors.As(err, &fault) {
		f.errorf(n.at, "", "rules", "%s: %v", path, err)
		return
	}
	f.errorf(n.at, "", "expression", "%s cannot be read at character %d of %s: %s", path, fault.Column, shown(n), fault.Message)
	f.hint(fault.Hint)
}

// sorted returns the list in the order of the sources, without repetitions.
func (f *findings) sorted() diag.List { return slices.Clone(f.list).Sort() }

package gitlabci

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// reader reads typed values from nodes for one job (or for none) and reports those
// of a wrong type. A missing node and null give the zero value: GitLab treats an
// empty keyword as absent.
type reader struct {
	f    *findings
	job  string
	seen map[string]bool // reported already, when jobs share the place of a mistake
	// partial is set when something could not be read or resolved, nil else.
	partial *partial
}

// name prefixes the subject of a message with the job.
func (r reader) name(path string) string {
	switch {
	case r.job == "":
		return path
	case path == "":
		return "job " + quote(r.job)
	}
	return "job " + quote(r.job) + ": " + path
}

// errorf adds an error about a value, unless the value is unknown because of an
// earlier mistake. A mistake that jobs share, by extends or an anchor, is reported
// for the first of them only. It returns whether the error was added, so that a
// hint can follow.
func (r reader) errorf(n *node, rule, path, format string, args ...any) bool {
	if n.unresolved() || r.partial.mayChange(n, rule) {
		return false
	}
	message := fmt.Sprintf(format, args...)
	if r.again(n.at, rule, path, message) {
		return false
	}
	r.f.errorf(n.at, r.job, rule, "%s %s", r.name(path), message)
	r.f.underline(n.text)
	return true
}

// editor warns of a value that GitLab accepts and the schema of editors does not.
func (r reader) editor(n *node, path, message string) {
	if !r.again(n.at, "schema", path, message) {
		r.f.warnf(n.at, r.job, "schema", "%s %s", r.name(path), message)
		r.f.underline(n.text)
	}
}

// unknownValue warns of a value that is not in a list which grows with GitLab.
// Such lists name what Refline records or passes on but does not act on, so a
// pipeline for a newer GitLab still compiles. Lists that decide how a job runs
// are closed: see choice.
func (r reader) unknownValue(n *node, path, value, what string, known []string) {
	if n.unresolved() || r.partial.mayChange(n, "value") || r.again(n.at, "unknown-value", path, value) {
		return
	}
	r.f.warnf(n.at, r.job, "unknown-value", "%s %s is not a %s that Refline knows", r.name(path), quote(value), what)
	r.f.underline(value)
	hint := didYouMean(value, known)
	if hint == "" {
		hint = "GitLab refuses it unless your version has it"
	}
	r.f.hint(hint)
}

// open reads a string that is one of a list which grows with GitLab.
func (r reader) open(n *node, path, what string, known ...string) string {
	s := r.text(n, path)
	if s != "" && !slices.Contains(known, s) {
		r.unknownValue(n, path, s, what, known)
	}
	return s
}

func (r reader) again(at diag.Place, parts ...string) bool {
	if at.IsZero() || r.seen == nil {
		return false
	}
	key := at.String() + " " + strings.Join(parts, " ")
	again := r.seen[key]
	r.seen[key] = true
	return again
}

// wrong reports a value of a wrong type.
func (r reader) wrong(n *node, path, want string) bool {
	return r.errorf(n, "type", path, "must be %s, not %s", want, describe(n))
}

func absent(n *node) bool { return n == nil || n.kind == nullNode }

// text reads a string.
func (r reader) text(n *node, path string) string {
	if absent(n) {
		return ""
	}
	if n.kind != stringNode {
		if r.wrong(n, path, "a string") && (n.kind == intNode || n.kind == floatNode || n.kind == boolNode) {
			r.f.hint("put it in quotes: " + quote(n.text))
		}
		return ""
	}
	return n.text
}

// filled reads a string that is required and not blank.
func (r reader) filled(parent, n *node, path string) string {
	if absent(n) {
		r.errorf(orParent(n, parent), "value", path, "is missing")
		return ""
	}
	s := r.text(n, path)
	if n.kind == stringNode && strings.TrimSpace(s) == "" {
		r.errorf(n, "value", path, "must not be empty")
	}
	return s
}

func orParent(n, parent *node) *node {
	if n != nil {
		return n
	}
	return parent
}

// flag reads true or false. ok is false for any other value.
func (r reader) flag(n *node, path string) (value, ok bool) {
	if absent(n) {
		return false, false
	}
	if n.kind != boolNode {
		r.wrong(n, path, "true or false")
		return false, false
	}
	return n.truth, true
}

// integer reads a whole number between low and high.
func (r reader) integer(n *node, path string, low, high int) (int, bool) {
	if absent(n) {
		return 0, false
	}
	if n.kind != intNode {
		r.wrong(n, path, "a whole number")
		return 0, false
	}
	if n.num < float64(low) || n.num > float64(high) {
		r.errorf(n, "value", path, "must be a number from %d to %d, not %s", low, high, n.text)
		return 0, false
	}
	return int(n.num), true
}

// choice reads a string that is one of a closed list.
func (r reader) choice(n *node, path string, values ...string) string {
	if absent(n) {
		return ""
	}
	if n.kind != stringNode {
		r.wrong(n, path, "one of "+strings.Join(values, ", "))
		return ""
	}
	if !slices.Contains(values, n.text) {
		if r.errorf(n, "value", path, "must be one of %s, not %s", strings.Join(values, ", "), quote(n.text)) {
			r.f.hint(didYouMean(n.text, values))
		}
		return ""
	}
	return n.text
}

// duration reads a duration such as "1h 30m", at most limit if limit is not 0.
func (r reader) duration(n *node, path string, limit time.Duration, limitText string) time.Duration {
	if absent(n) {
		return 0
	}
	if n.kind != stringNode {
		if r.wrong(n, path, "a duration as a string") && n.kind == intNode {
			r.f.hint("write " + quote(n.text+" seconds"))
		}
		return 0
	}
	d, err := pipeline.ParseDuration(n.text)
	if err != nil || d == 0 {
		if r.errorf(n, "value", path, "must be a duration, not %s", quote(n.text)) {
			r.f.hint(`as "1h 30m", "90 minutes" or "2 days"`)
		}
		return 0
	}
	if limit > 0 && d > limit {
		r.errorf(n, "value", path, "must not be longer than %s", limitText)
	}
	return d
}

package gitlabci

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// maxNesting is how deep lists may stand in each other where they are joined.
const maxNesting = 10

// reader takes typed values out of nodes for one job (or for no job), and says
// what is wrong with those that do not fit. A missing node and null give the
// zero value: GitLab treats an empty keyword as one that is not written.
type reader struct {
	f    *findings
	job  string
	seen map[string]bool // what was said already, when jobs share the place of a mistake
	// partial is set when a file could not be read: what a !reference to it
	// left empty in a list is no mistake.
	partial bool
}

// name puts the job in front of what a message is about.
func (r reader) name(path string) string {
	if r.job == "" {
		return path
	}
	return "job " + quote(r.job) + ": " + path
}

// errorf adds an error about a value; a mistake that many jobs share, by
// extends or an anchor, is told for the first of them only. It reports whether
// it was added, and so may be given a hint.
func (r reader) errorf(n *node, rule, path, format string, args ...any) bool {
	message := fmt.Sprintf(format, args...)
	if r.again(n.at, rule, path, message) {
		return false
	}
	r.f.errorf(n.at, r.job, rule, "%s %s", r.name(path), message)
	r.f.underline(n.text)
	return true
}

// editor warns of what GitLab takes and its editor's schema does not.
func (r reader) editor(n *node, path, message string) {
	if !r.again(n.at, "schema", path, message) {
		r.f.warnf(n.at, r.job, "schema", "%s %s", r.name(path), message)
		r.f.underline(n.text)
	}
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

// wrong says that a value has the wrong type.
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

// filled reads a string that must be there and not be blank.
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

// flag reads true or false; ok is false when neither is there.
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

// choice reads a string that is one of values.
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

// list reads a list of strings.
func (r reader) list(n *node, path string) []string {
	if absent(n) {
		return nil
	}
	if n.kind != seqNode {
		r.wrong(n, path, "a list of strings")
		return nil
	}
	out := make([]string, 0, len(n.items))
	for _, item := range n.items {
		if item.kind == nullNode && r.partial {
			continue
		}
		if item.kind != stringNode {
			r.wrong(item, path+"["+strconv.Itoa(len(out))+"]", "a string")
			return nil
		}
		out = append(out, item.text)
	}
	return out
}

// texts reads a list of strings or one string.
func (r reader) texts(n *node, path string) []string {
	switch {
	case absent(n):
		return nil
	case n.kind == stringNode:
		return []string{n.text}
	case n.kind != seqNode:
		r.wrong(n, path, "a string or a list of strings")
		return nil
	}
	return r.list(n, path)
}

// integers reads a list of whole numbers or one.
func (r reader) integers(n *node, path string) []int {
	if absent(n) {
		return nil
	}
	items := []*node{n}
	if n.kind == seqNode {
		items = n.items
	}
	out := make([]int, 0, len(items))
	for _, item := range items {
		if item.kind != intNode {
			r.wrong(item, path, "a whole number or a list of them")
			return nil
		}
		out = append(out, int(item.num))
	}
	return out
}

// script reads a string or a list of strings, in which lists may stand.
func (r reader) script(n *node, path string) []string {
	switch {
	case absent(n):
		return nil
	case n.kind == stringNode:
		return []string{n.text}
	case n.kind != seqNode:
		r.wrong(n, path, "a string or a list of strings")
		return nil
	}
	out := make([]string, 0, len(n.items))
	r.nested(n, path, 1, func(item *node) bool {
		if item.kind == stringNode {
			out = append(out, item.text)
			return true
		}
		if r.wrong(item, path, "a list of strings") && item.kind == mapNode && len(item.keys) > 0 {
			r.f.hint("a colon and a space make this line a map; put the whole line in quotes, or write it below a |")
		}
		return false
	})
	return out
}

// nested calls visit for what is no list in n and in the lists in it, until
// visit returns false.
func (r reader) nested(n *node, path string, depth int, visit func(*node) bool) bool {
	if depth > maxNesting {
		r.errorf(n, "nesting", path, "may have lists in lists up to %d deep", maxNesting)
		return false
	}
	for _, item := range n.items {
		ok := item.kind == nullNode && r.partial
		if ok {
			continue
		}
		if item.kind == seqNode {
			ok = r.nested(item, path, depth+1, visit)
		} else {
			ok = visit(item)
		}
		if !ok {
			return false
		}
	}
	return true
}

// mapping checks that n is a map with no other keys than allowed. An unknown
// key is named with the nearest known one.
func (r reader) mapping(n *node, path string, allowed ...string) bool {
	if n.kind != mapNode {
		r.wrong(n, path, "a map")
		return false
	}
	for i := range n.keys {
		key := &n.keys[i]
		if !slices.Contains(allowed, key.name) && !r.again(key.at, "unknown-keyword", path, key.name) {
			r.f.errorf(key.at, r.job, "unknown-keyword", "%s is not a keyword of %s", quote(key.name), r.of(path))
			r.f.underline(key.name)
			r.f.hint(cmp.Or(didYouMean(key.name, allowed), "known are "+strings.Join(allowed, ", ")))
		}
	}
	return true
}

func (r reader) of(path string) string {
	if r.job == "" {
		return path
	}
	return path + " in job " + quote(r.job)
}

// duration reads a duration in words, at most limit when that is not 0.
func (r reader) duration(n *node, path string, limit time.Duration, limitText string) time.Duration {
	if absent(n) {
		return 0
	}
	if n.kind != stringNode {
		if r.wrong(n, path, "a length of time as a string") && n.kind == intNode {
			r.f.hint("write " + quote(n.text+" seconds"))
		}
		return 0
	}
	d, err := pipeline.ParseDuration(n.text)
	if err != nil || d == 0 {
		if r.errorf(n, "value", path, "must be a length of time, not %s", quote(n.text)) {
			r.f.hint(`as "1h 30m", "90 minutes" or "2 days"`)
		}
		return 0
	}
	if limit > 0 && d > limit {
		r.errorf(n, "value", path, "must not be longer than %s", limitText)
	}
	return d
}

// together reports keys that exclude each other.
func (r reader) together(n *node, path string, names ...string) {
	var first *field
	for i := range n.keys {
		key := &n.keys[i]
		if !slices.Contains(names, key.name) {
			continue
		}
		if first != nil {
			r.f.errorf(key.at, r.job, "conflict", "%s cannot have both %s and %s", r.name(path), first.name, key.name)
			r.f.underline(key.name)
			return
		}
		first = key
	}
}

// describe names the type of a node, and shows a string.
func describe(n *node) string {
	if n.kind == stringNode {
		return "the string " + quote(shorten(n.text))
	}
	return whatIs(n)
}

// plain turns a node into strings, bools, numbers, lists and maps.
func plain(n *node) any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case boolNode:
		return n.truth
	case intNode, floatNode:
		if n.kind == intNode && n.num == float64(int(n.num)) {
			return int(n.num)
		}
		return n.num
	case stringNode:
		return n.text
	case seqNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plain(item)
		}
		return list
	case mapNode:
		return plainMap(n)
	default:
		return nil
	}
}

func plainMap(n *node) map[string]any {
	if absent(n) || n.kind != mapNode {
		return nil
	}
	m := make(map[string]any, len(n.keys))
	for i := range n.keys {
		m[n.keys[i].name] = plain(n.keys[i].value)
	}
	return m
}

func quote(s string) string { return strconv.Quote(s) }

func shorten(s string) string {
	const most = 40
	if line, _, more := strings.Cut(s, "\n"); more || len(line) > most {
		if r := []rune(line); len(r) > most {
			line = string(r[:most])
		}
		return line + "…"
	}
	return s
}

// didYouMean is the hint for a name that is not among names; "" for none.
func didYouMean(name string, names []string) string {
	if n := closest(name, names); n != "" {
		return "did you mean " + quote(n) + "?"
	}
	return ""
}

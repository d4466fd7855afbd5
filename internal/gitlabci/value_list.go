package gitlabci

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// maxNesting is how deep lists nest where GitLab limits the lists that it joins.
// The others it joins at any depth: noLimit.
const (
	maxNesting = 10
	noLimit    = 0
)

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
		if item.unresolved() {
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
	if len(items) == 0 {
		r.editor(n, path, "is an empty list")
	}
	out := make([]int, 0, len(items))
	for _, item := range items {
		if item.kind != intNode {
			r.wrong(item, path, "a whole number or a list of them")
			return nil
		}
		if slices.Contains(out, int(item.num)) {
			r.editor(item, path, "names "+item.text+" twice")
		}
		out = append(out, int(item.num))
	}
	return out
}

// script reads a string or a nested list of strings.
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
	r.nested(n, path, maxNesting, func(item *node) bool {
		if item.kind == stringNode {
			out = append(out, item.text)
			return true
		}
		if r.wrong(item, path, "a list of strings") && item.kind == mapNode && len(item.keys) > 0 {
			r.f.hint("a colon and a space make this line a map; put the whole line in quotes, or write it under a |")
		}
		return false
	})
	return out
}

// nested calls visit for each value in the list n and in the lists in it, until
// visit returns false. limit is how deep lists may nest, noLimit for any depth.
func (r reader) nested(n *node, path string, limit int, visit func(*node) bool) bool {
	return r.nestedAt(n, path, 1, limit, visit)
}

func (r reader) nestedAt(n *node, path string, depth, limit int, visit func(*node) bool) bool {
	if limit != noLimit && depth > limit {
		r.errorf(n, "nesting", path, "may have lists in lists up to %d deep", limit)
		return false
	}
	for _, item := range n.items {
		if item.unresolved() {
			continue
		}
		var ok bool
		if item.kind == seqNode {
			ok = r.nestedAt(item, path, depth+1, limit, visit)
		} else {
			ok = visit(item)
		}
		if !ok {
			return false
		}
	}
	return true
}

// flattened returns the values of a list and of the lists in it, at any depth.
func flattened(n *node) []*node {
	if !slices.ContainsFunc(n.items, func(item *node) bool { return item.kind == seqNode }) {
		return n.items
	}
	var out []*node
	for _, item := range n.items {
		if item.kind == seqNode {
			out = append(out, flattened(item)...)
		} else {
			out = append(out, item)
		}
	}
	return out
}

// mapping checks that n is a map with allowed keys only. It suggests the nearest
// known key for an unknown one.
func (r reader) mapping(n *node, path string, allowed ...string) bool {
	if n.kind != mapNode {
		r.wrong(n, path, "a map")
		return false
	}
	for i := range n.keys {
		key := &n.keys[i]
		if !slices.Contains(allowed, key.name) && !r.partial.unknownName(key.name) && !r.again(key.at, "unknown-keyword", path, key.name) {
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

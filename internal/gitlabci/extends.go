package gitlabci

import (
	"slices"
	"strings"
)

// maxExtends is how many levels of extends GitLab follows.
const maxExtends = 11

// extended resolves extends for every top-level map: it merges the parents from
// left to right, then the map itself. A name that does not exist is an error only
// when the configuration is complete.
func extended(root *node, complete bool, f *findings, b *budget) *node {
	x := extender{
		root: root, complete: complete, f: f, b: b,
		index:     make(map[string]int, len(root.keys)),
		states:    make([]extendState, len(root.keys)),
		inherited: map[int]*node{},
	}
	for i := range root.keys {
		x.index[root.keys[i].name] = i
		x.states[i].result = root.keys[i].value
	}
	changed := false
	for i := range root.keys {
		x.resolve(i)
		changed = changed || x.states[i].result != root.keys[i].value
	}
	if !changed {
		return root
	}
	n := *root
	n.keys = slices.Clone(root.keys)
	for i := range n.keys {
		n.keys[i].value = x.states[i].result
	}
	return n.seal()
}

type extendState struct {
	result     *node
	levels     int // of extends below it
	done, open bool
}

type extender struct {
	root      *node
	complete  bool
	f         *findings
	b         *budget
	index     map[string]int
	states    []extendState
	inherited map[int]*node // what children get from a parent
	stack     []string      // the names being resolved
	maps      []string      // the names of all top-level maps, filled on first use
}

func (x *extender) resolve(i int) {
	st, fd := &x.states[i], &x.root.keys[i]
	if st.done || st.open {
		return
	}
	extends := fd.value.get("extends")
	if extends == nil {
		st.done = true
		return
	}
	st.open = true
	x.stack = append(x.stack, fd.name)
	var base *node
	for _, parent := range x.parents(fd.name, extends) {
		p, ok := x.parent(i, parent)
		if !ok {
			continue
		}
		st.levels = max(st.levels, x.states[p].levels+1)
		base = merged(base, x.inherit(p), x.b)
	}
	switch {
	case st.levels > maxExtends:
		if st.levels == maxExtends+1 {
			x.f.errorf(extends.at, fd.name, "extends", "%q extends over more than %d levels", fd.name, maxExtends)
			x.f.hint("merge some of its parents")
		}
	case base != nil:
		st.result = merged(base, fd.value, x.b)
		if st.result != fd.value {
			st.result.before = fd.value.before
		}
	}
	x.stack = x.stack[:len(x.stack)-1]
	st.open, st.done = false, true
}

// parents returns the nodes that name the parents of a map.
func (x *extender) parents(name string, extends *node) []*node {
	list := []*node{extends}
	switch extends.kind {
	case nullNode:
		return nil
	case seqNode:
		list = extends.items
	}
	return slices.DeleteFunc(slices.Clone(list), func(n *node) bool {
		switch n.kind {
		case referenceNode:
			x.f.errorf(n.at, name, "extends", "extends cannot be a !reference, which is resolved later")
			x.f.hint("write the names of the jobs")
			return true
		case seqNode, mapNode, nullNode:
			x.f.errorf(n.at, name, "extends", "extends takes the names of jobs, not %s", whatIs(n))
			return true
		}
		return false
	})
}

// parent resolves one parent of key i and returns its position.
func (x *extender) parent(i int, parent *node) (int, bool) {
	name := x.root.keys[i].name
	p, ok := x.index[parent.text]
	if !ok {
		if x.complete {
			x.f.errorf(parent.at, name, "extends", "%q extends %q, which is not defined", name, parent.text)
			x.f.hint(x.b.suggest(parent.text, x.names()))
		}
		return 0, false
	}
	if v := x.root.keys[p].value; v.kind != mapNode {
		x.f.errorf(parent.at, name, "extends", "%q extends %q, which is %s and not a job", name, parent.text, whatIs(v))
		return 0, false
	}
	if x.states[p].open {
		from := slices.Index(x.stack, parent.text)
		circle := append(slices.Clone(x.stack[from:]), parent.text)
		x.f.errorf(parent.at, name, "extends", "extends forms a cycle: %s", strings.Join(circle, " → "))
		return 0, false
	}
	x.resolve(p)
	return p, true
}

// names returns the names to suggest from: every top-level map.
func (x *extender) names() []string {
	if x.maps == nil {
		for i := range x.root.keys {
			if fd := &x.root.keys[i]; fd.value.kind == mapNode {
				x.maps = append(x.maps, fd.name)
			}
		}
	}
	return x.maps
}

// inherit returns a resolved parent as its children see it: without its own
// extends, and with the origin noted in each value.
func (x *extender) inherit(p int) *node {
	if n := x.inherited[p]; n != nil {
		return n
	}
	parent := x.states[p].result
	if !x.b.take(parent.at, 2*len(parent.keys)) {
		return parent
	}
	n := *parent
	n.keys = make([]field, 0, len(parent.keys))
	values := make([]node, len(parent.keys))
	via := "extends " + x.root.keys[p].name
	for i, fd := range parent.keys {
		if fd.name == "extends" {
			continue
		}
		values[i] = *fd.value
		if values[i].via == "" {
			values[i].via = via
		}
		fd.value = &values[i]
		n.keys = append(n.keys, fd)
	}
	x.inherited[p] = n.seal()
	return x.inherited[p]
}

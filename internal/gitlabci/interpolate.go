package gitlabci

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// GitLab's limits for the blocks of one file.
const (
	maxBlocks     = 10_000
	maxBlockChars = 1024
	maxFunctions  = 3
	maxAccess     = 5
	maxTextBytes  = 1 << 20
	textBytesPer  = 64 // this many bytes of text count as one value
	blockOpen     = "$[["

	matrixContext    = "matrix"
	inputContext     = "inputs"
	componentContext = "component"
)

// interpolation replaces the $[[ … ]] blocks of one file.
type interpolation struct {
	inputs    map[string]*node // nil for an invalid value, which was reported
	component map[string]*node
	unread    bool                         // there may be more inputs than these
	variables map[string]pipeline.Variable // for expand_vars
	f         *findings
	b         *budget
	done      map[*node]*node  // shared values are replaced once
	blocks    map[string]*node // evaluated; nil for an invalid one
	subject   string           // the top-level key that is being read
	left      bool             // some blocks are left because their value is not known
	stopped   bool
}

var blockPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\[\[\s*(\S.*?\S)\s*\]\]`)
})

// apply returns the content of a file with all blocks replaced. It reports invalid
// blocks and leaves them.
func (x *interpolation) apply(content *node) *node {
	x.done, x.blocks = map[*node]*node{}, map[string]*node{}
	n := *content
	set := newFields(len(content.keys))
	for _, fd := range content.keys {
		x.subject = fd.name
		set.put(x.field(fd))
	}
	n.keys = set.list
	return n.seal()
}

func (x *interpolation) field(fd field) field {
	if strings.Contains(fd.name, blockOpen) {
		key := x.scalar(&node{kind: stringNode, text: fd.name, at: fd.at})
		fd.name = rubyText(key)
	}
	fd.value = x.value(fd.value)
	return fd
}

func (x *interpolation) value(n *node) *node {
	switch n.kind {
	case stringNode:
		if strings.Contains(n.text, blockOpen) {
			return x.scalar(n)
		}
		return n
	case seqNode, mapNode, referenceNode:
	default:
		return n
	}
	if done := x.done[n]; done != nil {
		return done
	}
	out := x.children(n)
	x.done[n] = out
	return out
}

// children replaces the blocks in a list or map, and returns n itself without any.
// An item that becomes a list is replaced by the items of that list.
func (x *interpolation) children(n *node) *node {
	var items []*node
	for i, item := range n.items {
		v := x.value(item)
		if v != item && items == nil {
			items = append(make([]*node, 0, len(n.items)), n.items[:i]...)
		}
		switch {
		case items == nil && v == item:
		case item.kind == stringNode && v.kind == seqNode:
			if !x.b.take(n.at, len(v.items)) {
				return n
			}
			items = append(items, v.items...)
		default:
			items = append(items, v)
		}
	}
	var set *fields
	for i, fd := range n.keys {
		v := x.field(fd)
		if set == nil && (v.value != fd.value || v.name != fd.name) {
			set = newFields(len(n.keys))
			for _, before := range n.keys[:i] {
				set.put(before)
			}
		}
		if set != nil {
			set.put(v)
		}
	}
	if items == nil && set == nil || !x.b.take(n.at, 1+len(items)+len(n.keys)) {
		return n
	}
	out := *n
	if items != nil {
		out.items = items
	}
	if set != nil {
		out.keys = set.list
	}
	return out.seal()
}

// scalar replaces the blocks of one text. A block that is the whole text keeps the
// type of its value.
func (x *interpolation) scalar(n *node) *node {
	if x.stopped || !x.b.take(n.at, 1) {
		return n
	}
	matches := blockPattern().FindAllStringSubmatchIndex(n.text, -1)
	if len(matches) == 0 {
		return n
	}
	if m := matches[0]; len(matches) == 1 && m[0] == 0 && m[1] == len(n.text) {
		v := x.block(n.text, n.text[m[2]:m[3]], n.at)
		if v == nil {
			return n
		}
		out := *v
		out.at, out.via, out.before = n.at, n.via, n.before
		return &out
	}
	var text strings.Builder
	last, wrong := 0, false
	for _, m := range matches {
		v := x.block(n.text[m[0]:m[1]], n.text[m[2]:m[3]], n.at)
		if v == nil {
			wrong = true
			continue
		}
		text.WriteString(n.text[last:m[0]])
		text.WriteString(rubyText(v))
		last = m[1]
		if text.Len() > maxTextBytes {
			x.left = true
			x.f.errorf(n.at, x.subject, "interpolation", "the text grows to more than %d bytes", maxTextBytes)
			return n
		}
	}
	if wrong {
		return n
	}
	text.WriteString(n.text[last:])
	x.b.take(n.at, text.Len()/textBytesPer)
	out := *n
	out.text = text.String()
	return &out
}

// block evaluates one block. It returns nil for an invalid one.
func (x *interpolation) block(block, data string, at diag.Place) *node {
	if v, known := x.blocks[block]; known {
		return v
	}
	v, err := x.evaluate(block, data)
	x.left = x.left || err != nil
	if err != nil && err.text != "" {
		x.f.errorf(at, x.subject, "interpolation", "%s: %s", block, err.text)
		if err.hint != "" {
			x.f.hint(err.hint)
		}
	}
	x.blocks[block] = v
	if len(x.blocks) > maxBlocks && !x.stopped {
		x.stopped, x.left = true, true
		x.f.errorf(at, x.subject, "interpolation", "the file has more than %d different blocks", maxBlocks)
	}
	return v
}

// blockError is an error in a block, with a hint. Its text is empty when the input
// was reported already.
type blockError struct{ text, hint string }

func blockErrorf(format string, args ...any) *blockError {
	return &blockError{text: fmt.Sprintf(format, args...)}
}

func (x *interpolation) evaluate(block, data string) (*node, *blockError) {
	parts := strings.Split(data, "|")
	for len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	access := strings.TrimSpace(parts[0])
	if context, _, _ := strings.Cut(access, "."); context == matrixContext {
		// replaced later, for each job of the matrix
		return (&node{kind: stringNode, text: block}).seal(), nil
	}
	v, err := x.access(access)
	if err != nil {
		return nil, err
	}
	if len(parts)-1 > maxFunctions {
		return nil, blockErrorf("a block takes at most %d functions", maxFunctions)
	}
	for _, call := range parts[1:] {
		if v, err = x.call(strings.TrimSpace(call), v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// access follows a path such as inputs.name or inputs.list[0].key.
func (x *interpolation) access(path string) (*node, *blockError) {
	segments := strings.SplitN(path, ".", maxAccess)
	if len(segments) < 2 {
		return nil, &blockError{"not a value that a block can have", "write $[[ inputs.NAME ]]"}
	}
	if len(path) > maxBlockChars {
		return nil, blockErrorf("longer than %d bytes", maxBlockChars)
	}
	var at map[string]*node
	advice := "declare it in spec:inputs"
	switch context := segments[0]; context {
	case inputContext:
		at = x.inputs
	case componentContext:
		at, advice = x.component, "list it in spec:component, and include the file as a component"
	default:
		err := blockErrorf("there is no %q", context)
		err.hint = "a block can read inputs, and component in a component"
		return nil, err
	}
	name, _, _ := strings.Cut(segments[1], "[")
	if v, declared := at[name]; declared && v == nil || !declared && x.unread {
		return nil, &blockError{}
	}
	v, err := x.step(func(name string) *node { return at[name] }, segments[1], func() []string {
		names := make([]string, 0, len(at))
		for name := range at {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}, advice)
	for _, segment := range segments[2:] {
		if err != nil {
			return nil, err
		}
		parent := v
		v, err = x.step(parent.get, segment, func() []string { return keyNames(parent) }, "")
	}
	return v, err
}

func keyNames(n *node) []string {
	names := make([]string, len(n.keys))
	for i := range n.keys {
		names[i] = n.keys[i].name
	}
	return names
}

// step reads one segment: a name and up to five indices. advice is the hint for an
// unknown name without a similar one.
func (x *interpolation) step(get func(string) *node, segment string, names func() []string, advice string) (*node, *blockError) {
	name, indices, _ := strings.Cut(segment, "[")
	v := get(name)
	if v == nil {
		return nil, &blockError{
			text: fmt.Sprintf("there is no %q", name),
			hint: cmp.Or(x.b.suggest(name, names()), advice),
		}
	}
	if indices == "" {
		if strings.Contains(segment, "[") {
			return nil, blockErrorf("an index has no number")
		}
		return v, nil
	}
	list := strings.Split(indices, "[")
	if len(list) > maxAccess {
		return nil, blockErrorf("at most %d indices can follow each other", maxAccess)
	}
	for _, index := range list {
		i, err := strconv.ParseUint(strings.TrimSuffix(index, "]"), 10, 31)
		switch {
		case err != nil || !strings.HasSuffix(index, "]"):
			return nil, blockErrorf("[%s is not an index", index)
		case v.kind != seqNode:
			return nil, blockErrorf("[%d] needs a list, and this is %s", i, whatIs(v))
		case int(i) >= len(v.items):
			return nil, blockErrorf("[%d] is past the end of a list of %d", i, len(v.items))
		}
		v = v.items[i]
	}
	return v, nil
}

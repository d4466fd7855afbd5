package gitlabci

import "strings"

// dereferenced replaces each !reference by the value it names, in which there
// may be others. It comes after extends and looks only at what is written:
// a path cannot lead through another !reference.
func dereferenced(root *node, complete bool, f *findings, b *budget) *node {
	if !root.refs {
		return root
	}
	d := dereferencer{root: root, complete: complete, f: f, b: b, made: map[*node]*node{}, open: map[*node]bool{}, indices: map[*node]map[string]*node{}}
	n := *root
	n.keys = make([]field, len(root.keys))
	copy(n.keys, root.keys)
	for i := range n.keys {
		d.job = n.keys[i].name
		n.keys[i].value = d.resolve(n.keys[i].value)
	}
	return n.seal()
}

type dereferencer struct {
	root     *node
	complete bool
	f        *findings
	b        *budget
	job      string // the top-level key that is being resolved
	made     map[*node]*node
	open     map[*node]bool // references being resolved
	indices  map[*node]map[string]*node
}

func (d *dereferencer) resolve(n *node) *node {
	if !n.refs {
		return n
	}
	if done := d.made[n]; done != nil {
		return done
	}
	if !d.b.take(n.at, 1+len(n.items)+len(n.keys)) {
		return n
	}
	var out *node
	if n.kind == referenceNode {
		out = d.reference(n)
	} else {
		c := *n
		c.items, c.keys = append([]*node(nil), n.items...), append([]field(nil), n.keys...)
		for i := range c.items {
			c.items[i] = d.resolve(c.items[i])
		}
		for i := range c.keys {
			c.keys[i].value = d.resolve(c.keys[i].value)
		}
		out = c.seal()
	}
	d.made[n] = out
	return out
}

// reference returns the value that n names, with its own place. It reports a mistake
// once and returns n, which later checks skip.
func (d *dereferencer) reference(n *node) *node {
	if len(n.items) == 0 {
		return n // reported when it was read
	}
	label := referenceText(n)
	for _, name := range n.items {
		if name.kind != stringNode {
			d.f.errorf(n.at, d.job, "reference", "!reference takes a list of names, and an input made it hold %s", whatIs(name))
			return n
		}
	}
	if d.open[n] {
		d.f.errorf(n.at, d.job, "reference", "%s forms a cycle", label)
		return n
	}
	target := d.target(n, label)
	if target == nil {
		return n
	}
	d.open[n] = true
	out := *d.resolve(target)
	delete(d.open, n)
	out.via, out.before = label, nil
	return &out
}

// target finds the node that a reference names. It returns nil when there is
// none, having said so.
func (d *dereferencer) target(n *node, label string) *node {
	at := d.root
	for i, name := range n.items {
		next := d.get(at, name.text)
		if next != nil && (i < len(n.items)-1 || next.kind != nullNode && (next.kind != boolNode || next.truth)) {
			at = next
			continue
		}
		switch path := strings.Join(texts(n.items[:i]), "."); {
		case next != nil:
			d.f.errorf(name.at, d.job, "reference", "%s is %s, which GitLab refuses to refer to", label, whatIs(next))
		case i == 0 && !d.complete: // it may be in an unreadable file
		case i == 0:
			d.f.errorf(name.at, d.job, "reference", "%s: %q is not defined", label, name.text)
			d.suggest(name.text, at)
		case at.kind == referenceNode:
			d.f.errorf(name.at, d.job, "reference", "%s: %s is a !reference itself, and a path cannot lead through it", label, path)
			d.f.hint("refer to what that one refers to")
		case at.kind == mapNode && !d.complete:
		case at.kind == mapNode:
			d.f.errorf(name.at, d.job, "reference", "%s: %s has no %q", label, path, name.text)
			d.suggest(name.text, at)
		default:
			d.f.errorf(name.at, d.job, "reference", "%s: %s is %s and has no %q", label, path, whatIs(at), name.text)
		}
		return nil
	}
	return at
}

func (d *dereferencer) suggest(wrong string, in *node) {
	d.f.hint(d.b.suggest(wrong, keyNames(in)))
}

// get returns the value of a key, by an index where a map is large.
func (d *dereferencer) get(n *node, key string) *node {
	if len(n.keys) < indexFrom {
		return n.get(key)
	}
	index := d.indices[n]
	if index == nil {
		index = make(map[string]*node, len(n.keys))
		for i := range n.keys {
			index[n.keys[i].name] = n.keys[i].value
		}
		d.indices[n] = index
	}
	return index[key]
}

func referenceText(n *node) string {
	return "!reference [" + strings.Join(texts(n.items), ", ") + "]"
}

func texts(items []*node) []string {
	list := make([]string, len(items))
	for i, n := range items {
		list[i] = n.text
	}
	return list
}

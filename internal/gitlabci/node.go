package gitlabci

import "refline/internal/diag"

// kind is the type of a node after YAML 1.1 scalar resolution.
type kind uint8

const (
	nullNode kind = iota
	boolNode
	intNode
	floatNode
	stringNode
	seqNode
	mapNode
	referenceNode // !reference [job, key, …]: items are its path
)

// node is one value of a configuration, with its place. Nodes are immutable once
// built: merging makes new maps that share children, so that a file that is used
// twice is parsed once.
type node struct {
	kind  kind
	text  string  // the canonical string of a scalar: "true", "493", "a b"; as a variable's value
	num   float64 // intNode and floatNode
	truth bool    // boolNode
	items []*node // seqNode, referenceNode
	keys  []field // mapNode, in order of first appearance

	at     diag.Place
	via    string       // where it was inherited from: "", "default", "extends .deploy"
	before []diag.Place // places of values this one replaced

	// Set by seal: the number of nodes in this one with everything shared written
	// out, how deep they nest, and whether one is a !reference.
	size   uint32
	height uint16
	refs   bool
}

// seal computes size, height and refs from the children and returns n.
func (n *node) seal() *node {
	n.size, n.height, n.refs = 1, 0, n.kind == referenceNode
	for i := range n.items {
		n.count(n.items[i])
	}
	for i := range n.keys {
		n.count(n.keys[i].value)
	}
	return n
}

func (n *node) count(child *node) {
	const ceiling = 1 << 30 // far above every limit; the sum of two fits
	n.size = min(n.size+max(child.size, 1), ceiling)
	n.height = max(n.height, min(child.height, 1<<15)+1)
	n.refs = n.refs || child.refs
}

// field is one key of a map.
type field struct {
	name  string
	at    diag.Place // of the key
	value *node
}

// get returns the value of a key, or nil when n is not a map or lacks it.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i := range n.keys {
		if n.keys[i].name == key {
			return n.keys[i].value
		}
	}
	return nil
}

// unresolved reports whether n is a !reference that could not be resolved.
func (n *node) unresolved() bool { return n.kind == referenceNode }

// keyAt returns the place of a key, or that of the node when it lacks the key.
func (n *node) keyAt(key string) diag.Place {
	for i := range n.keys {
		if n.keys[i].name == key {
			return n.keys[i].at
		}
	}
	return n.at
}

// whatIs names the value of a node in findings: "a list", "the number 5".
func whatIs(n *node) string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case boolNode:
		return n.text
	case intNode, floatNode:
		return "the number " + n.text
	case seqNode:
		return "a list"
	case mapNode:
		return "a map"
	case referenceNode:
		return "a !reference"
	default:
		return "a string"
	}
}

// config is the whole configuration after includes, extends and !reference, before
// validation and rules.
type config struct {
	root  *node    // top-level keys and jobs, resolved except for mistakes
	files []Source // read, the root first
	// complete is false when something could not be read or resolved: it may have
	// names that are missing in root.
	complete bool
}

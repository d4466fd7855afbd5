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

// node is one value of a configuration, with the place it was written. Nodes
// are immutable once built: merging makes new maps that share children, so that
// a file used twice is parsed once.
type node struct {
	kind  kind
	text  string  // the canonical string of a scalar: "true", "493", "a b"; as a variable's value
	num   float64 // intNode and floatNode
	truth bool    // boolNode
	items []*node // seqNode, referenceNode
	keys  []field // mapNode, in order of first appearance

	at     diag.Place
	via    string       // how it came here: "", "default", "extends .deploy"
	before []diag.Place // places of values this one replaced
}

// field is one key of a map.
type field struct {
	name  string
	at    diag.Place // of the key
	value *node
}

// get returns the value of a key, nil when the node is no map or lacks it.
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

// config is the whole configuration after includes, extends and !reference:
// what stands in front of rules and job validation.
type config struct {
	root  *node    // top-level keys and jobs, resolved
	files []Source // read, the root first
}

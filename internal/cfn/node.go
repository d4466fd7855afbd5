// Package cfn reads CloudFormation templates: JSON, YAML with the short forms of
// the intrinsic functions, or Jsonnet, as one tree that knows the place in the
// source where each value was written.
//
// It promises that nothing of the source is lost or guessed: order, numbers as
// they are written, and every syntax error with its line. It knows what the
// intrinsic functions are called, but neither what they evaluate to nor any
// cloud.
package cfn

import (
	"strconv"
)

// Kind is the type of a value.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

func (k Kind) String() string {
	switch k {
	case Bool:
		return "boolean"
	case Int:
		return "integer"
	case Float:
		return "number"
	case String:
		return "string"
	case List:
		return "list"
	case Map:
		return "map"
	default:
		return "null"
	}
}

// Article is String with its article: "an integer".
func (k Kind) Article() string {
	if k == Int {
		return "an " + k.String()
	}
	return "a " + k.String()
}

// Pos is a place in a source, both from 1; columns in characters.
type Pos struct{ Line, Column int }

// Node is a value of a template.
type Node struct {
	Kind Kind
	// Text is a string's characters, or how a number or boolean is written.
	Text   string
	Fields []Field // of a Map, in the order of the source
	Items  []*Node // of a List
	// Short is set on the map that a YAML tag means (!Ref a is {Ref: a}).
	Short bool
	Pos   Pos // zero for an item that a short form was split into

	index map[string]int
}

// Field is a key of a map and its value.
type Field struct {
	Name string
	// Pos is where the key is written; zero for a short form in a list, which
	// has no key.
	Pos   Pos
	Value *Node
	// Bare is set on a key of YAML that is a number or a boolean (32, yes), where
	// CloudFormation wants a text.
	Bare bool
}

// Get returns the value of a key, nil when n is nil, no map, or has no such key.
func (n *Node) Get(name string) *Node {
	if i := n.find(name); i >= 0 {
		return n.Fields[i].Value
	}
	return nil
}

// Has reports whether a map has a key.
func (n *Node) Has(name string) bool { return n.find(name) >= 0 }

func (n *Node) find(name string) int {
	if n == nil || n.Kind != Map {
		return -1
	}
	const few = 8
	if len(n.Fields) > few {
		if n.index != nil {
			if i, ok := n.index[name]; ok {
				return i
			}
			return -1
		}
	}
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// seal prepares the map for many look-ups; called once, by the readers.
func (n *Node) seal() *Node {
	const few = 8
	if len(n.Fields) > few {
		n.index = make(map[string]int, len(n.Fields))
		for i, f := range n.Fields {
			n.index[f.Name] = i
		}
	}
	return n
}

// IsString reports whether n is a string.
func (n *Node) IsString() bool { return n != nil && n.Kind == String }

// Bool returns the value of a boolean.
func (n *Node) Bool() bool {
	if n.Kind != Bool {
		return false
	}
	switch n.Text[0] {
	case 't', 'T', 'y', 'Y':
		return true
	}
	return len(n.Text) == 2 // on
}

// Number returns the value of a number, or of a string that is one.
func (n *Node) Number() (float64, bool) {
	switch n.Kind {
	case Int, Float, String:
		return ParseNumber(n.Text)
	}
	return 0, false
}

// ParseNumber reads a number as JSON and YAML write them.
func ParseNumber(text string) (float64, bool) {
	if i, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(i), true
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// Equal reports whether two values are the same, places aside. The order of
// keys does not matter.
func Equal(a, b *Node) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil || a.Kind != b.Kind || len(a.Fields) != len(b.Fields) || len(a.Items) != len(b.Items) {
		return false
	}
	switch a.Kind {
	case Bool:
		return a.Bool() == b.Bool()
	case Int, Float:
		x, _ := a.Number()
		y, _ := b.Number()
		return x == y
	case String:
		return a.Text == b.Text
	case List:
		for i := range a.Items {
			if !Equal(a.Items[i], b.Items[i]) {
				return false
			}
		}
	case Map:
		for _, f := range a.Fields {
			if !b.Has(f.Name) || !Equal(f.Value, b.Get(f.Name)) {
				return false
			}
		}
	}
	return true
}

// Walk calls visit for n and everything below it, parents first, with the path
// from n. It does not go below a value for which visit returns false.
func (n *Node) Walk(visit func(path Path, n *Node) bool) { walk(n, nil, visit) }

func walk(n *Node, path Path, visit func(Path, *Node) bool) {
	if n == nil || !visit(path, n) {
		return
	}
	for _, f := range n.Fields {
		walk(f.Value, append(path, f.Name), visit)
	}
	for i, item := range n.Items {
		walk(item, append(path, strconv.Itoa(i)), visit)
	}
}

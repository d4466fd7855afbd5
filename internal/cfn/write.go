package cfn

import (
	"encoding/json"
	"strconv"
	"strings"
)

// JSON writes a value as indented JSON with the keys in the order of the source
// and short forms, aliases and merges written out. It ends with a newline.
func (n *Node) JSON() []byte {
	var b strings.Builder
	n.writeJSON(&b, "")
	b.WriteByte('\n')
	return []byte(b.String())
}

func (n *Node) writeJSON(b *strings.Builder, indent string) {
	inner := indent + "  "
	switch n.Kind {
	case Map:
		if len(n.Fields) == 0 {
			b.WriteString("{}")
			return
		}
		b.WriteString("{\n")
		for i, f := range n.Fields {
			b.WriteString(inner + quoted(f.Name) + ": ")
			f.Value.writeJSON(b, inner)
			b.WriteString(comma(i, len(n.Fields)))
		}
		b.WriteString(indent + "}")
	case List:
		if len(n.Items) == 0 {
			b.WriteString("[]")
			return
		}
		b.WriteString("[\n")
		for i, item := range n.Items {
			b.WriteString(inner)
			item.writeJSON(b, inner)
			b.WriteString(comma(i, len(n.Items)))
		}
		b.WriteString(indent + "]")
	case String:
		b.WriteString(quoted(n.Text))
	case Bool:
		b.WriteString(strconv.FormatBool(n.Bool()))
	case Int, Float:
		b.WriteString(n.number())
	default:
		b.WriteString("null")
	}
}

func comma(i, of int) string {
	if i < of-1 {
		return ",\n"
	}
	return "\n"
}

func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// number writes a number as JSON does; YAML's other notations are computed.
func (n *Node) number() string {
	if json.Valid([]byte(n.Text)) {
		return n.Text
	}
	f, ok := ParseNumber(n.Text)
	if !ok {
		return quoted(n.Text)
	}
	if i := int64(f); float64(i) == f {
		return strconv.FormatInt(i, 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

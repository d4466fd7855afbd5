package gitlabci

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"refline/internal/diag"
)

func fromJSON(text string, at diag.Place) (*node, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more after the first value")
	}
	return fromGo(v, at, 0)
}

// fromGo makes a node of a Go value as encoding/json gives it, of any integer
// or float, or of []string.
func fromGo(v any, at diag.Place, depth int) (*node, error) {
	n := &node{at: at, size: 1}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch v := v.(type) {
	case nil:
	case string:
		n.kind, n.text = stringNode, v
	case bool:
		n.kind, n.text, n.truth = boolNode, strconv.FormatBool(v), v
	case json.Number:
		return numberNode(v.String(), at)
	case int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return numberNode(fmt.Sprint(v), at)
	case float32:
		return fromGo(float64(v), at, depth)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return numberNode(strconv.FormatFloat(v, 'f', 0, 64), at)
		}
		n.kind, n.num, n.text = floatNode, v, rubyFloat(v)
	case []any:
		n.kind = seqNode
		for _, item := range v {
			c, err := fromGo(item, at, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, c)
		}
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return fromGo(list, at, depth)
	case map[string]any:
		n.kind = mapNode
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			c, err := fromGo(v[name], at, depth+1)
			if err != nil {
				return nil, err
			}
			n.keys = append(n.keys, field{name: name, at: at, value: c})
		}
	default:
		return nil, fmt.Errorf("a value of type %T", v)
	}
	return n.seal(), nil
}

// numberNode reads a number as JSON writes it.
func numberNode(text string, at diag.Place) (*node, error) {
	n := (&node{kind: intNode, text: text, at: at}).seal()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, err
	}
	n.num = f
	if strings.ContainsAny(text, ".eE") {
		n.kind, n.text = floatNode, rubyFloat(f)
	}
	return n, nil
}

// rubyText writes a value as Ruby's to_s does.
func rubyText(n *node) string {
	if n.kind != seqNode && n.kind != mapNode {
		return n.text
	}
	var b bytes.Buffer
	inspect(&b, n)
	return b.String()
}

// inspect writes a value as Ruby's inspect does; keys are symbols.
func inspect(b *bytes.Buffer, n *node) {
	switch n.kind {
	case nullNode:
		b.WriteString("nil")
	case stringNode:
		b.WriteString(rubyQuote(n.text))
	case seqNode, referenceNode:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteString(", ")
			}
			inspect(b, item)
		}
		b.WriteByte(']')
	case mapNode:
		b.WriteByte('{')
		for i := range n.keys {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteByte(':')
			if name := n.keys[i].name; isRubyName(name) {
				b.WriteString(name)
			} else {
				b.WriteString(rubyQuote(name))
			}
			b.WriteString("=>")
			inspect(b, n.keys[i].value)
		}
		b.WriteByte('}')
	default:
		b.WriteString(n.text)
	}
}

func isRubyName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

func rubyQuote(s string) string {
	q := strconv.Quote(s)
	if strings.Contains(q, "#") {
		q = strings.NewReplacer("#{", `\#{`, "#$", `\#$`, "#@", `\#@`).Replace(q)
	}
	return q
}

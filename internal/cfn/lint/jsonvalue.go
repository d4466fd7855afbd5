package lint

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

func typesOf(v any) typeSet {
	var t typeSet
	names := stringsOf(v)
	if one, ok := v.(string); ok {
		names = []string{one}
	}
	for _, name := range names {
		if i := slices.Index(typeNames[:], name); i >= 0 {
			t |= 1 << i
		}
	}
	return t
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func namedStrings(v any) map[string][]string {
	m, _ := v.(map[string]any)
	out := make(map[string][]string, len(m))
	for k, x := range m {
		out[k] = stringsOf(x)
	}
	return out
}

func intOf(v any) int {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		if err == nil {
			return int(f)
		}
	}
	return 0
}

func floatOf(v any) *float64 {
	if n, ok := v.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			return &f
		}
	}
	return nil
}

func nodesOf(v any) []*cfn.Node {
	list, _ := v.([]any)
	out := make([]*cfn.Node, 0, len(list))
	for _, x := range list {
		out = append(out, nodeOf(x))
	}
	return out
}

// nodeOf is a value of a schema as a value of a template.
func nodeOf(v any) *cfn.Node {
	switch x := v.(type) {
	case string:
		return &cfn.Node{Kind: cfn.String, Text: x}
	case bool:
		return &cfn.Node{Kind: cfn.Bool, Text: strconv.FormatBool(x)}
	case json.Number:
		kind := cfn.Int
		if strings.ContainsAny(x.String(), ".eE") {
			kind = cfn.Float
		}
		return &cfn.Node{Kind: kind, Text: x.String()}
	case []any:
		return &cfn.Node{Kind: cfn.List, Items: nodesOf(v)}
	case map[string]any:
		n := &cfn.Node{Kind: cfn.Map}
		for k, e := range x {
			n.Fields = append(n.Fields, cfn.Field{Name: k, Value: nodeOf(e)})
		}
		slices.SortFunc(n.Fields, func(a, b cfn.Field) int { return strings.Compare(a.Name, b.Name) })
		return n
	default:
		return &cfn.Node{Kind: cfn.Null}
	}
}

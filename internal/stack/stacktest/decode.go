package stacktest

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decode reads JSON when the text begins like it, else YAML.
func decode(body string) (any, error) {
	if !strings.HasPrefix(strings.TrimSpace(body), "{") {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(body), &node); err != nil {
			return nil, invalid("Template format error: YAML not well-formed.")
		}
		return (&yamlReader{left: maxNodes}).read(&node, maxDepth), nil
	}
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		at := int64(len(body))
		if wrong := (*json.SyntaxError)(nil); errors.As(err, &wrong) {
			at = wrong.Offset
		}
		before := body[:min(max(at, 0), int64(len(body)))]
		line := 1 + strings.Count(before, "\n")
		column := len(before) - strings.LastIndex(before, "\n") // of what follows, as the service counts
		return nil, invalid("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("Template format error: JSON not well-formed.")
	}
	return plain(v), nil
}

// plain makes strings of all scalars but null.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return v
}

// yamlReader writes aliases out. It gives up, with null, at a depth and a number
// of nodes that only aliases of aliases have.
type yamlReader struct{ left int }

func (y *yamlReader) read(n *yaml.Node, depth int) any {
	if y.left--; y.left < 0 || depth == 0 {
		return nil
	}
	v := y.value(n, depth-1)
	name, short := strings.CutPrefix(n.Tag, "!")
	if !short || strings.HasPrefix(n.Tag, "!!") || name == "" {
		return v
	}
	switch name {
	case "Ref", "Condition":
	case "GetAtt":
		if s, ok := v.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			v = []any{resource, attribute}
		}
		name = "Fn::GetAtt"
	default:
		name = "Fn::" + name
	}
	return map[string]any{name: v}
}

func (y *yamlReader) value(n *yaml.Node, depth int) any {
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil
		}
		return y.read(n.Content[0], depth)
	case yaml.AliasNode:
		return y.read(n.Alias, depth)
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = y.read(n.Content[i+1], depth)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, y.read(c, depth))
		}
		return out
	default:
		if n.ShortTag() == "!!null" {
			return nil
		}
		return n.Value
	}
}

func findNull(v any, at string) string {
	switch v := v.(type) {
	case nil:
		return at
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if where := findNull(v[k], at+"/"+k); where != "" {
				return where
			}
		}
	case []any:
		for _, item := range v {
			if where := findNull(item, at); where != "" {
				return where
			}
		}
	}
	return ""
}

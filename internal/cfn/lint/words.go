package lint

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
)

// show writes a value for a message: short, on one line.
func show(n *cfn.Node) string {
	const longest = 80
	var b strings.Builder
	writeShort(&b, n, longest)
	text := []rune(b.String())
	if len(text) > longest {
		return string(text[:longest-1]) + "…"
	}
	return string(text)
}

func writeShort(b *strings.Builder, n *cfn.Node, room int) {
	if b.Len() > room {
		return
	}
	switch {
	case n == nil || n.Kind == cfn.Null:
		b.WriteString("null")
	case n.Kind == cfn.String:
		b.WriteString(strconv.Quote(n.Text))
	case n.Kind == cfn.List:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteString(", ")
			}
			writeShort(b, item, room)
		}
		b.WriteByte(']')
	case n.Kind == cfn.Map:
		b.WriteByte('{')
		for i, f := range n.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name + ": ")
			writeShort(b, f.Value, room)
		}
		b.WriteByte('}')
	default:
		b.WriteString(n.Text)
	}
}

func kindWord(n *cfn.Node) string {
	if n.Kind == cfn.Null {
		return "null"
	}
	return n.Kind.Article()
}

// typeWords names types: "a string", "a list or a map".
func typeWords(t typeSet) string {
	var words []string
	for i, w := range [...]string{"a list", "a boolean", "an integer", "a number", "a map", "a string", "null", "a date"} {
		if t>>i&1 == 1 {
			words = append(words, w)
		}
	}
	return strings.Join(words, " or ")
}

func counted(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}

// listed writes the allowed values; of many, those that are nearest to n.
func listed(nodes []*cfn.Node, n *cfn.Node) string {
	const most = 12
	if len(nodes) <= most {
		out := make([]string, len(nodes))
		for i, x := range nodes {
			out[i] = show(x)
		}
		return strings.Join(out, ", ")
	}
	names := map[string]bool{}
	for _, x := range nodes {
		names[x.Text] = true
	}
	if near := nearest(n.Text, names); near != "" {
		return strconv.Itoa(len(nodes)) + " values; the nearest is " + strconv.Quote(near)
	}
	out := make([]string, 0, most)
	for _, x := range nodes[:most-2] {
		out = append(out, show(x))
	}
	return strings.Join(out, ", ") + ", … (" + strconv.Itoa(len(nodes)) + " in all)"
}

func present(n *cfn.Node, names []string) []string {
	var out []string
	for _, name := range names {
		if n.Has(name) {
			out = append(out, name)
		}
	}
	return out
}

func fieldIndex(n *cfn.Node, name string) int {
	return slices.IndexFunc(n.Fields, func(f cfn.Field) bool { return f.Name == name })
}

// same reports whether two values are equal to CloudFormation: "1" and 1, and
// "true" and true, are.
func same(a, b *cfn.Node) bool {
	if a.Kind == cfn.Bool || b.Kind == cfn.Bool || a.Kind == cfn.String && isBooleanText(a.Text) && b.Kind == cfn.String {
		x, ok1 := booleanOf(a)
		y, ok2 := booleanOf(b)
		return ok1 && ok2 && x == y
	}
	if single(a) && single(b) && (a.Kind == cfn.String || b.Kind == cfn.String) {
		return a.Text == b.Text
	}
	if a.Kind == cfn.List && b.Kind == cfn.List {
		return slices.EqualFunc(a.Items, b.Items, same)
	}
	if a.Kind == cfn.Map && b.Kind == cfn.Map {
		return len(a.Fields) == len(b.Fields) && !slices.ContainsFunc(a.Fields, func(f cfn.Field) bool {
			return !b.Has(f.Name) || !same(f.Value, b.Get(f.Name))
		})
	}
	return cfn.Equal(a, b)
}

func single(n *cfn.Node) bool { return n.Kind != cfn.List && n.Kind != cfn.Map && n.Kind != cfn.Null }

func booleanOf(n *cfn.Node) (value, ok bool) {
	switch n.Kind {
	case cfn.Bool:
		return n.Bool(), true
	case cfn.String:
		return strings.EqualFold(n.Text, "true"), isBooleanText(n.Text)
	}
	return false, false
}

func oneOfNodes(n *cfn.Node, list []*cfn.Node, fold bool) bool {
	return slices.ContainsFunc(list, func(x *cfn.Node) bool {
		if fold && n.Kind == cfn.String && x.Kind == cfn.String {
			return strings.EqualFold(n.Text, x.Text)
		}
		return same(n, x)
	})
}

// duplicateItem returns an item that a list has twice.
func duplicateItem(n *cfn.Node) *cfn.Node {
	seen := make(map[string]bool, len(n.Items))
	for _, item := range n.Items {
		key := ""
		if single(item) && item.Kind != cfn.Bool {
			key = item.Text
		} else {
			key = "\x00" + canonical(item)
		}
		if seen[key] {
			return item
		}
		seen[key] = true
	}
	return nil
}

func uniqueBy(n *cfn.Node, keys []string) bool {
	seen := map[string]bool{}
	for _, item := range n.Items {
		var key strings.Builder
		complete := true
		for _, k := range keys {
			v := item.Get(k)
			complete = complete && v != nil
			key.WriteString(canonical(v) + "\x00")
		}
		if !complete {
			continue
		}
		if seen[key.String()] {
			return false
		}
		seen[key.String()] = true
	}
	return true
}

// nearest finds the name that name was probably meant to be, "" for none.
func nearest[V any](name string, names map[string]V) string {
	best, bestDistance := "", max(len(name)/3, 1)+1
	for _, candidate := range slices.Sorted(maps.Keys(names)) {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		if d := diag.EditDistance(name, candidate, bestDistance-1); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

func nearestHint[V any](name string, names map[string]V) string {
	if near := nearest(name, names); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

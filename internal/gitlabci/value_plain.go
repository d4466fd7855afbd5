package gitlabci

import (
	"refline/internal/diag"
	"strconv"
	"strings"
)

// describe names the type of a node, and shows a string.
func describe(n *node) string {
	if n.kind == stringNode {
		return "the string " + quote(shorten(n.text))
	}
	return whatIs(n)
}

// plain turns a node into strings, bools, numbers, lists and maps.
func plain(n *node) any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case boolNode:
		return n.truth
	case intNode, floatNode:
		if n.kind == intNode && n.num == float64(int(n.num)) {
			return int(n.num)
		}
		return n.num
	case stringNode:
		return n.text
	case seqNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plain(item)
		}
		return list
	case mapNode:
		return plainMap(n)
	default:
		return nil
	}
}

func plainMap(n *node) map[string]any {
	if absent(n) || n.kind != mapNode {
		return nil
	}
	m := make(map[string]any, len(n.keys))
	for i := range n.keys {
		m[n.keys[i].name] = plain(n.keys[i].value)
	}
	return m
}

func quote(s string) string { return strconv.Quote(s) }

func shorten(s string) string {
	const most = 40
	if line, _, more := strings.Cut(s, "\n"); more || len(line) > most {
		if r := []rune(line); len(r) > most {
			line = string(r[:most])
		}
		return line + "…"
	}
	return s
}

// didYouMean is the hint for a name that is not among names; "" for none.
func didYouMean(name string, names []string) string {
	if n := diag.Nearest(name, names); n != "" {
		return "did you mean " + quote(n) + "?"
	}
	return ""
}

package gitlabci

import (
	"refline/internal/diag"
	"strconv"
	"strings"
)

// describe names the value of a node in findings, with the text of a string.
func describe(n *node) string {
	if n.kind == stringNode {
		return "the string " + quote(shorten(n.text))
	}
	return whatIs(n)
}

// plain converts a node to strings, bools, numbers, lists and maps.
func plain(n *node) any {
	return plainWith(n, func(n *node) any {
		if n.kind == intNode && n.num == float64(int(n.num)) {
			return int(n.num)
		}
		return n.num
	})
}

// plainWith is plain with another conversion of numbers.
func plainWith(n *node, number func(*node) any) any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case boolNode:
		return n.truth
	case intNode, floatNode:
		return number(n)
	case stringNode:
		return n.text
	case seqNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plainWith(item, number)
		}
		return list
	case mapNode:
		m := make(map[string]any, len(n.keys))
		for i := range n.keys {
			m[n.keys[i].name] = plainWith(n.keys[i].value, number)
		}
		return m
	default:
		return nil
	}
}

func plainMap(n *node) map[string]any {
	if absent(n) || n.kind != mapNode {
		return nil
	}
	return plain(n).(map[string]any)
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

// didYouMean suggests one of names for an unknown name, "" without a similar one.
func didYouMean(name string, names []string) string {
	if n := diag.Nearest(name, names); n != "" {
		return "did you mean " + quote(n) + "?"
	}
	return ""
}

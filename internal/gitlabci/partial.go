package gitlabci

import "strings"

// partial knows what can be said for certain of a configuration of which
// something could not be read or resolved. A file that is missing may add keys to
// the maps that are there; lists it can only replace, or be replaced by. A nil
// partial is that of a configuration that is complete.
type partial struct {
	root   *node
	listed map[*node]bool // the maps that a list is around; nil until asked for
}

// mayChange reports whether an error of rule about n may be none once all is
// known: a block in n stands for any value, and what a map lacks may be added.
func (p *partial) mayChange(n *node, rule string) bool {
	if p == nil {
		return false
	}
	return holdsBlock(n) || rule == "value" && n.kind == mapNode && !p.inList(n)
}

// unknownName reports whether name is that of a key only once blocks in it are
// resolved.
func (p *partial) unknownName(name string) bool {
	return p != nil && strings.Contains(name, blockOpen)
}

// holdsBlock reports whether a block that is not resolved stands in n. Of a
// value too large to look through it is said without looking.
func holdsBlock(n *node) bool {
	const large = 10_000
	if n.size > large || strings.Contains(n.text, blockOpen) {
		return true
	}
	for _, item := range n.items {
		if holdsBlock(item) {
			return true
		}
	}
	for i := range n.keys {
		if strings.Contains(n.keys[i].name, blockOpen) || holdsBlock(n.keys[i].value) {
			return true
		}
	}
	return false
}

// inList reports whether a list is around the map n.
func (p *partial) inList(n *node) bool {
	if p.listed == nil {
		p.listed = map[*node]bool{}
		p.walk(p.root, false, map[*node]bool{})
	}
	return p.listed[n]
}

func (p *partial) walk(n *node, inList bool, seen map[*node]bool) {
	if p.listed[n] || !inList && seen[n] || len(n.items)+len(n.keys) == 0 && n.kind != mapNode {
		return
	}
	seen[n] = true
	if inList {
		p.listed[n] = true
	}
	for _, item := range n.items {
		p.walk(item, true, seen)
	}
	for i := range n.keys {
		p.walk(n.keys[i].value, inList, seen)
	}
}

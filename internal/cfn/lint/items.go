package lint

import (
	"strconv"
	"strings"

	"refline/internal/cfn"
)

func (e *engine) list(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	items := s.items
	if items == nil && s.types&tArray != 0 && sc.functions != 0 {
		items = allTypes
	}
	for i, item := range n.Items {
		here := at.item(i, item)
		switch {
		case i < len(s.prefixItems):
			e.check(sc, here.as("*"), s.prefixItems[i], item, out)
		case items != nil && !items.never:
			e.check(sc, here.as("*"), items, item, out)
		case items != nil && s.items != nil:
			e.report(sc, at, s, n, "items", "at most "+counted(len(s.prefixItems), "item")+", found "+strconv.Itoa(len(n.Items)), out)
			return
		}
	}
	if s.contains != nil {
		e.contains(sc, at, s, n, out)
	}
	if s.maxUniqueItems > 0 {
		distinct := map[string]bool{}
		for _, item := range n.Items {
			distinct[canonical(item)] = true
		}
		if len(distinct) > s.maxUniqueItems {
			e.report(sc, at, s, n, "maxUniqueItems", "at most "+counted(s.maxUniqueItems, "different item")+", found "+strconv.Itoa(len(distinct)), out)
		}
	}
	if len(s.uniqueKeys) > 0 && !uniqueBy(n, s.uniqueKeys) {
		e.report(sc, at, s, n, "uniqueKeys", "two items have the same "+strings.Join(s.uniqueKeys, " and "), out)
	}
}

func (e *engine) contains(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	open := false
	for i, item := range n.Items {
		var inner problems
		e.check(sc, at.item(i, item), s.contains, item, &inner)
		switch {
		case len(inner.list) == 0:
			return
		case len(inner.known()) == 0:
			open = true
		}
	}
	if open {
		out.add(problem{unknown: true})
		return
	}
	e.report(sc, at, s, n, "contains", "no item has the required form", out)
}

func (e *engine) unique(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	twice := duplicateItem(n)
	if twice == nil {
		return
	}
	if *s.uniqueItems {
		e.report(sc, at, s, n, "uniqueItems", show(twice)+" is in the list twice", out)
		return
	}
	out.add(problem{path: at.path, rule: "I3037", fixed: true, message: show(twice) + " is in the list twice"})
}

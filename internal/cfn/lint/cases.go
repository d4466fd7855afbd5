package lint

import (
	"slices"

	"refline/internal/cfn"
)

// variant is a value as one combination of conditions leaves it.
type variant struct {
	value *cfn.Node
	scope *scope
}

// mostCases is how many combinations of conditions are tried for one value.
const mostCases = 128

// cases gives n for each combination of the conditions directly in
// it, without what is AWS::NoValue then. Most values have one: themselves.
func (e *engine) cases(sc *scope, n *cfn.Node) []variant {
	if sc.functions&(fnIf|fnRef) == 0 {
		return []variant{{n, sc}}
	}
	names := conditionsIn(n, true, nil)
	if len(names) == 0 {
		if v, changed := chooseBranches(sc, n, nil, true); changed {
			if v == nil {
				return nil
			}
			return []variant{{v, sc}}
		}
		return []variant{{n, sc}}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var out []variant
	tried := 0
	var try func(i int, a *assumption)
	try = func(i int, a *assumption) {
		if tried >= mostCases {
			return
		}
		if i == len(names) {
			tried++
			if v, _ := chooseBranches(sc, n, a, true); v != nil {
				out = append(out, variant{v, sc.with(func(c *scope) { c.conds = a })})
			}
			return
		}
		for _, value := range []bool{true, false} {
			if next, ok := e.conds.assume(a, names[i], value, false); ok {
				try(i+1, next)
			}
		}
	}
	try(0, sc.conds)
	return out
}

// conditionsIn collects the conditions of Fn::If in n itself, not
// deeper: in the values of a map or list.
func conditionsIn(n *cfn.Node, root bool, names []string) []string {
	if n.Kind == cfn.List {
		for _, item := range n.Items {
			names = conditionsIn(item, false, names)
		}
		return names
	}
	if n.Kind != cfn.Map {
		return names
	}
	if bit, arg := anyFunction(n); bit != 0 {
		if bit == fnIf && wellFormedIf(arg) {
			names = append(names, arg.Items[0].Text)
			names = conditionsIn(arg.Items[1], root, names)
			names = conditionsIn(arg.Items[2], root, names)
		}
		return names
	}
	if root {
		for _, f := range n.Fields {
			names = conditionsIn(f.Value, false, names)
		}
	}
	return names
}

func wellFormedIf(arg *cfn.Node) bool {
	return arg.Kind == cfn.List && len(arg.Items) == 3 && arg.Items[0].IsString()
}

// chooseBranches replaces each Fn::If of n by the branch that a chooses, and leaves out
// what is null. It returns nil for what is AWS::NoValue, and whether anything changed.
func chooseBranches(sc *scope, n *cfn.Node, a *assumption, root bool) (*cfn.Node, bool) {
	switch n.Kind {
	case cfn.List:
		var items []*cfn.Node
		changed := false
		for i, item := range n.Items {
			v, ch := chooseBranches(sc, item, a, false)
			if v != nil && v.Kind == cfn.Null {
				v, ch = nil, true
			}
			if ch && !changed {
				changed = true
				items = append(items, n.Items[:i]...)
			}
			if changed && v != nil {
				items = append(items, v)
			}
		}
		if !changed {
			return n, false
		}
		return &cfn.Node{Kind: cfn.List, Items: items, Pos: n.Pos}, true
	case cfn.Map:
		return chooseMapBranches(sc, n, a, root)
	}
	return n, false
}

func chooseMapBranches(sc *scope, n *cfn.Node, a *assumption, root bool) (*cfn.Node, bool) {
	bit, arg := anyFunction(n)
	if bit == fnIf && sc.functions&fnIf != 0 {
		if !wellFormedIf(arg) {
			return n, false
		}
		value, known := a.find(arg.Items[0].Text)
		if !known {
			return n, false
		}
		branch := arg.Items[2]
		if value {
			branch = arg.Items[1]
		}
		v, _ := chooseBranches(sc, branch, a, root)
		return v, true
	}
	if bit == fnRef && sc.functions&fnRef != 0 && n.IsNoValue() {
		return nil, true
	}
	if !root {
		return n, false
	}
	var fields []cfn.Field
	changed := false
	for i, f := range n.Fields {
		v, ch := chooseBranches(sc, f.Value, a, false)
		if v != nil && v.Kind == cfn.Null {
			v, ch = nil, true
		}
		if ch && !changed {
			changed = true
			fields = append(fields, n.Fields[:i]...)
		}
		if changed && v != nil {
			fields = append(fields, cfn.Field{Name: f.Name, Pos: f.Pos, Value: v})
		}
	}
	if !changed {
		return n, false
	}
	return &cfn.Node{Kind: cfn.Map, Fields: fields, Pos: n.Pos}, true
}

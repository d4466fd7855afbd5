package lint

import (
	"slices"
	"strconv"

	"refline/internal/cfn"
)

// lookUp is one Fn::FindInMap on its way through a mapping.
type lookUp struct {
	e          *engine
	arg        *cfn.Node
	hasDefault bool
	found      bool
	fails      []problem
	scopes     []*scope // of fails
	yield      receive
}

// fail notes why a combination of keys finds nothing. It counts when no other
// one finds anything and there is no default.
func (l *lookUp) fail(sc *scope, item int, message, hint string) bool {
	if !l.hasDefault {
		l.fails = append(l.fails, problem{keyword: strconv.Itoa(item), message: message, hint: hint})
		l.scopes = append(l.scopes, sc)
	}
	return true
}

func (e *engine) findInMap(sc *scope, arg *cfn.Node, yield receive) bool {
	if arg.Kind != cfn.List || len(arg.Items) != 3 && len(arg.Items) != 4 {
		return true
	}
	l := lookUp{e: e, arg: arg, yield: yield}
	if len(arg.Items) == 4 {
		if d := arg.Items[3].Get("DefaultValue"); d != nil {
			l.hasDefault = true
			if !e.resolve(sc, d, yield) {
				return false
			}
		}
	}
	ok := true
	switch {
	case e.mappings.Has("Fn::Transform"), refsPseudo(arg.Items[0]):
		return true
	case e.mappings == nil || len(e.mappings.Fields) == 0:
		l.fail(sc, 0, show(arg.Items[0])+" is not a mapping: the template has no mappings", "")
	default:
		ok = e.resolve(sc, arg.Items[0], l.mapping)
	}
	if !ok || l.found {
		return ok
	}
	for i := range l.fails {
		if !yield(nil, l.scopes[i], &l.fails[i]) {
			return false
		}
	}
	return true
}

func (l *lookUp) mapping(name *cfn.Node, sc *scope, fail *problem) bool {
	if fail != nil || !name.IsString() {
		return true
	}
	m := l.e.mappings.Get(name.Text)
	switch {
	case m == nil:
		return l.fail(sc, 0, show(name)+" is not a mapping of this template", nearestHint(name.Text, fieldNames(l.e.mappings)))
	case m.Has("Fn::Transform") || refsPseudo(l.arg.Items[2]):
		return true
	case refsPseudo(l.arg.Items[1]):
		return l.e.anyTopKey(sc, l.arg, m, l.hasDefault, &l.found, l.yield)
	}
	return l.e.resolve(sc, l.arg.Items[1], func(top *cfn.Node, tsc *scope, fail *problem) bool {
		if fail != nil || top.Kind != cfn.String && top.Kind != cfn.Int {
			return true
		}
		keys := m.Get(top.Text)
		switch {
		case keys == nil:
			return l.fail(tsc, 1, show(top)+" is not a key of the mapping "+name.Text, nearestHint(top.Text, fieldNames(m)))
		case keys.Has("Fn::Transform"):
			return true
		}
		plain := tsc.with(func(x *scope) { x.noPseudo = true })
		return l.e.resolve(plain, l.arg.Items[2], func(second *cfn.Node, ssc *scope, fail *problem) bool {
			return fail != nil || l.value(second, ssc.with(func(x *scope) { x.noPseudo = tsc.noPseudo }), name.Text+"/"+top.Text, keys)
		})
	})
}

func (l *lookUp) value(second *cfn.Node, sc *scope, where string, keys *cfn.Node) bool {
	if second.Kind != cfn.String && second.Kind != cfn.Int {
		return true
	}
	v := keys.Get(second.Text)
	if v == nil {
		return l.fail(sc, 2, show(second)+" is not a key of "+where, nearestHint(second.Text, fieldNames(keys)))
	}
	l.found = true
	return l.yield(v, sc.with(func(x *scope) { x.origin = nil }), nil)
}

// anyTopKey is a look-up by a pseudo parameter: the second key must be under
// one of the first keys.
func (e *engine) anyTopKey(sc *scope, arg, m *cfn.Node, hasDefault bool, found *bool, yield receive) bool {
	second := arg.Items[2]
	if !second.IsString() {
		return true
	}
	_, name, _ := arg.Items[1].Function()
	for _, top := range m.Fields {
		if name.Text == "AWS::Region" && !slices.Contains(sc.regions, top.Name) {
			continue
		}
		if name.Text == "AWS::Partition" && !slices.ContainsFunc(sc.regions, func(r string) bool { return partition(r) == top.Name }) {
			continue
		}
		if v := top.Value.Get(second.Text); v != nil {
			*found = true
			inner := sc
			if name.Text == "AWS::Region" {
				inner = sc.with(func(x *scope) { x.regions = []string{top.Name} })
			}
			if !yield(v, inner.with(func(x *scope) { x.origin = nil }), nil) {
				return false
			}
		}
	}
	if *found || hasDefault {
		return true
	}
	for _, top := range m.Fields {
		if top.Value.Has(second.Text) {
			return true
		}
	}
	f := problem{keyword: "2", message: show(second) + " is not a key under any of the mapping's keys"}
	if name.Text == "AWS::Region" && !slices.ContainsFunc(m.Fields, func(top cfn.Field) bool { return slices.Contains(e.lint.archive.regions, top.Name) }) {
		f = problem{keyword: "1", message: "the mapping has no key that is a region"}
	}
	return yield(nil, sc, &f)
}

func refsPseudo(n *cfn.Node) bool {
	bit, arg := anyFunction(n)
	return bit == fnRef && arg.IsString() && isPseudo(arg.Text)
}

func fieldNames(n *cfn.Node) map[string]bool {
	names := make(map[string]bool, len(n.Fields))
	for _, f := range n.Fields {
		names[f.Name] = true
	}
	return names
}

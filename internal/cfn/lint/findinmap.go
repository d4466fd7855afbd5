package lint

import (
	"slices"
	"strconv"

	"refline/internal/cfn"
)

func (e *engine) findInMap(sc *scope, arg *cfn.Node, yield receive) bool {
	if arg.Kind != cfn.List || len(arg.Items) != 3 && len(arg.Items) != 4 {
		return true
	}
	hasDefault := false
	if len(arg.Items) == 4 {
		if d := arg.Items[3].Get("DefaultValue"); d != nil {
			hasDefault = true
			if !e.resolve(sc, d, yield) {
				return false
			}
		}
	}
	blame := func(item int, message, hint string) problem {
		return problem{keyword: strconv.Itoa(item), message: message, hint: hint}
	}
	if e.mappings == nil || len(e.mappings.Fields) == 0 || e.mappings.Has("Fn::Transform") {
		if hasDefault || e.mappings.Has("Fn::Transform") {
			return true
		}
		f := blame(0, show(arg.Items[0])+" is not a mapping: the template has none", "")
		return yield(nil, sc, &f)
	}
	if refsPseudo(arg.Items[0]) {
		return true
	}
	var fails []problem
	var failScopes []*scope
	found := false
	ok := e.resolve(sc, arg.Items[0], func(name *cfn.Node, nsc *scope, fail *problem) bool {
		if fail != nil || !name.IsString() {
			return true
		}
		m := e.mappings.Get(name.Text)
		if m == nil {
			if !hasDefault {
				fails = append(fails, blame(0, show(name)+" is not a mapping of this template", nearestHint(name.Text, fieldNames(e.mappings))))
				failScopes = append(failScopes, nsc)
			}
			return true
		}
		if m.Has("Fn::Transform") || refsPseudo(arg.Items[2]) {
			return true
		}
		if refsPseudo(arg.Items[1]) {
			return e.anyTopKey(nsc, arg, m, hasDefault, &found, yield)
		}
		return e.resolve(nsc, arg.Items[1], func(top *cfn.Node, tsc *scope, fail *problem) bool {
			if fail != nil || top.Kind != cfn.String && top.Kind != cfn.Int {
				return true
			}
			keys := m.Get(top.Text)
			if keys == nil {
				if !hasDefault {
					fails = append(fails, blame(1, show(top)+" is not a key of the mapping "+name.Text, nearestHint(top.Text, fieldNames(m))))
					failScopes = append(failScopes, tsc)
				}
				return true
			}
			if keys.Has("Fn::Transform") {
				return true
			}
			return e.resolve(tsc.with(func(x *scope) { x.noPseudo = true }), arg.Items[2], func(second *cfn.Node, ssc *scope, fail *problem) bool {
				if fail != nil || second.Kind != cfn.String && second.Kind != cfn.Int {
					return true
				}
				v := keys.Get(second.Text)
				if v == nil {
					if !hasDefault {
						fails = append(fails, blame(2, show(second)+" is not a key of "+name.Text+"/"+top.Text, nearestHint(second.Text, fieldNames(keys))))
						failScopes = append(failScopes, ssc)
					}
					return true
				}
				found = true
				return yield(v, ssc.with(func(x *scope) { x.origin, x.noPseudo = nil, sc.noPseudo }), nil)
			})
		})
	})
	if !ok || found {
		return ok
	}
	for i := range fails {
		if !yield(nil, failScopes[i], &fails[i]) {
			return false
		}
	}
	return true
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

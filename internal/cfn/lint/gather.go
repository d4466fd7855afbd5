package lint

import (
	"encoding/json"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// followed is a value found by a path, with where it is and under which
// conditions.
type followed struct {
	value *cfn.Node
	scope *scope
	at    place
}

// follow walks a path of keys and stars through n, into both branches of
// Fn::If. What is missing gives a nil value; other functions end the walk.
func (e *engine) follow(sc *scope, at place, n *cfn.Node, path []string) []followed {
	if bit, arg := anyFunction(n); bit != 0 {
		switch {
		case bit == fnIf && wellFormedIf(arg):
			var out []followed
			for i := 1; i <= 2; i++ {
				next, ok := e.conds.assume(sc.conds, arg.Items[0].Text, i == 1, true)
				if !ok {
					continue
				}
				here := at.key(n.Fields[0]).item(i, arg.Items[i])
				out = append(out, e.follow(sc.with(func(c *scope) { c.conds = next }), here, arg.Items[i], path)...)
			}
			return out
		case n.IsNoValue():
			return []followed{{nil, sc, at}}
		case len(path) == 0:
			return []followed{{n, sc, at}}
		}
		return nil
	}
	if len(path) == 0 {
		return []followed{{n, sc, at}}
	}
	if n != nil && n.Kind == cfn.List && path[0] == "*" {
		var out []followed
		for i, item := range n.Items {
			out = append(out, e.follow(sc, at.item(i, item), item, path[1:])...)
		}
		return out
	}
	i := -1
	if n != nil && n.Kind == cfn.Map {
		i = fieldIndex(n, path[0])
	}
	if i < 0 {
		return []followed{{nil, sc, at}}
	}
	return e.follow(sc, at.key(n.Fields[i]), n.Fields[i].Value, path[1:])
}

// referenced gives the resource that a Ref or Fn::GetAtt names.
func referenced(n *cfn.Node) (string, bool) {
	bit, arg := anyFunction(n)
	switch {
	case bit == fnRef && arg.IsString():
		return arg.Text, true
	case bit == fnGetAtt && arg.Kind == cfn.List && len(arg.Items) > 0:
		return arg.Items[0].Text, true
	case bit == fnGetAtt && arg.IsString():
		name, _, _ := strings.Cut(arg.Text, ".")
		return name, true
	}
	return "", false
}

// gather checks values of this resource and of those it refers to against each
// other (cfnGather).
func (e *engine) gather(sc *scope, at place, g *gatherSchema, n *cfn.Node, out *problems) {
	var primary *gatherEntry
	for i := range g.entries {
		if g.entries[i].reference != nil {
			primary = &g.entries[i]
			break
		}
	}
	if primary == nil {
		e.gathered(sc, at, g, n, nil, out)
		return
	}
	for _, f := range e.follow(sc, at, n, primary.reference) {
		if f.value == nil {
			continue
		}
		name, ok := referenced(f.value)
		if !ok {
			if f.value.Kind != cfn.Map {
				e.gathered(f.scope, at, g, n, nil, out)
			}
			continue
		}
		if !e.gathers(*primary, name) {
			continue
		}
		names := map[string]string{primary.name: name}
		for _, other := range g.entries {
			if other.reference == nil || other.name == primary.name {
				continue
			}
			for _, o := range e.follow(f.scope, at, n, other.reference) {
				if rn, ok := referenced(o.value); o.value != nil && ok && e.gathers(other, rn) {
					names[other.name] = rn
					break
				}
			}
		}
		e.gathered(f.scope, at, g, n, names, out)
	}
}

func (e *engine) gathers(entry gatherEntry, name string) bool {
	r := e.resources[name]
	return r != nil && !r.implied && (entry.filterType == "" || entry.filterType == r.kind)
}

// gathered puts the values of every entry into one map and checks that.
func (e *engine) gathered(sc *scope, at place, g *gatherSchema, n *cfn.Node, names map[string]string, out *problems) {
	all := &cfn.Node{Kind: cfn.Map}
	where := map[string]map[string]place{}
	for _, entry := range g.entries {
		name, remote := names[entry.name]
		if entry.reference != nil && !remote {
			continue
		}
		source, here := n, at
		var r *resource
		if remote {
			r = e.resources[name]
			source = r.node.Get("Properties")
			here = place{}.down("Resources", e.root.Pos).key(r.field).down("Properties", r.field.Pos)
			if i := fieldIndex(r.node, "Properties"); i >= 0 {
				here = place{}.down("Resources", e.root.Pos).key(r.field).key(r.node.Fields[i])
			}
		}
		values := &cfn.Node{Kind: cfn.Map}
		where[entry.name] = map[string]place{"": here}
		for _, p := range entry.properties {
			if p.isType {
				if r != nil {
					values.Fields = append(values.Fields, cfn.Field{Name: p.name, Value: text2node(r.kind, cfn.Pos{})})
				}
				continue
			}
			value := p.fallback
			steps := strings.Split(strings.Trim(p.path, "/"), "/")
			missing := here
			for _, step := range steps {
				missing = missing.down(step, cfn.Pos{})
			}
			where[entry.name][p.name] = missing
			for _, f := range e.follow(sc, here, source, steps) {
				if f.value != nil {
					value = f.value
					where[entry.name][p.name] = f.at
					break
				}
			}
			if value != nil {
				values.Fields = append(values.Fields, cfn.Field{Name: p.name, Value: value})
			}
		}
		all.Fields = append(all.Fields, cfn.Field{Name: entry.name, Value: values})
	}
	s := compile(fillIn(g.raw, all, false))
	var own problems
	e.check(sc, place{}, s, all, &own)
	for _, p := range own.known() {
		p.path = realPath(p.path, where, at)
		out.add(p)
	}
}

// realPath turns a path in the gathered map into one of the template.
func realPath(s *step, where map[string]map[string]place, at place) *step {
	path := s.path()
	if len(path) == 0 || where[path[0]] == nil {
		return at.path
	}
	entry := where[path[0]]
	if len(path) == 1 {
		return entry[""].path
	}
	here, ok := entry[path[1]]
	if !ok {
		here = entry[""].down(path[1], cfn.Pos{})
	}
	for _, name := range path[2:] {
		here = here.down(name, cfn.Pos{})
	}
	return here.path
}

// fillIn replaces {"$data": pointer} and {"$lookup": …} in a schema by the
// gathered values. What is not there or is a function cannot be compared.
func fillIn(v any, all *cfn.Node, literal bool) any {
	switch x := v.(type) {
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = fillIn(e, all, literal)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			switch k {
			case "const", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems":
				value, ok := dataValue(e, all, literal)
				switch {
				case !ok:
					out["cfnUnresolved"] = true
				case value != nil:
					out[k] = numberFor(k, value)
				}
			default:
				m, _ := e.(map[string]any)
				none, isList := m["functions"].([]any)
				out[k] = fillIn(e, all, literal || k == "cfnContext" && isList && len(none) == 0)
			}
		}
		return out
	}
	return v
}

// numberFor turns a text into the number that a keyword wants.
func numberFor(keyword string, value any) any {
	if text, ok := value.(string); ok && keyword != "const" && keyword != "enum" && keyword != "pattern" {
		return json.Number(text)
	}
	return value
}

func dataValue(v any, all *cfn.Node, literal bool) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return v, true
	}
	if l, ok := m["$lookup"].(map[string]any); ok {
		key, ok := dataValue(l["key"], all, literal)
		name, isText := key.(string)
		table, _ := l["map"].(map[string]any)
		if found, has := table[name]; ok && isText && has {
			return found, true
		}
		return nil, false
	}
	pointer, ok := m["$data"].(string)
	if !ok {
		return v, true
	}
	n := all
	for step := range strings.SplitSeq(strings.Trim(pointer, "/"), "/") {
		switch {
		case n == nil:
		case n.Kind == cfn.List:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(n.Items) {
				return nil, false
			}
			n = n.Items[i]
		default:
			n = n.Get(step)
		}
	}
	if n == nil {
		return nil, false
	}
	if bit, _ := anyFunction(n); bit != 0 && !literal {
		return nil, false
	}
	return jsonOf(n), true
}

// jsonOf is a value as a decoder with UseNumber gives it.
func jsonOf(n *cfn.Node) any {
	switch n.Kind {
	case cfn.Map:
		m := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			m[f.Name] = jsonOf(f.Value)
		}
		return m
	case cfn.List:
		l := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			l = append(l, jsonOf(item))
		}
		return l
	case cfn.Int, cfn.Float:
		return json.Number(n.Text)
	}
	return plain(n)
}

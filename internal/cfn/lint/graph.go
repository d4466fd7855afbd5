package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// edge is a use of a resource by another one or by an output.
type edge struct {
	from, to string
	kind     string // Ref, GetAtt, Sub, DependsOn
	at       *step
	conds    *assumption // of Fn::If on the way, and of the user itself
}

// graph is who uses whom in the template.
type graph struct {
	edges []edge
	// used are names of parameters, conditions and mappings that are used.
	params, conds, maps map[string]bool
	anyMap              bool // a mapping's name is computed
}

func (e *engine) graph() *graph {
	g := &graph{params: map[string]bool{}, conds: map[string]bool{}, maps: map[string]bool{}}
	if e.template.Root != e.root {
		// What only a loop or Globals uses is used.
		for _, f := range e.template.Root.Fields {
			e.uses(g, "", place{}, f.Value, nil)
		}
	}
	for _, f := range e.root.Fields {
		at := place{}.key(f)
		if f.Name != "Resources" && f.Name != "Outputs" {
			e.uses(g, "", at, f.Value, nil)
			continue
		}
		for _, x := range f.Value.Fields {
			from := x.Name
			if f.Name == "Outputs" {
				from = "Outputs/" + x.Name
			}
			var conds *assumption
			if c := x.Value.Get("Condition"); c.IsString() {
				g.conds[c.Text] = true
				conds = &assumption{name: c.Text, value: true, hard: true}
			}
			e.dependsOn(g, from, at.key(x), x.Value, conds)
			e.uses(g, from, at.key(x), x.Value, conds)
		}
	}
	return g
}

func (e *engine) dependsOn(g *graph, from string, at place, n *cfn.Node, conds *assumption) {
	i := fieldIndex(n, "DependsOn")
	if i < 0 {
		return
	}
	on := n.Fields[i].Value
	for _, d := range append([]*cfn.Node{on}, on.Items...) {
		if d.IsString() {
			g.edges = append(g.edges, edge{from, d.Text, "DependsOn", at.key(n.Fields[i]).path, conds})
		}
	}
}

func (e *engine) uses(g *graph, from string, at place, n *cfn.Node, conds *assumption) {
	bit, arg := anyFunction(n)
	in := at
	if bit != 0 {
		in = at.key(n.Fields[0])
	}
	add := func(name, kind string) {
		g.params[name] = true
		if e.named(name) && from != "" {
			g.edges = append(g.edges, edge{from, name, kind, at.path, conds})
		}
	}
	switch bit {
	case fnRef:
		if arg.IsString() {
			add(arg.Text, "Ref")
		} else if inner, text := anyFunction(arg); inner == fnSub && text.IsString() {
			add(text.Text, "Ref") // the language extensions allow it
		}
	case fnGetAtt:
		if name, ok := referenced(n); ok {
			add(name, "GetAtt")
		}
	case fnSub:
		e.subUses(arg, add)
	case fnCondition:
		if arg.IsString() {
			g.conds[arg.Text] = true
		}
	case fnFindInMap:
		if arg.Kind == cfn.List && len(arg.Items) > 0 {
			if arg.Items[0].IsString() {
				g.maps[arg.Items[0].Text] = true
			} else {
				g.anyMap = true
			}
		}
	case fnIf:
		if arg.Kind == cfn.List && len(arg.Items) > 0 && arg.Items[0].IsString() {
			g.conds[arg.Items[0].Text] = true
		}
		if wellFormedIf(arg) {
			for i := 1; i <= 2; i++ {
				e.uses(g, from, in.item(i, arg.Items[i]), arg.Items[i], &assumption{name: arg.Items[0].Text, value: i == 1, hard: true, next: conds})
			}
			return
		}
	}
	for _, f := range n.Fields {
		e.uses(g, from, at.key(f), f.Value, conds)
	}
	for i, item := range n.Items {
		e.uses(g, from, at.item(i, item), item, conds)
	}
}

func (e *engine) subUses(arg *cfn.Node, add func(name, kind string)) {
	text, given := arg, (*cfn.Node)(nil)
	if arg.Kind == cfn.List && len(arg.Items) > 0 {
		text = arg.Items[0]
		if len(arg.Items) > 1 {
			given = arg.Items[1]
		}
	}
	if !text.IsString() {
		return
	}
	for _, v := range cfn.Variables(text.Text) {
		if given.Has(v.Name) {
			continue
		}
		name, _, _ := strings.Cut(v.Name, ".")
		add(name, "Sub")
	}
}

// named reports whether there is a resource of a name, also one without a type.
func (e *engine) named(name string) bool {
	return e.resources[name] != nil || e.root.Get("Resources").Has(name)
}

// circles finds resources that wait for each other (E3004).
func (e *engine) circles(g *graph) {
	next := map[string][]string{}
	for _, x := range g.edges {
		// The Serverless transform makes several resources of one, so what looks
		// like a circle may be none.
		if strings.HasPrefix(e.kindOf(x.from), "AWS::Serverless::") {
			continue
		}
		if e.named(x.to) && e.named(x.from) {
			next[x.from] = append(next[x.from], x.to)
		}
	}
	var nodes []string
	if resources := e.root.Get("Resources"); resources != nil {
		for _, f := range resources.Fields {
			nodes = append(nodes, f.Name)
		}
	}
	groups := components(nodes, next)
	for _, name := range nodes {
		group := groups[name]
		if len(group) == 1 && !slices.Contains(next[name], name) {
			continue
		}
		message := "circular dependency: " + name + " depends on itself"
		if len(group) > 1 {
			others := slices.DeleteFunc(slices.Clone(group), func(o string) bool { return o == name })
			message = "circular dependency: " + name + " and " + strings.Join(others, ", ") + " depend on each other"
		}
		e.add("E3004", e.stepTo("Resources", name), message, "")
	}
}

func (e *engine) kindOf(name string) string {
	if r := e.resources[name]; r != nil {
		return r.kind
	}
	return ""
}

// components are the strongly connected components of a graph (Tarjan), by
// member.
func components(nodes []string, next map[string][]string) map[string][]string {
	index, low, on := map[string]int{}, map[string]int{}, map[string]bool{}
	var stack []string
	out := map[string][]string{}
	var visit func(string)
	visit = func(v string) {
		index[v] = len(index) + 1
		low[v] = index[v]
		stack, on[v] = append(stack, v), true
		for _, w := range next[v] {
			if index[w] == 0 {
				visit(w)
				low[v] = min(low[v], low[w])
			} else if on[w] {
				low[v] = min(low[v], index[w])
			}
		}
		if low[v] != index[v] {
			return
		}
		i := slices.Index(stack, v)
		group := slices.Clone(stack[i:])
		stack = stack[:i]
		slices.Sort(group)
		for _, w := range group {
			on[w] = false
			out[w] = group
		}
	}
	for _, v := range nodes {
		if index[v] == 0 {
			visit(v)
		}
	}
	return out
}

// availability finds uses of a resource that may not be there (W1001).
func (e *engine) availability(g *graph) {
	for _, x := range g.edges {
		to := e.resources[x.to]
		if to == nil || to.condition == "" || e.conds.named[to.condition] == nil || x.kind == "DependsOn" {
			continue
		}
		if x.from != "" && !e.conds.possible(x.conds, nil, false) {
			continue
		}
		if !e.conds.implies(x.conds, to.condition) {
			e.add("W1001", x.at, x.kind+" of "+x.to+", which is there only when "+strconv.Quote(to.condition)+" is true", "")
		}
	}
}

// unused finds parameters, mappings and conditions that nothing uses.
func (e *engine) unused(g *graph) {
	each := func(section string, f func(name string)) {
		if n := e.root.Get(section); n != nil && n.Kind == cfn.Map && !n.Has("Fn::Transform") {
			for _, x := range n.Fields {
				f(x.Name)
			}
		}
	}
	if !e.root.Has("Transform") || e.languages && !e.sam {
		each("Parameters", func(name string) {
			if !g.params[name] {
				e.add("W2001", e.stepTo("Parameters", name), "the parameter "+name+" is not used", "")
			}
		})
	}
	each("Mappings", func(name string) {
		if !g.maps[name] && !g.anyMap {
			e.add("W7001", e.stepTo("Mappings", name), "the mapping "+name+" is not used", "")
		}
	})
	each("Conditions", func(name string) {
		if !g.conds[name] {
			e.add("W8001", e.stepTo("Conditions", name), "the condition "+name+" is not used", "")
		}
	})
}

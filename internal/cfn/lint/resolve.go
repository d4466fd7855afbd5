package lint

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// mostValues is how many values one function is followed to.
const mostValues = 512

// receive gets a value that a function resolves to and the scope in which it
// does; or, when the function cannot be resolved, why: a problem whose keyword
// is the index of the argument to blame. It returns false to stop.
type receive func(v *cfn.Node, sc *scope, fail *problem) bool

// resolve follows n to the values it can have. A value that is not a function is
// its own; a function of which nothing is known has none.
func (e *engine) resolve(sc *scope, n *cfn.Node, yield receive) bool {
	bit, arg := anyFunction(n)
	if bit == 0 {
		return yield(n, sc, nil)
	}
	count := 0
	return e.resolve(sc, arg, func(arg *cfn.Node, asc *scope, fail *problem) bool {
		if fail != nil {
			return true
		}
		return e.resolveCall(asc, bit, arg, func(v *cfn.Node, vsc *scope, fail *problem) bool {
			if fail != nil {
				return yield(nil, vsc, fail)
			}
			for _, pinned := range e.inRegions(vsc) {
				if !e.conds.possible(pinned.conds, pinned.refs, false) {
					continue
				}
				if count++; count > mostValues {
					return false
				}
				if !yield(v, pinned.with(func(x *scope) { x.resolved = true }), nil) {
					return false
				}
			}
			return true
		})
	})
}

// inRegions gives the scope once for each region it is still about.
func (e *engine) inRegions(sc *scope) []*scope {
	if sc.refs.find("AWS::Region") != nil {
		return []*scope{sc}
	}
	var out []*scope
	for _, region := range sc.regions {
		out = append(out, sc.with(func(x *scope) {
			x.regions = []string{region}
			for _, name := range []string{"AWS::Region", "AWS::Partition", "AWS::URLSuffix", "AWS::StackId", "AWS::NotificationARNs"} {
				x.refs = &reference{name, pseudoValue(name, region), x.refs}
			}
		}))
	}
	return out
}

func (e *engine) resolveCall(sc *scope, bit fnSet, arg *cfn.Node, yield receive) bool {
	switch bit {
	case fnRef:
		if !arg.IsString() {
			return true
		}
		return e.refValues(sc, arg.Text, func(v *cfn.Node, vsc *scope) bool { return yield(v, vsc, nil) })
	case fnFindInMap:
		return e.findInMap(sc, arg, yield)
	case fnGetAZs:
		return e.zones(sc, arg, yield)
	case fnIf:
		if !wellFormedIf(arg) {
			return true
		}
		for i := 1; i <= 2; i++ {
			next, ok := e.conds.assume(sc.conds, arg.Items[0].Text, i == 1, true)
			if !ok {
				continue
			}
			if !e.resolve(sc.with(func(x *scope) { x.conds = next }), arg.Items[i], yield) {
				return false
			}
		}
	case fnJoin:
		return e.join(sc, arg, yield)
	case fnSelect:
		return e.choose(sc, arg, yield)
	case fnSplit:
		return e.split(sc, arg, yield)
	case fnSub:
		return e.sub(sc, arg, yield)
	case fnToJSONString:
		if text, err := json.Marshal(plain(arg)); err == nil {
			return yield(text2node(string(text), arg.Pos), sc, nil)
		}
	}
	return true
}

func text2node(text string, pos cfn.Pos) *cfn.Node {
	return &cfn.Node{Kind: cfn.String, Text: text, Pos: pos}
}

// plain is a value as encoding/json knows it.
func plain(n *cfn.Node) any {
	switch n.Kind {
	case cfn.Map:
		m := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			m[f.Name] = plain(f.Value)
		}
		return m
	case cfn.List:
		l := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			l = append(l, plain(item))
		}
		return l
	case cfn.Bool:
		return n.Bool()
	case cfn.Int, cfn.Float:
		f, _ := n.Number()
		return f
	case cfn.String:
		return n.Text
	}
	return nil
}

// refValues gives the values that a Ref can have: those of a pseudo parameter,
// or of a parameter its allowed values, else its default and bounds.
func (e *engine) refValues(sc *scope, name string, yield func(*cfn.Node, *scope) bool) bool {
	if isPseudo(name) && (sc.noPseudo || sc.pseudo != nil && !slices.Contains(sc.pseudo, name)) {
		return true
	}
	if v := sc.refs.find(name); v != nil {
		return yield(v, sc)
	}
	if isPseudo(name) {
		switch name {
		case "AWS::NoValue":
			return true
		case "AWS::AccountId", "AWS::StackName":
			return yield(pseudoValue(name, ""), sc)
		}
		for _, pinned := range e.inRegions(sc) {
			if !yield(pinned.refs.find(name), pinned) {
				return false
			}
		}
		return true
	}
	p := e.params[name]
	if p == nil {
		return true
	}
	for _, v := range p.values {
		inner := sc.with(func(x *scope) {
			x.origin, x.fromParameter = v.at, true
			x.refs = &reference{name, v.value, x.refs}
		})
		if !yield(v.value, inner) {
			return false
		}
	}
	return true
}

func (e *engine) zones(sc *scope, arg *cfn.Node, yield receive) bool {
	if !arg.IsString() {
		return true
	}
	regions := sc.regions
	if arg.Text != "" {
		regions = []string{arg.Text}
	}
	for _, region := range regions {
		list := &cfn.Node{Kind: cfn.List, Pos: arg.Pos}
		for _, letter := range "abc" {
			list.Items = append(list.Items, text2node(region+string(letter), arg.Pos))
		}
		if !yield(list, sc, nil) {
			return false
		}
	}
	return true
}

func (e *engine) join(sc *scope, arg *cfn.Node, yield receive) bool {
	if arg.Kind != cfn.List || len(arg.Items) != 2 {
		return true
	}
	return e.resolve(sc, arg.Items[0], func(delimiter *cfn.Node, dsc *scope, fail *problem) bool {
		if fail != nil || !delimiter.IsString() {
			return true
		}
		return e.resolve(dsc, arg.Items[1], func(list *cfn.Node, lsc *scope, fail *problem) bool {
			if fail != nil || list.Kind != cfn.List || len(list.Items) == 0 {
				return true
			}
			return e.joinItems(lsc, delimiter.Text, list.Items, nil, yield)
		})
	})
}

func (e *engine) joinItems(sc *scope, delimiter string, items []*cfn.Node, done []string, yield receive) bool {
	if len(items) == 0 {
		return yield(text2node(strings.Join(done, delimiter), cfn.Pos{}), sc.with(func(x *scope) { x.origin = nil }), nil)
	}
	return e.resolve(sc, items[0], func(v *cfn.Node, vsc *scope, fail *problem) bool {
		if fail != nil || !single(v) {
			return true
		}
		return e.joinItems(vsc, delimiter, items[1:], append(slices.Clip(done), textOf(v)), yield)
	})
}

// textOf is a single value as CloudFormation writes it into a text.
func textOf(n *cfn.Node) string {
	if n.Kind == cfn.Bool {
		return strconv.FormatBool(n.Bool())
	}
	return n.Text
}

func (e *engine) choose(sc *scope, arg *cfn.Node, yield receive) bool {
	if arg.Kind != cfn.List || len(arg.Items) != 2 {
		return true
	}
	return e.resolve(sc, arg.Items[0], func(index *cfn.Node, isc *scope, fail *problem) bool {
		if fail != nil {
			return true
		}
		i, err := strconv.Atoi(index.Text)
		if err != nil || i < 0 {
			return true
		}
		return e.resolve(isc, arg.Items[1], func(list *cfn.Node, lsc *scope, fail *problem) bool {
			if fail != nil || list.Kind != cfn.List || i >= len(list.Items) {
				return true
			}
			return e.resolve(lsc, list.Items[i], yield)
		})
	})
}

func (e *engine) split(sc *scope, arg *cfn.Node, yield receive) bool {
	if arg.Kind != cfn.List || len(arg.Items) != 2 {
		return true
	}
	return e.resolve(sc, arg.Items[0], func(delimiter *cfn.Node, _ *scope, fail *problem) bool {
		if fail != nil || !delimiter.IsString() || delimiter.Text == "" {
			return true
		}
		return e.resolve(sc, arg.Items[1], func(text *cfn.Node, tsc *scope, fail *problem) bool {
			if fail != nil || !text.IsString() {
				return true
			}
			list := &cfn.Node{Kind: cfn.List, Pos: text.Pos}
			for part := range strings.SplitSeq(text.Text, delimiter.Text) {
				list.Items = append(list.Items, text2node(part, text.Pos))
			}
			return yield(list, tsc, nil)
		})
	})
}

func (e *engine) sub(sc *scope, arg *cfn.Node, yield receive) bool {
	text, given := arg, (*cfn.Node)(nil)
	if arg.Kind == cfn.List {
		if len(arg.Items) != 2 || !arg.Items[0].IsString() || arg.Items[1].Kind != cfn.Map {
			return true
		}
		text, given = arg.Items[0], arg.Items[1]
	}
	if !text.IsString() {
		return true
	}
	return e.subVariables(sc, text, given, cfn.Variables(text.Text), 0, "", yield)
}

// subVariables replaces the variables from the i-th on; done is the text
// before it.
func (e *engine) subVariables(sc *scope, text, given *cfn.Node, vars []cfn.Variable, i int, done string, yield receive) bool {
	from := 0
	if i > 0 {
		from = vars[i-1].End
	}
	if i == len(vars) {
		all := strings.ReplaceAll(done+text.Text[from:], "${!", "${")
		return yield(text2node(all, text.Pos), sc.with(func(x *scope) { x.origin = nil }), nil)
	}
	v := vars[i]
	value := given.Get(v.Name)
	if value == nil {
		if strings.Contains(v.Name, ".") {
			return true
		}
		value = &cfn.Node{Kind: cfn.Map, Fields: []cfn.Field{{Name: "Ref", Value: text2node(v.Name, text.Pos)}}}
	}
	return e.resolve(sc, value, func(r *cfn.Node, rsc *scope, fail *problem) bool {
		if fail != nil || !single(r) {
			return true
		}
		return e.subVariables(rsc, text, given, vars, i+1, done+text.Text[from:v.Begin]+textOf(r), yield)
	})
}

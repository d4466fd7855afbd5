package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// expand writes out each Fn::ForEach of a template that declares the language
// extensions. A loop whose collection cannot be known is written out for one
// value, and every name that it may make counts as there. given are the values
// of parameters that are known. Without the transform each loop is a problem.
// For the Serverless transform it puts Globals into the resources.
// unknown are parameters whose values are not.
//
// What a loop over an unknown collection puts into a value is not known either:
// such a value is a Ref to [loopValue], of which nothing can be wrong.
func expand(t *cfn.Template, given map[string]string, unknown []string) (*cfn.Node, expander) {
	x := expander{on: t.HasTransform(cfn.LanguageExtensions), params: t.Root.Get("Parameters"), mappings: t.Root.Get("Mappings"),
		given: given, unknown: unknown, filled: map[*cfn.Node]bool{}, guessed: map[*cfn.Node]bool{}}
	root := x.node(t.Root, nil, nil)
	if t.HasTransform(cfn.Serverless) {
		root = withGlobals(root)
	}
	return root, x
}

type expander struct {
	on       bool
	params   *cfn.Node
	mappings *cfn.Node
	given    map[string]string
	unknown  []string // parameters
	problems []problem
	made     int
	filled   map[*cfn.Node]bool // texts that an identifier was put into
	open     []*regexp.Regexp   // names of resources that loops may make
	guessed  map[*cfn.Node]bool // made of a collection that cannot be known
}

// mostMade is how many keys all loops of a template may make.
const mostMade = 20_000

// variables are the identifiers of the loops around a value.
type variables struct {
	name, value string
	open        bool // the value is one of many that cannot be known
	next        *variables
}

func (v *variables) find(name string) *variables {
	for ; v != nil; v = v.next {
		if v.name == name {
			return v
		}
	}
	return nil
}

// opens reports whether a text has an identifier whose value is not known.
func (v *variables) opens(s string) bool {
	for ; v != nil; v = v.next {
		if v.open && (strings.Contains(s, "${"+v.name+"}") || strings.Contains(s, "&{"+v.name+"}")) {
			return true
		}
	}
	return false
}

// loopValue is the name of a parameter that every template with loops has: its
// value is one that a loop puts in and that is not known.
const loopValue = "\x00value of a loop"

func unknownValue(pos cfn.Pos) *cfn.Node {
	return &cfn.Node{Kind: cfn.Map, Pos: pos, Fields: []cfn.Field{{Name: "Ref", Pos: pos, Value: text2node(loopValue, pos)}}}
}

// attributeOf is the attribute in the argument of Fn::GetAtt: what follows the
// resource; nil when there is none.
func attributeOf(arg *cfn.Node) *cfn.Node {
	if arg.IsString() {
		if _, attribute, ok := strings.Cut(arg.Text, "."); ok {
			return text2node(attribute, arg.Pos)
		}
		return nil
	}
	if arg.Kind == cfn.List && len(arg.Items) == 2 {
		return arg.Items[1]
	}
	return nil
}

// keepsNames are the keys whose texts name something in the template, or are
// only read by people. A guess is good enough there: whatever a loop may make
// counts as there.
func keepsNames(key string) bool {
	switch key {
	case "Ref", "Fn::GetAtt", "Condition", "DependsOn", "Type", "Description":
		return true
	}
	return false
}

// replace puts the values into ${Name} and &{Name}.
func (v *variables) replace(s string) string {
	if v == nil || !strings.Contains(s, "{") {
		return s
	}
	for ; v != nil; v = v.next {
		s = strings.ReplaceAll(s, "${"+v.name+"}", v.value)
		plain := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return -1
		}, v.value)
		s = strings.ReplaceAll(s, "&{"+v.name+"}", plain)
	}
	return s
}

// names gives the pattern of the names that a key may make; nil when all are
// known.
func (v *variables) names(key string) *regexp.Regexp {
	const anything = "\x00"
	open := false
	for ; v != nil; v = v.next {
		c := *v
		c.next = nil
		if v.open && c.replace(key) != key {
			c.value, open = anything, true
			key = strings.ReplaceAll(key, "&{"+v.name+"}", anything)
		}
		key = c.replace(key)
	}
	if !open {
		return nil
	}
	pattern, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(key), anything, "[A-Za-z0-9]+") + "$")
	if err != nil {
		return nil
	}
	return pattern
}

// opensBelow reports whether a value has a text with, or a Ref to, an identifier
// whose value is not known.
func (v *variables) opensBelow(n *cfn.Node) bool {
	if v == nil || n == nil {
		return false
	}
	if bit, arg := anyFunction(n); bit == fnRef && arg.IsString() {
		found := v.find(arg.Text)
		return found != nil && found.open
	}
	return n.Kind == cfn.String && v.opens(n.Text) || slices.ContainsFunc(n.Items, v.opensBelow) ||
		slices.ContainsFunc(n.Fields, func(f cfn.Field) bool { return v.opensBelow(f.Value) })
}

func (x *expander) node(n *cfn.Node, at *step, vars *variables) *cfn.Node {
	switch n.Kind {
	case cfn.String:
		if vars.opens(n.Text) && !keepsNames(at.last()) {
			return unknownValue(n.Pos)
		}
		if text := vars.replace(n.Text); text != n.Text {
			c := *n
			c.Text = text
			x.filled[&c] = true
			return &c
		}
	case cfn.List:
		items := make([]*cfn.Node, len(n.Items))
		changed := false
		for i, item := range n.Items {
			items[i] = x.node(item, at, vars)
			changed = changed || items[i] != item
		}
		if changed {
			return &cfn.Node{Kind: cfn.List, Items: items, Pos: n.Pos}
		}
	case cfn.Map:
		return x.object(n, at, vars)
	}
	return n
}

func (x *expander) object(n *cfn.Node, at *step, vars *variables) *cfn.Node {
	bit, arg := anyFunction(n)
	switch {
	case bit == fnRef && arg.IsString():
		if v := vars.find(arg.Text); v != nil && v.open && !keepsNames(at.last()) {
			return unknownValue(n.Pos)
		} else if v != nil {
			return text2node(v.value, n.Pos)
		}
	case bit == fnSub && arg.IsString() && !keepsNames(at.last()) && vars.opens(arg.Text), bit == fnFindInMap && vars.opensBelow(arg),
		bit == fnGetAtt && vars.opensBelow(attributeOf(arg)):
		return unknownValue(n.Pos)
	case bit == fnSub && arg.IsString() && keepsNames(at.last()) && (at.last() == "DependsOn" || vars.opens(arg.Text)):
		// A name, once the identifiers are put in.
		if text := vars.replace(arg.Text); text != arg.Text && !strings.Contains(text, "${") {
			return text2node(text, n.Pos)
		}
		if vars.opens(arg.Text) {
			return unknownValue(n.Pos)
		}
	}
	if at.first(0) == "Resources" && at.has("Properties") && slices.ContainsFunc(n.Fields, func(f cfn.Field) bool { return vars.opens(f.Name) }) {
		return unknownValue(n.Pos) // which properties there are is not known
	}
	fields := make([]cfn.Field, 0, len(n.Fields))
	changed := false
	for _, f := range n.Fields {
		here := place{path: at}.key(f)
		if x.on && f.Name == "DependsOn" && f.Value.Kind == cfn.Null && at.first(0) == "Resources" {
			changed = true // the transform takes it out
			continue
		}
		if strings.HasPrefix(f.Name, "Fn::ForEach") {
			if !x.on {
				x.problems = append(x.problems, problem{path: here.path, rule: "E1032", fixed: true, message: f.Name + " needs the transform " + cfn.LanguageExtensions})
			}
			if more, ok := x.loop(f, here.path, vars); ok && x.on {
				x.twice(append(fields, n.Fields...), more, here.path)
				fields, changed = append(fields, more...), true
				continue
			}
			fields = append(fields, f)
			continue
		}
		next := cfn.Field{Name: vars.replace(f.Name), Pos: f.Pos, Value: x.node(f.Value, here.path, vars)}
		changed = changed || next.Name != f.Name || next.Value != f.Value
		fields = append(fields, next)
	}
	if !changed {
		return n
	}
	return &cfn.Node{Kind: cfn.Map, Fields: fields, Pos: n.Pos, Short: n.Short}
}

// twice reports the first key of a loop that already exists.
func (x *expander) twice(there, made []cfn.Field, at *step) {
	seen := make(map[string]bool, len(there)+len(made))
	for _, f := range there {
		seen[f.Name] = !x.guessed[f.Value]
	}
	for _, f := range made {
		if x.guessed[f.Value] {
			continue
		}
		if seen[f.Name] {
			x.problems = append(x.problems, problem{path: at, rule: "E0001", fixed: true, message: "the loop makes " + strconv.Quote(f.Name) + ", which already exists",
				hint: "put the identifier into the key, and each value into the collection only once"})
			return
		}
		seen[f.Name] = true
	}
}

// loop writes out one Fn::ForEach; ok is false when it is not well formed.
func (x *expander) loop(f cfn.Field, at *step, vars *variables) ([]cfn.Field, bool) {
	if f.Value.Kind != cfn.List || len(f.Value.Items) != 3 || !f.Value.Items[0].IsString() || f.Value.Items[2].Kind != cfn.Map {
		if x.on {
			x.problems = append(x.problems, problem{path: at, rule: "E1032", fixed: true,
				message: "Fn::ForEach takes three items: an identifier, a collection, and a map of the entries to create"})
		}
		return nil, false
	}
	id, body := f.Value.Items[0].Text, f.Value.Items[2]
	values, ok := x.collection(f.Value.Items[1], vars)
	if !ok { // one that stands for all of them: see loopValue
		values = []string{"A"}
	}
	var out []cfn.Field
	for _, value := range values {
		if x.made++; x.made > mostMade {
			break
		}
		inner := &variables{id, value, !ok, vars}
		if at.first(0) == "Resources" {
			for _, f := range body.Fields {
				if names := inner.names(f.Name); names != nil && f.Value.Has("Type") {
					x.open = append(x.open, names)
				}
			}
		}
		made := x.node(body, at, inner)
		for _, f := range made.Fields {
			if !ok {
				x.guessed[f.Value] = true
			}
			out = append(out, f)
		}
	}
	return out, true
}

// value is a parameter's value, where it can be known and shown.
func (x *expander) value(name string) string {
	p := x.params.Get(name)
	if kind := p.Get("Type"); kind.IsString() && strings.HasPrefix(kind.Text, "AWS::SSM::") {
		return "" // the text is the name of what will be taken
	}
	if hidden := p.Get("NoEcho"); hidden != nil {
		return ""
	}
	if text, ok := x.given[name]; ok {
		return text
	}
	if slices.Contains(x.unknown, name) {
		return ""
	}
	if d := p.Get("Default"); d != nil && single(d) {
		return textOf(d)
	}
	return ""
}

// collection gives the values of a loop, where they can be known.
func (x *expander) collection(n *cfn.Node, vars *variables) ([]string, bool) {
	if n.Kind == cfn.List {
		var out []string
		for _, item := range n.Items {
			switch {
			case item.IsString() && vars.opens(item.Text):
				return nil, false
			case single(item):
				out = append(out, vars.replace(textOf(item)))
			default:
				more, ok := x.collection(item, vars)
				if !ok {
					return nil, false
				}
				out = append(out, more...)
			}
		}
		return out, true
	}
	bit, arg := anyFunction(n)
	switch {
	case bit == fnRef && arg.IsString():
		if v := vars.find(arg.Text); v != nil {
			return []string{v.value}, !v.open
		}
		text := x.value(arg.Text)
		if text == "" {
			return nil, false
		}
		var out []string
		for part := range strings.SplitSeq(text, ",") {
			out = append(out, strings.TrimSpace(part))
		}
		return out, true
	case bit == fnFindInMap && arg.Kind == cfn.List && len(arg.Items) >= 3:
		keys := make([]string, 3)
		for i := range keys {
			key, ok := x.collection(&cfn.Node{Kind: cfn.List, Items: arg.Items[i : i+1]}, vars)
			if !ok || len(key) != 1 {
				return nil, false
			}
			keys[i] = key[0]
		}
		if v := x.mappings.Get(keys[0]).Get(keys[1]).Get(keys[2]); v != nil && v.Kind == cfn.List && !slices.ContainsFunc(v.Items, func(i *cfn.Node) bool { return !single(i) }) {
			return x.collection(v, vars)
		}
	}
	return nil, false
}

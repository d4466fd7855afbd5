package gitlabci

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/diag"
	"refline/internal/gitlabci/expr"
	"refline/internal/pipeline"
)

// resolvedInputs returns the value of each declared input: the given one, or that of
// its first matching rule, or its default. It reports missing and invalid values,
// which are nil. at is the place that gives the inputs (an include), who names the
// file that declares them.
func resolvedInputs(s spec, given *node, at diag.Place, who string, f *findings, b *budget) map[string]*node {
	x := inputResolver{f: f, at: at, who: who, values: make(map[string]*node, len(s.inputs)), given: map[string]*node{}}
	names, declared := make([]string, len(s.inputs)), make(map[string]bool, len(s.inputs))
	for i := range s.inputs {
		names[i] = s.inputs[i].name
		declared[names[i]] = true
	}
	if given != nil {
		for _, fd := range given.keys {
			if !declared[fd.name] {
				if s.unread {
					continue
				}
				f.errorf(fd.at, pipeline.InputSubject(fd.name), "unknown-input", "%s has no input %q", who, fd.name)
				f.hint(cmp.Or(b.suggest(fd.name, names), allNames(names)))
				continue
			}
			if fd.value.kind != nullNode {
				x.given[fd.name] = fd.value
			}
		}
	}
	for i := range s.inputs {
		in := &s.inputs[i]
		x.values[in.name] = nil
		if in.unread {
			continue
		}
		if v := x.resolve(in); !in.broken {
			x.values[in.name] = v
		}
	}
	return x.values
}

// allNames lists the declared names when they are few.
func allNames(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "it declares none"
	case n > 20:
		return ""
	}
	return "it has " + strings.Join(names, ", ")
}

type inputResolver struct {
	f      *findings
	at     diag.Place
	who    string
	given  map[string]*node
	values map[string]*node // of inputs declared earlier
}

func (x *inputResolver) resolve(s *inputSpec) *node {
	options, fallback := s.options, s.fallback
	if s.rules != nil {
		options, fallback = x.ruled(s)
	}
	value := x.given[s.name]
	if value != nil && s.rules != nil && value.kind == stringNode && value.text == "" {
		value = nil
	}
	if fallback != nil && fallback.kind != nullNode {
		v, ok := x.fit(s, options, fallback, "the default of input "+strconv.Quote(s.name))
		if !ok {
			return nil
		}
		fallback = v
	}
	switch {
	case value != nil:
		v, _ := x.fit(s, options, value, "input "+strconv.Quote(s.name))
		return v
	case fallback == nil && s.broken: // the default may be the invalid part
	case fallback == nil && x.at.Line == 0: // inputs of the root come from outside
		x.f.errorf(s.at, pipeline.InputSubject(s.name), "missing-input", "%s needs the input %q", x.who, s.name)
		x.f.hint("give it a value, or a default here")
	case fallback == nil:
		x.f.errorf(x.at, "", "missing-input", "%s needs the input %q", x.who, s.name)
		x.f.hint("give it a value, or a default at " + s.at.String())
	case fallback.kind == nullNode && s.kind == stringInput:
		return (&node{kind: stringNode, at: fallback.at}).seal()
	default:
		return fallback
	}
	return nil
}

// ruled returns the options and the default of the first rule that holds. An input
// is required when no rule has a default.
func (x *inputResolver) ruled(s *inputSpec) (options []*node, fallback *node) {
	for _, rule := range s.rules {
		if rule.fallback != nil {
			fallback = &node{kind: nullNode, at: s.at, size: 1}
		}
	}
	// a rule sees the given values, and inputs declared before this one
	scope := expr.Scope{Input: func(name string) (any, bool) { return goValue(cmp.Or(x.given[name], x.values[name])) }}
	for _, rule := range s.rules {
		holds := rule.condition == nil
		if !holds {
			e, err := expr.Parse(rule.condition.text)
			if err != nil {
				x.f.unreadable(rule.condition, "rules:if of input "+strconv.Quote(s.name), err)
				return nil, fallback
			}
			holds = e.True(scope)
		}
		if holds {
			if rule.fallback != nil {
				fallback = rule.fallback
			}
			return rule.options, fallback
		}
	}
	return nil, fallback
}

// goValue converts a scalar for an expression.
func goValue(n *node) (any, bool) {
	switch {
	case n == nil:
		return nil, false
	case n.kind == stringNode:
		return n.text, true
	case n.kind == boolNode:
		return n.truth, true
	case n.kind == intNode || n.kind == floatNode:
		return n.num, true
	}
	return n, true
}

// fit converts a value to the type of its input and checks it against options and
// regex. what names it in findings. A mistake in a value that is not in a file, such
// as one from the command line, is reported where the input is declared.
func (x *inputResolver) fit(s *inputSpec, options []*node, v *node, what string) (*node, bool) {
	at := v.at
	if at.Line == 0 {
		at = s.at
	}
	typed, ok := asInput(s.kind, v)
	if !ok {
		x.f.errorf(at, pipeline.InputSubject(s.name), "input-type", "%s must be %s, not %s", what, article(s.kind), shown(v))
		return nil, false
	}
	if options != nil && !allowed(s.kind, typed, options) {
		list := make([]string, len(options))
		for i, o := range options {
			list[i] = o.text
		}
		x.f.errorf(at, pipeline.InputSubject(s.name), "input-option", "%s cannot be %s", what, shown(v))
		x.f.hint("it can be " + strings.Join(list, ", "))
		return nil, false
	}
	if s.regex != nil && !s.regex.MatchString(typed.text) {
		x.f.errorf(at, pipeline.InputSubject(s.name), "input-regex", "%s does not match %s: %s", what, s.regex, shown(v))
		return nil, false
	}
	return typed, true
}

func article(k inputType) string {
	if k == arrayInput {
		return "an array"
	}
	return "a " + string(k)
}

// shown formats a value for a finding, shortened.
func shown(n *node) string {
	if n.kind != stringNode {
		return whatIs(n)
	}
	if r := []rune(n.text); len(r) > 60 {
		return strconv.Quote(string(r[:60])) + "…"
	}
	return strconv.Quote(n.text)
}

// asInput converts v to the type of an input. As on GitLab, a string is parsed as
// JSON for another type, and any value becomes its text for a string.
func asInput(k inputType, v *node) (*node, bool) {
	if k == stringInput {
		switch v.kind {
		case stringNode:
			return v, true
		case referenceNode:
			return nil, false
		}
		return (&node{kind: stringNode, text: rubyText(v), at: v.at}).seal(), true
	}
	if v.kind == stringNode {
		parsed, err := fromJSON(v.text, v.at)
		if err != nil {
			return nil, false
		}
		v = parsed
	}
	switch k {
	case numberInput:
		return v, v.kind == intNode || v.kind == floatNode
	case booleanInput:
		return v, v.kind == boolNode
	default:
		return v, v.kind == seqNode
	}
}

func allowed(k inputType, v *node, options []*node) bool {
	is := func(v *node) bool {
		return slices.ContainsFunc(options, func(o *node) bool {
			if k == stringInput {
				return o.text == v.text
			}
			return sameValue(o, v)
		})
	}
	if k != arrayInput {
		return is(v)
	}
	return !slices.ContainsFunc(v.items, func(item *node) bool { return !is(item) })
}

// sameValue compares as Ruby's == does: 5 equals 5.0, "5" does not.
func sameValue(a, b *node) bool {
	isNumber := func(n *node) bool { return n.kind == intNode || n.kind == floatNode }
	switch {
	case isNumber(a) && isNumber(b):
		return a.num == b.num
	case a.kind != b.kind || len(a.items) != len(b.items) || len(a.keys) != len(b.keys):
		return false
	case a.kind == mapNode:
		for i := range a.keys {
			other := b.get(a.keys[i].name)
			if other == nil || !sameValue(a.keys[i].value, other) {
				return false
			}
		}
		return true
	case a.kind == seqNode:
		for i := range a.items {
			if !sameValue(a.items[i], b.items[i]) {
				return false
			}
		}
		return true
	}
	return a.text == b.text
}

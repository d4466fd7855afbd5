package gitlabci

import (
	"regexp"
	"slices"
	"strings"

	"refline/internal/diag"
)

// maxOptions is how many options an input may have.
const maxOptions = 50

// inputType is the type of an input, by GitLab's name.
type inputType string

const (
	stringInput  inputType = "string"
	numberInput  inputType = "number"
	booleanInput inputType = "boolean"
	arrayInput   inputType = "array"
)

// inputSpec is one entry of spec:inputs.
type inputSpec struct {
	name     string
	about    string // its description
	at       diag.Place
	kind     inputType
	fallback *node   // default; nil without one, null for `default: null`
	options  []*node // nil without options
	regex    *regexp.Regexp
	rules    []inputRule
	broken   bool // something in it is wrong, so its value is not known
	unread   bool // values cannot be checked against it either
}

// inputRule gives other options and another default while condition holds.
type inputRule struct {
	condition *node   // nil for the last, which always holds
	options   []*node // nil without
	fallback  *node   // nil without
}

// spec is what the header of a file declares.
type spec struct {
	inputs    []inputSpec
	component []string // the $[[ component.x ]] that the file uses
	unread    bool     // there may be more inputs than these
}

// specReader reads headers, gathering everything that is wrong with them.
type specReader struct{ f *findings }

// readSpec reads the header of a file.
func (r specReader) readSpec(header *node) spec {
	r.onlyKeys(header, "the header", "spec")
	var s spec
	body := header.get("spec")
	switch {
	case body.kind == nullNode:
		return s
	case body.kind != mapNode:
		r.f.errorf(body.at, "", "spec", "spec: must be a map, not %s", whatIs(body))
		s.unread = true
		return s
	}
	s.unread = !r.onlyKeys(body, "spec", "inputs", "include", "component", "description")
	if d := body.get("description"); d != nil && d.kind != nullNode && (d.kind != stringNode || len([]rune(d.text)) > 256) {
		r.f.errorf(d.at, "", "spec", "spec:description must be a string of at most 256 characters")
	}
	inputs := body.get("inputs")
	s.inputs = r.inputs(inputs)
	s.unread = s.unread || !absent(inputs) && inputs.kind != mapNode
	s.component = r.component(body.get("component"))
	return s
}

// onlyKeys reports the keys of a map that are not among the known ones, and
// whether there are none.
func (r specReader) onlyKeys(n *node, where string, known ...string) bool {
	only := true
	for i := range n.keys {
		if name := n.keys[i].name; !slices.Contains(known, name) {
			only = false
			r.f.errorf(n.keys[i].at, "", "unknown-keyword", "%q is not a keyword of %s", name, where)
			if near := diag.Nearest(name, known); near != "" {
				r.f.hint("did you mean \"" + near + "\"?")
			} else {
				r.f.hint("known are " + strings.Join(known, ", "))
			}
		}
	}
	return only
}

func (r specReader) component(n *node) []string {
	if n == nil || n.kind == nullNode {
		return nil
	}
	known := []string{"name", "sha", "version", "reference"}
	items, wrong := n.items, n.kind != seqNode
	if wrong {
		r.f.errorf(n.at, "", "spec", "spec:component must be a list, not %s", whatIs(n))
	}
	var names []string
	for _, item := range items {
		if item.kind != stringNode || !slices.Contains(known, item.text) {
			r.f.errorf(item.at, "", "spec", "spec:component takes %s, not %s", strings.Join(known, ", "), whatIs(item))
			wrong = true
			continue
		}
		names = append(names, item.text)
	}
	if wrong { // any of them may be meant
		return known
	}
	return names
}

// inputs reads a map of inputs, in order.
func (r specReader) inputs(n *node) []inputSpec {
	if n == nil || n.kind == nullNode {
		return nil
	}
	if n.kind != mapNode {
		r.f.errorf(n.at, "", "spec", "spec:inputs must be a map, not %s", whatIs(n))
		return nil
	}
	list := make([]inputSpec, 0, len(n.keys))
	for i := range n.keys {
		before := len(r.f.list)
		s := r.input(&n.keys[i])
		for _, x := range r.f.list[before:] {
			s.broken, s.unread = true, s.unread || x.Rule != "unknown-keyword"
		}
		list = append(list, s)
	}
	return list
}

func (r specReader) input(fd *field) inputSpec {
	s := inputSpec{name: fd.name, at: fd.at, kind: stringInput}
	n := fd.value
	if n.kind == nullNode {
		return s
	}
	if n.kind != mapNode {
		r.errorf(n.at, s.name, "must be a map of default, description, options, regex, rules and type, not %s", whatIs(n))
		return s
	}
	r.onlyKeys(n, "the input "+s.name, "default", "description", "options", "regex", "rules", "type")
	if t := n.get("type"); t != nil && t.kind != nullNode {
		s.kind = r.kind(t, s.name)
	}
	if d := n.get("description"); d != nil && (d.kind == seqNode || d.kind == mapNode) {
		r.errorf(d.at, s.name, "has a description that is %s", whatIs(d))
	} else if d != nil {
		s.about = d.text
	}
	s.fallback = n.get("default")
	s.options = r.options(n.get("options"), s.name)
	s.regex = r.regex(n.get("regex"), &s)
	s.rules = r.rules(n.get("rules"), s.name)
	if s.rules != nil {
		for _, other := range []string{"options", "default"} {
			if n.get(other) != nil {
				r.errorf(n.keyAt(other), s.name, "cannot have both rules and %s", other)
			}
		}
	}
	if s.kind == booleanInput && s.options != nil {
		r.errorf(n.keyAt("options"), s.name, "is a boolean, which takes no options")
	}
	return s
}

func (r specReader) errorf(at diag.Place, input, format string, args ...any) {
	r.f.errorf(at, "", "spec", "input %q "+format, append([]any{input}, args...)...)
}

func (r specReader) kind(n *node, name string) inputType {
	kinds := []inputType{arrayInput, booleanInput, numberInput, stringInput}
	if n.kind == stringNode && slices.Contains(kinds, inputType(n.text)) {
		return inputType(n.text)
	}
	r.errorf(n.at, name, "has the unknown type %q", n.text)
	if near := diag.Nearest(n.text, []string{"array", "boolean", "number", "string"}); near != "" {
		r.f.hint("did you mean \"" + near + "\"?")
	} else {
		r.f.hint("the types are array, boolean, number and string")
	}
	return stringInput
}

func (r specReader) options(n *node, name string) []*node {
	if n == nil || n.kind == nullNode {
		return nil
	}
	if n.kind != seqNode {
		r.errorf(n.at, name, "has options that are %s instead of a list", whatIs(n))
		return nil
	}
	if len(n.items) > maxOptions {
		r.errorf(n.at, name, "has %d options; GitLab takes at most %d", len(n.items), maxOptions)
	}
	for _, item := range n.items {
		if item.kind == nullNode {
			r.errorf(item.at, name, "has an empty option")
		}
	}
	if n.items == nil {
		return []*node{}
	}
	return n.items
}

func (r specReader) regex(n *node, s *inputSpec) *regexp.Regexp {
	if n == nil || n.kind == nullNode {
		return nil
	}
	if s.kind != stringInput {
		r.errorf(n.at, s.name, "is of type %s; only a string can have a regex", s.kind)
		return nil
	}
	if n.kind != stringNode {
		r.errorf(n.at, s.name, "has a regex that is %s instead of a string", whatIs(n))
		return nil
	}
	re, err := regexp.Compile(n.text)
	if err != nil {
		r.errorf(n.at, s.name, "has an invalid regex: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		r.f.hint("the syntax is RE2's: no lookarounds, no backreferences")
	}
	return re
}

func (r specReader) rules(n *node, name string) []inputRule {
	if n == nil || n.kind == nullNode {
		return nil
	}
	if n.kind != seqNode {
		r.errorf(n.at, name, "has rules that are %s instead of a list", whatIs(n))
		return nil
	}
	rules := make([]inputRule, 0, len(n.items))
	for _, item := range flattened(n) {
		if item.kind != mapNode {
			r.errorf(item.at, name, "has a rule that is %s instead of a map", whatIs(item))
			continue
		}
		r.onlyKeys(item, "a rule of an input", "if", "options", "default")
		rule := inputRule{condition: item.get("if"), options: r.options(item.get("options"), name), fallback: item.get("default")}
		if rule.condition != nil && rule.condition.kind == nullNode {
			rule.condition = nil
		}
		switch {
		case rule.condition != nil && rule.condition.kind != stringNode:
			r.errorf(rule.condition.at, name, "has a rule whose if is %s instead of a string", whatIs(rule.condition))
			continue
		case rule.condition != nil && rule.options == nil && rule.fallback == nil:
			r.errorf(item.at, name, "has a rule without options and default")
		case rule.condition == nil && rule.options == nil:
			r.errorf(item.at, name, "has a last rule without options")
			r.f.hint("a rule without if must give options")
		}
		rules = append(rules, rule)
	}
	return rules
}

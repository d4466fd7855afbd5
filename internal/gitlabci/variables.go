package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// readVariables decodes a map of variables. A value is a scalar, or a map with the
// keys in detail if there are any.
func (r reader) readVariables(n *node, path string, detail ...string) []pipeline.Variable {
	if absent(n) {
		return nil
	}
	if n.kind != mapNode {
		r.wrong(n, path, "a map of names and values")
		return nil
	}
	out := make([]pipeline.Variable, 0, len(n.keys))
	for i := range n.keys {
		f := &n.keys[i]
		v := pipeline.Variable{Name: f.name}
		where := path + ":" + f.name
		switch f.value.kind {
		case nullNode: // GitLab: an empty value
			r.editor(f.value, where, `is empty, which means ""`)
		case stringNode, intNode, floatNode, boolNode:
			v.Value = f.value.text
		case mapNode:
			if len(detail) == 0 {
				r.errorf(f.value, "type", where, "must be a string here, not a map")
				continue
			}
			r.detailedVariable(&v, f.value, where, detail)
		default:
			r.wrong(f.value, where, "a string, a number, true, false or a map")
			continue
		}
		out = append(out, v)
	}
	return out
}

func (r reader) detailedVariable(v *pipeline.Variable, n *node, path string, detail []string) {
	r.mapping(n, path, detail...)
	if value := n.get("value"); !absent(value) {
		switch value.kind {
		case stringNode, intNode, floatNode, boolNode:
			v.Value = value.text
		default:
			r.wrong(value, path+":value", "a string, a number, true or false")
		}
	}
	if d := n.get("description"); !absent(d) {
		if d.kind != stringNode && d.kind != intNode {
			r.wrong(d, path+":description", "a string")
		}
		v.Description = d.text
	}
	if expand, ok := r.flag(n.get("expand"), path+":expand"); ok {
		v.Raw = !expand
	}
	if options := n.get("options"); !absent(options) {
		v.Options = r.list(options, path+":options")
		if len(v.Options) > 0 && !slices.Contains(v.Options, v.Value) {
			r.errorf(options, "value", path+":options", "must contain the value %s", quote(v.Value))
		}
	}
}

// inheritVariables is inherit:variables of a job: names alone, or all of them.
type inheritVariables struct {
	All   bool
	Names []string
}

// inherited returns the top-level variables that a job inherits.
func inherited(root []pipeline.Variable, by *inheritVariables) []pipeline.Variable {
	if by == nil || by.All {
		return root
	}
	var out []pipeline.Variable
	for _, v := range root {
		if slices.Contains(by.Names, v.Name) {
			out = append(out, v)
		}
	}
	return out
}

// environment holds the variables from outside of the files: those with a lower and
// those with a higher precedence.
type environment struct {
	below, above map[string]*pipeline.Variable
}

func newEnvironment(in *Input) environment {
	e := environment{below: make(map[string]*pipeline.Variable, len(in.Predefined))}
	for i := range in.Predefined {
		e.below[in.Predefined[i].Name] = &in.Predefined[i]
	}
	e.above = aboveFiles(in, in.Project)
	return e
}

// aboveFiles returns the variables with a higher precedence than those of the files.
func aboveFiles(in *Input, project []pipeline.Variable) map[string]*pipeline.Variable {
	above := make(map[string]*pipeline.Variable)
	for _, layer := range [][]pipeline.Variable{in.Instance, in.Group, project, in.Pipeline} {
		for i := range layer {
			above[layer[i].Name] = &layer[i]
		}
	}
	return above
}

// scope holds the variables that one condition sees.
type scope struct {
	outside environment
	local   []pipeline.Variable // yaml variables, merged
	job     []pipeline.Variable // predefined ones of the job
}

// find returns the variable with the highest precedence, or nil.
func (s *scope) find(name string) *pipeline.Variable {
	if v := s.outside.above[name]; v != nil {
		return v
	}
	for _, layer := range [][]pipeline.Variable{s.local, s.job} {
		for i := range layer {
			if layer[i].Name == name {
				return &layer[i]
			}
		}
	}
	return s.outside.below[name]
}

// lookup returns values as written: conditions do not expand them.
func (s *scope) lookup(name string) (string, bool) {
	if v := s.find(name); v != nil {
		return v.Value, true
	}
	return "", false
}

// maxExpanded bounds the expansion of variables in variables, in bytes.
const maxExpanded = 1 << 16

// expand replaces the variables in text and in their values. Unknown ones stay.
func (s *scope) expand(text string) string {
	left := maxExpanded
	return s.expandWithin(text, nil, &left)
}

func (s *scope) expandWithin(text string, outer []string, left *int) string {
	return pipeline.Expand(text, func(name string) (string, bool) {
		v := s.find(name)
		if v == nil {
			return "", false
		}
		if v.Raw || v.File || slices.Contains(outer, name) || *left <= 0 {
			return v.Value, true
		}
		*left -= len(v.Value) + 1
		return s.expandWithin(v.Value, append(slices.Clip(outer), name), left), true
	})
}

// show formats a value for explain.
func (s *scope) show(name string) string {
	switch v := s.find(name); {
	case v == nil:
		return "not set"
	case v.Masked:
		return "[masked]"
	default:
		return quote(shorten(v.Value))
	}
}

// expandAll is expand with unknown variables replaced by nothing.
func (s *scope) expandAll(text string) string {
	return pipeline.Expand(s.expand(text), func(string) (string, bool) { return "", true })
}

package gitlabci

import (
	"regexp"
	"slices"
	"strings"
)

// maxInputs and maxInputOptions bound the inputs of one job.
const (
	maxInputs       = 50
	maxInputOptions = 50
)

// applyInputs checks inputs: of a job and puts the defaults into script, where
// ${{ inputs.NAME }} names them.
func (r reader) applyInputs(n *node, script []string) []string {
	if n.kind != mapNode {
		r.wrong(n, "inputs", "a map of names and inputs")
		return script
	}
	if len(n.keys) > maxInputs {
		r.errorf(n, "limit", "inputs", "may be at most %d, not %d", maxInputs, len(n.keys))
	}
	values := make(map[string]string, len(n.keys))
	for i := range n.keys {
		r.checkInput(&n.keys[i])
		if d := n.keys[i].value.get("default"); d != nil {
			values[n.keys[i].name] = inputText(d)
		}
	}
	if script == nil {
		return nil
	}
	out := make([]string, len(script))
	for i, line := range script {
		out[i] = replaceInputs(line, values)
	}
	return out
}

func inputText(n *node) string {
	if n.kind != seqNode {
		return n.text
	}
	parts := make([]string, len(n.items))
	for i, item := range n.items {
		parts[i] = quote(item.text)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// replaceInputs puts values where ${{ inputs.NAME }} stands.
func replaceInputs(text string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${{")
		inner, after, closed := strings.Cut(rest, "}}")
		if !ok || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		name, isInput := strings.CutPrefix(strings.TrimSpace(inner), "inputs.")
		if value, known := values[name]; isInput && known {
			b.WriteString(value)
		} else {
			b.WriteString("${{" + inner + "}}")
		}
		text = after
	}
}

func (r reader) checkInput(f *field) {
	n, path := f.value, "inputs:"+f.name
	if !r.mapping(n, path, "type", "default", "description", "options", "regex") {
		return
	}
	kind := r.choice(n.get("type"), path+":type", "string", "number", "boolean", "array")
	if kind == "" {
		kind = "string"
	}
	r.text(n.get("description"), path+":description")
	value := n.get("default")
	if value == nil {
		r.errorf(n, "value", path+":default", "is missing; an input of a job must have one")
		return
	}
	if !inputHasType(value, kind) {
		r.wrong(value, path+":default", "of type "+kind)
		return
	}
	if options := n.get("options"); !absent(options) {
		switch {
		case options.kind != seqNode:
			r.wrong(options, path+":options", "a list")
		case len(options.items) > maxInputOptions:
			r.errorf(options, "limit", path+":options", "may be at most %d", maxInputOptions)
		case !slices.ContainsFunc(options.items, func(o *node) bool { return o.kind == value.kind && o.text == value.text }):
			r.errorf(value, "value", path+":default", "must be one of the options")
		}
	}
	if pattern := n.get("regex"); !absent(pattern) {
		r.inputPattern(pattern, value, kind, path)
	}
}

func (r reader) inputPattern(pattern, value *node, kind, path string) {
	re, err := regexp.Compile(r.text(pattern, path+":regex"))
	switch {
	case kind != "string":
		r.errorf(pattern, "value", path+":regex", "can only be used with strings")
	case err != nil:
		r.errorf(pattern, "value", path+":regex", "cannot be read as a regular expression")
	case !re.MatchString(value.text):
		r.errorf(value, "value", path+":default", "does not match the regex")
	}
}

func inputHasType(n *node, kind string) bool {
	switch kind {
	case "number":
		return n.kind == intNode || n.kind == floatNode
	case "boolean":
		return n.kind == boolNode
	case "array":
		return n.kind == seqNode
	default:
		return n.kind == stringNode
	}
}

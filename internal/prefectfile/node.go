package prefectfile

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxMerges bounds how deep "<<" keys are followed.
const maxMerges = 10

func resolve(n *yaml.Node) *yaml.Node {
	for range maxMerges {
		if n.Kind != yaml.AliasNode {
			return n
		}
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// isEmpty reports whether a value says nothing: null, "", [] or {}.
func isEmpty(n *yaml.Node) bool {
	n = resolve(n)
	return isNull(n) || n.Kind == yaml.ScalarNode && n.Value == "" || n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode && len(n.Content) == 0
}

// each calls do for the keys of a mapping, those of "<<" last and only where the mapping
// itself does not have them.
func (r *reader) each(n *yaml.Node, what string, do func(key, value *yaml.Node)) {
	r.eachOf(resolve(n), what, map[string]bool{}, 0, do)
}

func (r *reader) eachOf(n *yaml.Node, what string, above map[string]bool, depth int, do func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s is a mapping", what)
		return
	}
	own := map[string]bool{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], resolve(n.Content[i+1])
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(key, "a key of %s is a text", what)
			continue
		case key.Value == "<<":
			if value.Kind == yaml.SequenceNode {
				merged = append(merged, value.Content...)
			} else {
				merged = append(merged, value)
			}
			continue
		case own[key.Value]:
			r.fail(key, "%q is given twice in %s", key.Value, what)
			continue
		}
		own[key.Value] = true
		if !above[key.Value] {
			above[key.Value] = true
			do(key, value)
		}
	}
	if len(merged) > 0 && depth >= maxMerges {
		r.fail(n, "\"<<\" is nested too deep")
		return
	}
	for _, m := range merged {
		r.eachOf(resolve(m), what, above, depth+1, do)
	}
}

// find gives the value of a key, nil without one.
func (r *reader) find(n *yaml.Node, name string) (found *yaml.Node) {
	quiet := reader{name: r.name, getenv: r.getenv}
	quiet.each(n, "", func(key, value *yaml.Node) {
		if key.Value == name && found == nil {
			found = value
		}
	})
	return found
}

// text reads a text, its templates replaced.
func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || isEmpty(n) {
		r.fail(n, "%s is a text that is not empty", what)
		return ""
	}
	text, left := r.expand(n.Value)
	for _, t := range left {
		if name, ok := strings.CutPrefix(t, "$"); ok {
			r.fail(n, "%s needs the variable %s, which is not set here", what, name)
		} else {
			r.fail(n, "%s has the template {{ %s }}, which only Prefect can fill in; write the value", what, t)
		}
	}
	if len(left) > 0 {
		return ""
	}
	return text
}

// truth reads true or false; null is the default.
func (r *reader) truth(n *yaml.Node, unset bool) bool {
	if isNull(n) {
		return unset
	}
	var yes bool
	if n.Decode(&yes) != nil || n.Kind != yaml.ScalarNode {
		r.fail(n, "want true or false")
	}
	return yes
}

func templates() *regexp.Regexp { return regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`) }

// expand replaces templates of variables of the environment, {{ $NAME }}; left are the
// others, and those that are not set.
func (r *reader) expand(text string) (out string, left []string) {
	out = templates().ReplaceAllStringFunc(text, func(whole string) string {
		inner := templates().FindStringSubmatch(whole)[1]
		if name, ok := strings.CutPrefix(inner, "$"); ok {
			if value := r.getenv(name); value != "" {
				return value
			}
		}
		if !slices.Contains(left, inner) {
			left = append(left, inner)
		}
		return whole
	})
	return out, left
}

// template returns what is in a value that is one template.
func template(text string) (inner string, ok bool) {
	m := templates().FindStringSubmatch(strings.TrimSpace(text))
	if m == nil || m[0] != strings.TrimSpace(text) {
		return "", false
	}
	return m[1], true
}

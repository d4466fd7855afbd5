package stacktest

import (
	"regexp"
	"slices"
	"strings"
)

type parameter struct {
	name, kind, standard, description, pattern string
	hasDefault, noEcho                         bool
	allowed                                    []string
}

func (t *template) readParameters(doc map[string]any) error {
	declared, _ := doc["Parameters"].(map[string]any)
	for _, name := range sortedKeys(declared) {
		if !alphanumeric(name) {
			return invalid("Template format error: Parameter name %s is non alphanumeric.", name)
		}
		d, ok := declared[name].(map[string]any)
		if !ok {
			return invalid("Template format error: Any Parameters member must be an object.")
		}
		p := &parameter{name: name}
		p.kind, _ = d["Type"].(string)
		p.description, _ = d["Description"].(string)
		p.pattern, _ = d["AllowedPattern"].(string)
		p.standard, p.hasDefault = d["Default"].(string)
		p.noEcho = d["NoEcho"] == "true"
		if allowed, ok := d["AllowedValues"].([]any); ok {
			p.allowed = stringList(allowed)
		}
		if p.kind == "" {
			return invalid("Template format error: Every Parameters object must contain a Type member.")
		}
		t.parameters[name] = p
	}
	return nil
}

// bind gives each parameter its value. previous is of the stack's last
// deployment, nil for a new stack.
func (t *template) bind(given []given, previous map[string]string) (map[string]string, error) {
	out := map[string]string{}
	var unknown []string
	for _, g := range given {
		p := t.parameters[g.name]
		if p == nil {
			unknown = append(unknown, g.name)
			continue
		}
		value := g.value
		if g.previous {
			old, ok := previous[g.name]
			if !ok {
				return nil, invalid("Invalid input for parameter key %s. Cannot specify usePreviousValue as true for a parameter key not in the previous template", g.name)
			}
			value = old
		}
		if err := p.accept(value); err != nil {
			return nil, err
		}
		out[g.name] = value
	}
	if unknown != nil {
		slices.Sort(unknown)
		return nil, invalid("Parameters: [%s] do not exist in the template", strings.Join(unknown, ", "))
	}
	var missing []string
	for _, name := range sortedKeys(t.parameters) {
		if _, ok := out[name]; ok {
			continue
		}
		if p := t.parameters[name]; p.hasDefault {
			out[name] = p.standard
		} else {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, invalid("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return out, nil
}

type given struct {
	name, value string
	previous    bool
}

func (p *parameter) accept(value string) error {
	if len(p.allowed) > 0 && !slices.Contains(p.allowed, value) {
		return invalid("Parameter '%s' must be one of AllowedValues", p.name)
	}
	if p.pattern != "" {
		re, err := regexp.Compile("^(?:" + p.pattern + ")$")
		if err == nil && !re.MatchString(value) {
			return invalid("Parameter '%s' must match pattern %s", p.name, p.pattern)
		}
	}
	if p.kind == "Number" && strings.Trim(value, "0123456789.-+eE") != "" {
		return invalid("Parameter '%s' must be a number.", p.name)
	}
	return nil
}

package stacktest

import (
	"slices"
	"strings"
)

const languageExtensions = "AWS::LanguageExtensions"

// expand gives a document as the language extensions leave it: each Fn::ForEach
// written out, with the values of the parameters that its collection may name.
// A loop over a parameter that has no value yet is left out.
func expand(doc map[string]any, parameters map[string]string) (map[string]any, error) {
	mappings, _ := doc["Mappings"].(map[string]any)
	x := &loops{parameters: parameters, mappings: mappings}
	out, err := x.mapping(doc, nil)
	if err != nil {
		return nil, err
	}
	delete(out, "Transform")
	return out, nil
}

// loops expands; vars are the identifiers of the loops around a value.
type loops struct {
	parameters map[string]string
	mappings   map[string]any
	made       int
}

const mostMade = 10_000 // keys of all loops of a template

func (x *loops) value(v any, vars map[string]string) (any, error) {
	switch v := v.(type) {
	case string:
		return fill(v, vars), nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = x.value(item, vars); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		if name, ok := v["Ref"].(string); ok && len(v) == 1 {
			if value, is := vars[name]; is {
				return value, nil
			}
		}
		return x.mapping(v, vars)
	}
	return v, nil
}

func (x *loops) mapping(m map[string]any, vars map[string]string) (map[string]any, error) {
	out := map[string]any{}
	for _, key := range sortedKeys(m) {
		if strings.HasPrefix(key, "Fn::ForEach::") {
			if err := x.loop(key, m[key], vars, out); err != nil {
				return nil, err
			}
			continue
		}
		got, err := x.value(m[key], vars)
		if err != nil {
			return nil, err
		}
		name := fill(key, vars)
		if _, twice := out[name]; twice {
			return nil, loopError("a key %s exists already", name)
		}
		out[name] = got
	}
	return out, nil
}

// loop writes [identifier, collection, {key: value}] out into the map around it.
func (x *loops) loop(key string, v any, vars map[string]string, out map[string]any) error {
	parts, _ := v.([]any)
	if len(parts) != 3 {
		return loopError("%s layout is incorrect", key)
	}
	identifier, _ := parts[0].(string)
	body, ok := parts[2].(map[string]any)
	if !alphanumeric(identifier) || !ok {
		return loopError("%s layout is incorrect", key)
	}
	items, known, err := x.collection(parts[1], vars)
	if err != nil || !known {
		return err
	}
	for _, item := range items {
		inner := map[string]string{identifier: item}
		for name, value := range vars {
			if name == identifier {
				return loopError("identifier %s is used twice", identifier)
			}
			inner[name] = value
		}
		got, err := x.mapping(body, inner)
		if err != nil {
			return err
		}
		for name, value := range got {
			if _, twice := out[name]; twice {
				return loopError("a key %s exists already", name)
			}
			out[name] = value
			if x.made++; x.made > mostMade {
				return loopError("%s makes too much", key)
			}
		}
	}
	return nil
}

// collection resolves what a loop goes over; known is false while a parameter
// has no value.
func (x *loops) collection(v any, vars map[string]string) (items []string, known bool, err error) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if m, is := item.(map[string]any); is {
				more, known, err := x.collection(m, vars)
				if err != nil || !known {
					return nil, known, err
				}
				items = append(items, more...)
				continue
			}
			text, ok := item.(string)
			if !ok {
				return nil, false, loopError("a collection holds something other than text")
			}
			items = append(items, fill(text, vars))
		}
		return items, true, nil
	case map[string]any:
		if name, ok := v["Ref"].(string); ok {
			if value, is := vars[name]; is {
				return []string{value}, true, nil
			}
			value, known := x.parameters[name]
			return slices.DeleteFunc(strings.Split(value, ","), func(s string) bool { return s == "" }), known, nil
		}
		if path, ok := v["Fn::FindInMap"].([]any); ok && len(path) == 3 {
			var at any = x.mappings
			for _, step := range path {
				m, _ := at.(map[string]any)
				key, _, err := x.collection([]any{step}, vars)
				if err != nil || len(key) != 1 {
					return nil, false, err
				}
				at = m[key[0]]
			}
			list, ok := at.([]any)
			return stringList(list), ok, nil
		}
	}
	return nil, false, loopError("a collection is a list, or a reference to a parameter")
}

// fill puts the identifiers' values into ${Name} and &{Name}.
func fill(s string, vars map[string]string) string {
	for name, value := range vars {
		s = strings.ReplaceAll(s, "${"+name+"}", value)
		plain := strings.Map(func(r rune) rune {
			if alphanumeric(string(r)) {
				return r
			}
			return -1
		}, value)
		s = strings.ReplaceAll(s, "&{"+name+"}", plain)
	}
	return s
}

func loopError(format string, args ...any) error {
	return invalid("Transform AWS::LanguageExtensions failed with: "+format, args...)
}

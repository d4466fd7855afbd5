package stacktest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (sc *scope) either(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) != 3 {
		return nil, invalid("Template error: Fn::If requires a list argument with three elements")
	}
	name, _ := args[0].(string)
	yes, err := sc.condition(name)
	if err != nil {
		return nil, err
	}
	if yes {
		return sc.value(args[1])
	}
	return sc.value(args[2])
}

func (sc *scope) substitute(arg any) (any, error) {
	format, _ := arg.(string)
	local := map[string]any{}
	if args, ok := arg.([]any); ok && len(args) == 2 {
		format, _ = args[0].(string)
		local, _ = args[1].(map[string]any)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(format, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, invalid("Template error: String: value must match ${...} in Fn::Sub")
		}
		format = after
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			out.WriteString("${" + literal + "}")
			continue
		}
		got, err := sc.variable(strings.TrimSpace(name), local)
		if err != nil {
			return nil, err
		}
		out.WriteString(text(got))
	}
}

func (sc *scope) variable(name string, local map[string]any) (any, error) {
	if expr, ok := local[name]; ok {
		return sc.value(expr)
	}
	if resource, attribute, ok := strings.Cut(name, "."); ok {
		return sc.attribute(resource, attribute), nil
	}
	return sc.ref(name), nil
}

func (sc *scope) find(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) < 3 {
		return nil, invalid("Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value")
	}
	keys, err := sc.list(args[:3])
	if err != nil {
		return nil, err
	}
	var at any = sc.template.mappings
	for _, key := range keys {
		m, _ := at.(map[string]any)
		at = m[text(key)]
	}
	if at != nil {
		return at, nil
	}
	if len(args) == 4 {
		if m, ok := args[3].(map[string]any); ok && m["DefaultValue"] != nil {
			return sc.value(m["DefaultValue"])
		}
	}
	return nil, invalid("Template error: Unable to get mapping for %s::%s::%s", text(keys[0]), text(keys[1]), text(keys[2]))
}

// cidr cuts subnets of 2^bits addresses out of an IPv4 block.
func (sc *scope) cidr(arg any) (any, error) {
	args, _ := arg.([]any)
	if len(args) < 2 {
		return nil, invalid("Template error: Fn::Cidr requires at least two arguments")
	}
	var a, b, c, d, prefix int
	if _, err := fmt.Sscanf(text(args[0]), "%d.%d.%d.%d/%d", &a, &b, &c, &d, &prefix); err != nil {
		return []any{knownAfterApply}, nil
	}
	count, _ := strconv.Atoi(text(args[1]))
	bits := 8
	if len(args) > 2 {
		bits, _ = strconv.Atoi(text(args[2]))
	}
	base := a<<24 | b<<16 | c<<8 | d
	if count < 1 || count > 256 || bits < 1 || bits > 32 {
		return nil, invalid("Template error: Fn::Cidr takes a count from 1 to 256 and 1 to 32 bits")
	}
	out := []any{}
	for i := range count {
		at := base + i<<bits
		out = append(out, fmt.Sprintf("%d.%d.%d.%d/%d", at>>24&255, at>>16&255, at>>8&255, at&255, 32-bits))
	}
	return out, nil
}

func join(v any) (any, error) {
	args, _ := v.([]any)
	if len(args) == 2 {
		sep, isText := args[0].(string)
		items, isList := args[1].([]any)
		if isText && isList {
			parts := make([]string, 0, len(items))
			for _, item := range items {
				parts = append(parts, text(item))
			}
			return strings.Join(parts, sep), nil
		}
		if isText && args[1] == knownAfterApply {
			return knownAfterApply, nil
		}
	}
	return nil, invalid("Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to be joined.")
}

func split(v any) (any, error) {
	args, _ := v.([]any)
	if len(args) != 2 {
		return nil, invalid("Template error: every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string to be split or a function that returns a string to be split.")
	}
	out := []any{}
	for _, part := range strings.Split(text(args[1]), text(args[0])) {
		out = append(out, part)
	}
	return out, nil
}

func pick(v any) (any, error) {
	wrong := invalid("Template error: Fn::Select requires a list argument with two elements: an integer index and a list")
	args, _ := v.([]any)
	if len(args) != 2 {
		return nil, wrong
	}
	index, err := strconv.Atoi(text(args[0]))
	items, isList := args[1].([]any)
	switch {
	case args[1] == knownAfterApply:
		return knownAfterApply, nil
	case err != nil || !isList:
		return nil, wrong
	case index < 0 || index >= len(items):
		if slices.Contains(items, any(knownAfterApply)) {
			return knownAfterApply, nil
		}
		return nil, invalid("Template error: Fn::Select cannot select nonexistent value at index %d", index)
	}
	return items[index], nil
}

func getAtt(arg any) (resource, attribute string) {
	switch arg := arg.(type) {
	case string:
		resource, attribute, _ = strings.Cut(arg, ".")
	case []any:
		if parts := stringList(arg); len(parts) > 0 {
			return parts[0], strings.Join(parts[1:], ".")
		}
	}
	return resource, attribute
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil, absent:
		return ""
	default:
		return jsonText(v)
	}
}

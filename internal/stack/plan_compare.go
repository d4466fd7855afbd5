package stack

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/stack/planfile"
)

// compare calls differ for each smallest part that is not the same.
func compare(a, b any, path []string, differ func(path []string, a, b *string)) {
	x, xIs := a.(map[string]any)
	y, yIs := b.(map[string]any)
	if xIs && yIs {
		names := slices.Compact(slices.Sorted(slices.Values(append(sortedKeys(x), sortedKeys(y)...))))
		for _, k := range names {
			at := append(slices.Clone(path), k)
			before, had := x[k]
			after, has := y[k]
			switch {
			case had && has:
				compare(before, after, at, differ)
			case had:
				differ(at, show(before), nil)
			default:
				differ(at, nil, show(after))
			}
		}
		return
	}
	if before, after := show(a), show(b); *before != *after {
		differ(path, before, after)
	}
}

func show(v any) *string {
	if s, ok := v.(string); ok {
		return &s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return new(string) // what came from JSON goes back
	}
	s := strings.TrimSuffix(b.String(), "\n")
	return &s
}

// propertiesOf lists every value of a resource that is added: as the change set
// has it, else as the template writes it.
func propertiesOf(after string, resource *cfn.Node, place func(...string) *diag.Place) []planfile.PropertyChange {
	var context map[string]any
	if json.Unmarshal([]byte(after), &context) != nil || context["Properties"] == nil {
		context = nil
		if n := resource.Get("Properties"); n != nil && json.Unmarshal(n.JSON(), &context) == nil {
			context = map[string]any{"Properties": context}
		}
	}
	var out []planfile.PropertyChange
	leaves(context["Properties"], []string{"Properties"}, func(path []string, v any) {
		value := show(v)
		out = append(out, planfile.PropertyChange{Path: strings.Join(path, "/"), After: value,
			Unknown: strings.Contains(*value, planfile.KnownAfter), Place: place(path...)})
	})
	return out
}

// leaves calls visit for each value that has no parts. A function is one value.
func leaves(v any, path []string, visit func(path []string, v any)) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		names := sortedKeys(v)
		if len(names) == 0 || len(names) == 1 && (names[0] == "Ref" || strings.HasPrefix(names[0], "Fn::")) {
			visit(path, v)
			return
		}
		for _, name := range names {
			leaves(v[name], append(slices.Clone(path), name), visit)
		}
	case []any:
		if len(v) == 0 {
			visit(path, v)
		}
		for i, item := range v {
			leaves(item, append(slices.Clone(path), strconv.Itoa(i)), visit)
		}
	default:
		visit(path, v)
	}
}

func sortedKeys(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

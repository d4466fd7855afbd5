package jobexpr

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// truthy is the rule of ||, && and !: empty and zero values are falsy.
func truthy(v any) bool {
	switch x := v.(type) {
	case bool:
		return x
	case string:
		return x != ""
	case float64:
		return x != 0
	case []any:
		return len(x) > 0
	case map[string]any:
		return len(x) > 0
	}
	return false
}

// toText converts a value to text.
func toText(v any) string {
	switch x := v.(type) {
	case nil:
		return "<null>"
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case float64:
		return numberText(x)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // an infinite number in a list
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func numberText(x float64) string {
	if math.Abs(x) < 1e21 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// kindOf names the type of a value, for errors.
func kindOf(v any) string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[rank(v)]
}

// rank orders values of different types.
func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case float64:
		return 2
	case string:
		return 3
	case []any:
		return 4
	default:
		return 5
	}
}

// apply computes an operator of two values. problem is why it cannot.
func apply(op string, a, b any) (v any, problem string) {
	switch op {
	case "==":
		return compare(a, b) == 0, ""
	case "!=":
		return compare(a, b) != 0, ""
	case "<":
		return compare(a, b) < 0, ""
	case "<=":
		return compare(a, b) <= 0, ""
	case ">":
		return compare(a, b) > 0, ""
	case ">=":
		return compare(a, b) >= 0, ""
	}
	if left, ok := a.(string); ok && op == "+" {
		if right, ok := b.(string); ok {
			return left + right, ""
		}
	}
	x, ok := a.(float64)
	y, ok2 := b.(float64)
	if !ok || !ok2 {
		return nil, op + " cannot take " + kindOf(a) + " and " + kindOf(b)
	}
	switch op {
	case "+":
		return x + y, ""
	case "-":
		return x - y, ""
	case "*":
		return x * y, ""
	}
	if y == 0 {
		return nil, "a division by zero"
	}
	if op == "%" {
		return math.Mod(x, y), ""
	}
	return x / y, ""
}

// compare orders two values: by type, then by what they hold.
func compare(a, b any) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch x := a.(type) {
	case bool:
		return cmp.Compare(toText(x), toText(b)) // "false" before "true"
	case float64:
		y, _ := b.(float64)
		return cmp.Compare(x, y)
	case string:
		y, _ := b.(string)
		return cmp.Compare(x, y)
	case []any:
		y, _ := b.([]any)
		return slices.CompareFunc(x, y, compare)
	case map[string]any:
		y, _ := b.(map[string]any)
		return compareObjects(x, y)
	}
	return 0
}

func compareObjects(a, b map[string]any) int {
	keys, others := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))
	if c := cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(keys, others)); c != 0 {
		return c
	}
	for _, key := range keys {
		if c := compare(a[key], b[key]); c != 0 {
			return c
		}
	}
	return 0
}

// functions gives the function of a name, nil for none.
func functions(name string) func(any) (v any, problem string) {
	switch name {
	case "str":
		return func(v any) (any, string) { return toText(v), "" }
	case "bool":
		return func(v any) (any, string) { return truthy(v), "" }
	case "num":
		return func(v any) (any, string) {
			if _, is := v.(float64); is {
				return v, ""
			}
			text, ok := v.(string)
			if !ok {
				return nil, "num takes a string, not " + kindOf(v)
			}
			number, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, strconv.Quote(text) + " is not a number"
			}
			return number, ""
		}
	}
	return nil
}

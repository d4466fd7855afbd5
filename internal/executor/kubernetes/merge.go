package kubernetes

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"

	"refline/internal/errs"
)

func jobType() reflect.Type { return reflect.TypeFor[batchv1.Job]() }

// Directives of a strategic merge patch.
const (
	patchDirective  = "$patch"
	retainDirective = "$retainKeys"
)

// merge lays a patch over a value as the API server does for a strategic merge patch:
// maps key by key, lists by their patchMergeKey where the type has one, null removes.
// Fields that the type does not have are errors. Directives of element orders and of
// deleted primitive elements, which only programs write, are not known.
func merge(base, patch map[string]any, t reflect.Type, at string) (map[string]any, error) {
	if directive, ok := patch[patchDirective]; ok {
		switch directive {
		case "replace":
			base = map[string]any{}
		case "delete":
			return nil, nil
		case "merge":
		default:
			return nil, fault(at, "%s is %v; it is merge, replace or delete", patchDirective, directive)
		}
	}
	out := make(map[string]any, len(base)+len(patch))
	for k, v := range base {
		out[k] = v
	}
	if keep, ok := patch[retainDirective].([]any); ok {
		for k := range out {
			if !slices.Contains(keep, any(k)) {
				delete(out, k)
			}
		}
	}
	for name, value := range patch {
		if name == patchDirective || name == retainDirective {
			continue
		}
		f, ok := fieldOf(t, name)
		if !ok {
			err := fault(at, "no field %q%s", name, similar(t, name))
			err.At = at + "." + name
			return nil, err
		}
		merged, err := mergeValue(out[name], value, f, at+"."+name)
		if err != nil {
			return nil, err
		}
		if merged == nil {
			delete(out, name)
		} else {
			out[name] = merged
		}
	}
	return out, nil
}

// TemplateError is a mistake of a job template.
type TemplateError struct {
	At  string // path of the value, such as .spec.template.spec.containers[0]
	err error
}

func (e *TemplateError) Error() string { return e.err.Error() }
func (e *TemplateError) Unwrap() error { return e.err }

// Pointer is the path as a JSON pointer.
func (e *TemplateError) Pointer() string {
	return strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(e.At)
}

func fault(at, format string, args ...any) *TemplateError {
	return &TemplateError{At: at, err: errs.E(errs.Invalid, "%s: "+format, append([]any{place(at)}, args...)...)}
}

func place(at string) string {
	if at == "" {
		return "at the top"
	}
	return strings.TrimPrefix(at, ".")
}

// field is a field of an API type, or an element of a map.
type field struct {
	t        reflect.Type
	strategy []string
	key      string // patchMergeKey
}

func (f field) merges() bool { return slices.Contains(f.strategy, "merge") }

// fieldOf finds a field by its name in JSON, also in structs that are inline.
func fieldOf(t reflect.Type, name string) (field, bool) {
	t = plain(t)
	if t.Kind() == reflect.Map {
		return field{t: t.Elem()}, true
	}
	if t.Kind() != reflect.Struct {
		return field{}, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == name && name != "":
			return field{t: f.Type, strategy: strings.Split(f.Tag.Get("patchStrategy"), ","), key: f.Tag.Get("patchMergeKey")}, true
		case tag == "" && (strings.Contains(rest, "inline") || f.Anonymous):
			if found, ok := fieldOf(f.Type, name); ok {
				return found, true
			}
		}
	}
	return field{}, false
}

func plain(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// similar names the field that differs in capital letters only.
func similar(t reflect.Type, name string) string {
	t = plain(t)
	if t.Kind() != reflect.Struct {
		return ""
	}
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag != name && strings.EqualFold(tag, name) {
			return fmt.Sprintf("; it is %q", tag)
		}
	}
	return ""
}

func mergeValue(base, patch any, f field, at string) (any, error) {
	switch p := patch.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		b, ok := base.(map[string]any)
		if !ok || slices.Contains(f.strategy, "replace") {
			b = map[string]any{}
		}
		if k := plain(f.t).Kind(); k != reflect.Struct && k != reflect.Map {
			return nil, fault(at, "an object, where a %s is wanted", plain(f.t))
		}
		out, err := merge(b, p, f.t, at)
		if out == nil && err == nil {
			return nil, nil
		}
		return out, err
	case []any:
		if plain(f.t).Kind() != reflect.Slice {
			return nil, fault(at, "a list, where a %s is wanted", plain(f.t))
		}
		b, _ := base.([]any)
		return mergeList(b, p, f, at)
	}
	return patch, nil
}

func mergeList(base, patch []any, f field, at string) (any, error) {
	elem := plain(f.t).Elem()
	if k := plain(elem).Kind(); k != reflect.Struct || f.key == "" {
		return mergePlainList(base, patch, f, elem, at)
	}
	if slices.ContainsFunc(patch, isReplace) {
		base = nil
	}
	out := slices.Clone(base)
	for i, p := range patch {
		item, ok := p.(map[string]any)
		where := fmt.Sprintf("%s[%d]", at, i)
		if !ok {
			return nil, fault(where, "not an object")
		}
		if isReplace(p) && len(item) == 1 {
			continue
		}
		key, ok := item[f.key]
		if !ok {
			return nil, fault(where, "it has no %s, by which the list is merged", f.key)
		}
		found := -1
		if f.merges() {
			found = slices.IndexFunc(out, func(have any) bool {
				m, ok := have.(map[string]any)
				return ok && fmt.Sprint(m[f.key]) == fmt.Sprint(key)
			})
		}
		if item[patchDirective] == "delete" {
			if found >= 0 {
				out = slices.Delete(out, found, found+1)
			}
			continue
		}
		old := map[string]any{}
		if found >= 0 {
			old = out[found].(map[string]any) //nolint:forcetypeassert // it was found as one
		}
		merged, err := merge(old, item, elem, where)
		if err != nil {
			return nil, err
		}
		if found >= 0 {
			out[found] = merged
		} else {
			out = append(out, merged)
		}
	}
	return out, nil
}

func isReplace(item any) bool {
	m, ok := item.(map[string]any)
	return ok && m[patchDirective] == "replace"
}

// mergePlainList replaces a list, or adds to one that is a set. Its objects are
// checked for unknown fields.
func mergePlainList(base, patch []any, f field, elem reflect.Type, at string) (any, error) {
	out := []any{}
	if f.merges() {
		out = append(out, base...)
	}
	for i, p := range patch {
		if item, ok := p.(map[string]any); ok && plain(elem).Kind() == reflect.Struct {
			clean, err := merge(map[string]any{}, item, elem, fmt.Sprintf("%s[%d]", at, i))
			if err != nil {
				return nil, err
			}
			p = clean
		}
		if f.merges() && slices.ContainsFunc(out, func(have any) bool { return reflect.DeepEqual(have, p) }) {
			continue
		}
		out = append(out, p)
	}
	return out, nil
}

package pipeline

import (
	"os"
	"slices"
	"strings"

	"refline/internal/errs"
)

// GitLab expands variables in three steps. The server expands variables in each
// other and keeps unknown names ([ExpandAll]; [Expand] for a text). The runner
// then expands once more, and unknown names become empty ([ResolveAll]; [Resolve]
// for a text). The shell of the job does the rest.

// Expand replaces $NAME, ${NAME} and %NAME% in text by their values, once: values
// are not expanded again. $$, %% and names that lookup does not know stay.
func Expand(text string, lookup func(name string) (string, bool)) string {
	if !strings.ContainsAny(text, "$%") {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		at := strings.IndexAny(text, "$%")
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		name, length := reference(text)
		if value, ok := lookup(name); name != "" && ok {
			b.WriteString(value)
		} else {
			b.WriteString(text[:length])
		}
		text = text[length:]
	}
	b.WriteString(text)
	return b.String()
}

// reference parses the reference at the start of text, which is $ or %. It returns
// the name, empty if there is none, and the length of the reference.
func reference(text string) (name string, length int) {
	rest := text[1:]
	if strings.HasPrefix(rest, text[:1]) {
		return "", 2 // $$ or %%
	}
	open, end := 0, ""
	switch {
	case text[0] == '%':
		end = "%"
	case strings.HasPrefix(rest, "{"):
		open, end = 1, "}"
	}
	name = leadingName(rest[open:])
	if name == "" || !strings.HasPrefix(rest[open+len(name):], end) {
		return "", 1
	}
	return name, 1 + open + len(name) + len(end)
}

// leadingName returns the variable name at the start of text.
func leadingName(text string) string {
	for i := range len(text) {
		c := text[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return text[:i]
		}
	}
	return text
}

// ExpandAll expands variables in each other, at any depth. These stay as they are:
// raw variables (expand: false), references to raw and file variables, which only
// a runner can resolve, references to names that are not in vars, and a variable's
// reference to itself. A cycle is an Invalid error. The order stays; if a name
// occurs twice, references mean the last.
func ExpandAll(vars []Variable) ([]Variable, error) {
	e := expansion{vars: slices.Clone(vars), last: make(map[string]int, len(vars)), state: make([]int8, len(vars))}
	for i, v := range vars {
		e.last[v.Name] = i
	}
	for i := range vars {
		if err := e.expand(i); err != nil {
			return nil, err
		}
	}
	return e.vars, nil
}

type expansion struct {
	vars  []Variable
	last  map[string]int // by name
	state []int8         // 0 not started, 1 started, 2 expanded
	path  []string
}

func (e *expansion) expand(i int) error {
	v := &e.vars[i]
	if v.Raw || e.state[i] == 2 || !strings.ContainsAny(v.Value, "$%") {
		e.state[i] = 2
		return nil
	}
	if e.state[i] == 1 {
		from := slices.Index(e.path, v.Name)
		return errs.E(errs.Invalid, "variables refer to each other in a cycle: %s",
			strings.Join(append(slices.Clone(e.path[from:]), v.Name), " → "))
	}
	e.state[i] = 1
	e.path = append(e.path, v.Name)
	var err error
	v.Value = Expand(v.Value, func(name string) (string, bool) {
		k, ok := e.last[name]
		if !ok || name == v.Name || e.vars[k].Raw || e.vars[k].File {
			return "", false
		}
		if failed := e.expand(k); failed != nil {
			err = failed
		}
		return e.vars[k].Value, true
	})
	e.path = e.path[:len(e.path)-1]
	e.state[i] = 2
	return err
}

// Resolve expands a text as the runner does: $NAME and ${NAME}, once. $$ becomes $
// and unknown names become empty.
func Resolve(text string, lookup func(name string) (string, bool)) string {
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		value, _ := lookup(name)
		return value
	})
}

// ResolveAll resolves the variables of a job in each other, once. Raw variables
// stay as they are. A reference to a file variable becomes path(name), where its
// content will be; its own Value stays the content.
func ResolveAll(vars []Variable, path func(name string) string) []Variable {
	known := make(map[string]string, len(vars))
	for _, v := range vars {
		known[v.Name] = v.Value
		if v.File {
			known[v.Name] = path(v.Name)
		}
	}
	list := slices.Clone(vars)
	for i := range list {
		if !list[i].Raw {
			list[i].Value = Resolve(list[i].Value, func(name string) (string, bool) {
				value, ok := known[name]
				return value, ok
			})
		}
	}
	return list
}

// Merge combines scopes, from the lowest to the highest precedence. If a name
// occurs several times, the last value wins, at the position of the first.
func Merge(scopes ...[]Variable) []Variable {
	var list []Variable
	at := map[string]int{}
	for _, scope := range scopes {
		for _, v := range scope {
			if i, ok := at[v.Name]; ok {
				list[i] = v
				continue
			}
			at[v.Name] = len(list)
			list = append(list, v)
		}
	}
	return list
}

// Lookup returns a function that finds a value by its name, for [Expand] and
// [Resolve].
func Lookup(vars []Variable) func(name string) (string, bool) {
	known := make(map[string]string, len(vars))
	for _, v := range vars {
		known[v.Name] = v.Value
	}
	return func(name string) (string, bool) {
		value, ok := known[name]
		return value, ok
	}
}

package pipeline

import (
	"os"
	"slices"
	"strings"

	"refline/internal/errs"
)

// GitLab expands variables in three steps. The server expands variables in
// each other and leaves what it does not know ([ExpandAll], and [Expand] for a
// text); the runner then replaces once more, and what nobody knows is empty
// ([ResolveAll], and [Resolve] for a text); the shell of the job does the rest.

// Expand replaces $NAME, ${NAME} and %NAME% in text by what lookup knows, once:
// what is put in is not looked at again. $$ and %% are left as they are, and so
// are names that lookup does not know.
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

// reference reads what stands at the start of text, which is $ or %: the name
// that is meant, empty when none is, and how much of the text that is.
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

// ExpandAll expands variables in each other, however deep. Left as they are:
// raw variables (expand: false), references to raw and to file variables, which
// only a runner can resolve, references to what is not among vars, and a
// variable's reference to itself. Variables that need each other are an Invalid
// error. The order is kept; of two variables of one name the last is meant.
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
	state []int8         // 0 not begun, 1 begun, 2 expanded
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
		return errs.E(errs.Invalid, "variables that refer to each other: %s",
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

// Resolve is the runner's expansion of a text: $NAME and ${NAME}, once; $$
// becomes $, and what lookup does not know becomes empty.
func Resolve(text string, lookup func(name string) (string, bool)) string {
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		value, _ := lookup(name)
		return value
	})
}

// ResolveAll resolves the variables of a job in each other, once. Raw ones stay
// as they are. A reference to a file variable becomes path(name), where its
// content will lie; its own Value stays content.
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

// Merge lays scopes over each other, the first lowest: of variables of one name
// the last stays, at the place of the first.
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

// Lookup finds the value of a variable by its name, for [Expand] and [Resolve].
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

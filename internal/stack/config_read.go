package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// FileNames are the configurations that are looked for, the first one wins.
func FileNames() []string {
	return []string{"refline.stacks.yml", "refline.stacks.yaml", "refline.stacks.jsonnet"}
}

// Load reads and checks a configuration: YAML, JSON or Jsonnet by its ending.
// The error holds every finding with its place (errors.As, *[diag.Failure]).
func Load(ctx context.Context, file string, read jsonnet.Read) (*Config, error) {
	t, err := cfn.Load(ctx, jsonnet.Input{File: file, Read: read})
	if err != nil {
		return nil, notTemplate(err)
	}
	r := &configReader{source: t}
	c := &Config{File: file, source: t}
	r.fields("", t.Root, nil, r.topFields(c))
	r.check(c)
	if err := r.found.Sort().Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// notTemplate lets the reader of templates speak of a configuration.
func notTemplate(err error) error {
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		return err
	}
	found := slices.Clone(failure.Findings)
	for i, f := range found {
		found[i].Message = strings.Replace(f.Message, "a template is", "the configuration is", 1)
	}
	return found.Err()
}

// configReader turns nodes into a Config and collects what is wrong.
type configReader struct {
	source *cfn.Template
	found  diag.List
}

func (r *configReader) errorf(at cfn.Path, hint, format string, args ...any) {
	r.found = append(r.found, diag.Finding{Place: r.source.Place(at), Level: diag.Error, Rule: "stacks",
		Subject: at.String(), Message: fmt.Sprintf(format, args...), Hint: hint})
}

// kindOf says what a value is, with its article.
func kindOf(n *cfn.Node) string {
	if n.Kind == cfn.Null {
		return n.Kind.String()
	}
	return n.Kind.Article()
}

func step(at cfn.Path, name string) cfn.Path { return append(slices.Clone(at), name) }

// each calls visit for every key of a map; what is "stack landing" in messages.
func (r *configReader) each(what string, n *cfn.Node, at cfn.Path, visit func(name string, n *cfn.Node, at cfn.Path)) {
	if n.Kind != cfn.Map {
		r.errorf(at, "", "%s is a map, not %s", what, kindOf(n))
		return
	}
	for _, f := range n.Fields {
		visit(f.Name, f.Value, step(at, f.Name))
	}
}

// fields reads a map whose keys are known.
func (r *configReader) fields(what string, n *cfn.Node, at cfn.Path, known []field) {
	name := what
	if name == "" {
		name = "the configuration"
	}
	r.each(name, n, at, func(key string, value *cfn.Node, at cfn.Path) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key })
		if i >= 0 {
			known[i].read(value, at)
			return
		}
		names := make([]string, len(known))
		for j, f := range known {
			names[j] = f.name
		}
		hint := "known are " + strings.Join(names, ", ")
		if near := diag.Nearest(key, names); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		where := ""
		if what != "" {
			where = " of " + what
		}
		r.errorf(at, hint, "%q is not a key%s", key, where)
	})
}

func scalar(n *cfn.Node) bool { return n.Kind != cfn.Map && n.Kind != cfn.List && n.Kind != cfn.Null }

func (r *configReader) text(into *string) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		switch {
		case !scalar(n):
			r.errorf(at, "", "%s is a string, not %s", at[len(at)-1], kindOf(n))
		case n.Text == "":
			r.errorf(at, "leave the key out", "%s is empty", at[len(at)-1])
		default:
			*into = n.Text
		}
	}
}

func (r *configReader) truth(set func(bool)) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		if n.Kind != cfn.Bool {
			r.errorf(at, "", "%s is true or false, not %s", at[len(at)-1], kindOf(n))
			return
		}
		set(n.Bool())
	}
}

func (r *configReader) texts(into *[]string) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		if n.Kind != cfn.List {
			r.errorf(at, "", "%s is a list of strings, not %s", at[len(at)-1], kindOf(n))
			return
		}
		*into = []string{}
		for i, item := range n.Items {
			if !scalar(item) || item.Text == "" {
				r.errorf(step(at, fmt.Sprint(i)), "", "an item of %s is a string, not %s", at[len(at)-1], kindOf(item))
				continue
			}
			*into = append(*into, item.Text)
		}
	}
}

func (r *configReader) oneOf(into *[]string, allowed ...string) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		r.texts(into)(n, at)
		for i, s := range *into {
			r.among(s, step(at, fmt.Sprint(i)), allowed)
		}
	}
}

func (r *configReader) choice(into *string, allowed ...string) func(*cfn.Node, cfn.Path) {
	return func(n *cfn.Node, at cfn.Path) {
		r.text(into)(n, at)
		if *into != "" {
			r.among(*into, at, allowed)
		}
	}
}

func (r *configReader) among(s string, at cfn.Path, allowed []string) {
	if slices.Contains(allowed, s) {
		return
	}
	hint := "it is one of " + strings.Join(allowed, ", ")
	if near := diag.Nearest(s, allowed); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	r.errorf(at, hint, "%q is not a known value", s)
}

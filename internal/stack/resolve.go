package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"refline/internal/stack/planfile"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
)

// parameters returns every value that the change set needs. Values are kept only
// where the stack has the parameter already: a new stack, or a parameter new
// to it, has none to keep.
func (s *Session) parameters(ctx context.Context, t *Target, tmpl *Template, now current) ([]Parameter, error) {
	declared, required := tmpl.parameters()
	values := slices.Clone(t.Parameters)
	for _, v := range t.Common {
		has := func(x Value) bool { return x.Key == v.Key }
		if slices.Contains(declared, v.Key) && !slices.ContainsFunc(values, has) {
			values = append(values, v)
		}
	}
	kept := func(key string) bool {
		return now.exists && slices.ContainsFunc(now.Parameters, func(p Pair) bool { return p.Key == key })
	}
	found := Undeclared(t, tmpl)
	var out []Parameter
	given := map[string]bool{}
	for _, v := range values {
		if !slices.Contains(declared, v.Key) {
			continue
		}
		given[v.Key] = true
		if v.Previous {
			if kept(v.Key) {
				out = append(out, Parameter{Key: v.Key, UsePrevious: true})
			} else if required[v.Key] {
				found = append(found, diag.Finding{Place: v.Place, Level: diag.Error, Rule: "stacks",
					Message: fmt.Sprintf("stack %s has no value of %s to keep, and the template no default", t.StackName, v.Key),
					Hint:    "give a value for the first time"})
			}
			continue
		}
		text, err := s.value(ctx, v)
		if err != nil {
			return nil, err
		}
		out = append(out, Parameter{Key: v.Key, Value: text})
	}
	for _, key := range declared {
		switch {
		case given[key]:
		case kept(key) && required[key]:
			out = append(out, Parameter{Key: key, UsePrevious: true})
		case required[key]:
			found = append(found, diag.Finding{Place: tmpl.where(cfn.Path{"Parameters", key}), Level: diag.Error, Rule: "stacks",
				Message: fmt.Sprintf("parameter %s has no value", key),
				Hint:    fmt.Sprintf("add it to parameters: of stack %s in %s, or give it a Default", t.Name, s.Config.File)})
		}
	}
	slices.SortFunc(out, func(a, b Parameter) int { return strings.Compare(a.Key, b.Key) })
	return out, found.Sort().Err()
}

// Undeclared are the parameters that the configuration gives a stack and its
// template does not have. No cloud is needed to know them.
func Undeclared(t *Target, tmpl *Template) diag.List {
	declared, _ := tmpl.parameters()
	var found diag.List
	for _, v := range t.Parameters {
		if !slices.Contains(declared, v.Key) {
			found = append(found, undeclared(v, declared, tmpl))
		}
	}
	return found
}

func undeclared(v Value, declared []string, tmpl *Template) diag.Finding {
	hint := "it declares none"
	if len(declared) > 0 {
		hint = "it declares " + strings.Join(declared, ", ")
	}
	if near := diag.Nearest(v.Key, declared); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return diag.Finding{Place: v.Place, Level: diag.Error, Rule: "stacks",
		Message: fmt.Sprintf("%s has no parameter %q", tmpl.File, v.Key), Hint: hint}
}

func (s *Session) tags(ctx context.Context, t *Target) ([]Pair, error) {
	out := make([]Pair, 0, len(t.Tags))
	for _, v := range t.Tags {
		text, err := s.value(ctx, v)
		if err != nil {
			return nil, err
		}
		out = append(out, Pair{Key: v.Key, Value: text})
	}
	return out, nil
}

func (s *Session) value(ctx context.Context, v Value) (string, error) {
	switch {
	case v.Env != "":
		text := s.Getenv(v.Env)
		if text == "" {
			return "", diag.List{unset(v)}.Err()
		}
		return text, nil
	case v.Output.Stack != "":
		return s.output(ctx, v)
	}
	return v.Text, nil
}

// output reads an output of another stack of the environment.
func (s *Session) output(ctx context.Context, v Value) (string, error) {
	d, ok := s.Config.Stack(v.Output.Stack)
	if !ok {
		return "", errs.E(errs.NotFound, "stack %q", v.Output.Stack)
	}
	name := s.Config.Target(d, s.Env).StackName
	st, err := patiently(ctx, s, func() (Stack, error) { return s.Cloud.Stack(ctx, name) })
	if errs.Is(err, errs.NotFound) || err == nil && st.Status == reviewInProgress {
		return "", s.notYet(ctx, d, v, nil)
	}
	if err != nil {
		return "", fmt.Errorf("outputs of %s: %w", name, err)
	}
	keys := make([]string, 0, len(st.Outputs))
	for _, o := range st.Outputs {
		if o.Key == v.Output.Key {
			return o.Value, nil
		}
		keys = append(keys, o.Key)
	}
	return "", s.notYet(ctx, d, v, keys)
}

// notYet is the error for an output that a stack does not have: it will, once
// the stack is deployed as its template is now, or there is none of this name.
func (s *Session) notYet(ctx context.Context, d *Definition, v Value, keys []string) error {
	t := s.Config.Target(d, s.Env)
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return err
	}
	f, missing := tmpl.missingOutput(v, keys)
	if !missing {
		return &NotYetError{Key: v.Key, Output: v.Output, StackName: t.StackName, Env: s.Env.Name}
	}
	f.Message = fmt.Sprintf("stack %s has no output %q", t.StackName, v.Output.Key)
	return diag.List{f}.Err()
}

// NotYetError says that a stack cannot be planned before another one is
// deployed.
type NotYetError struct {
	Key       string
	Output    OutputRef
	StackName string
	Env       string
}

func (e *NotYetError) Error() string {
	return fmt.Sprintf("%s is output %s of stack %s, which is not deployed yet; deploy that first, or all in order: refline stack up --env %s",
		e.Key, e.Output.Key, e.StackName, e.Env)
}

// after reads what is set when a deployment is done.
func (s *Session) after(ctx context.Context, t *Target) (planfile.AfterDeploy, error) {
	a := planfile.AfterDeploy{TerminationProtection: t.TerminationProtection}
	if t.StackPolicy == "" {
		return a, nil
	}
	in := s.Config.Input(t, s.Read)
	in.File = path.Join(path.Dir(s.Config.File), t.StackPolicy)
	tmpl, err := renderOne(ctx, in)
	if err != nil {
		return a, fmt.Errorf("stack policy: %w", err)
	}
	a.StackPolicy = string(tmpl.Text)
	if !json.Valid(tmpl.Text) { // YAML
		a.StackPolicy = string(tmpl.tree.Root.JSON())
	}
	return a, nil
}

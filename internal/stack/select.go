package stack

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Mode is what a ref does to an environment.
type Mode string

// What a ref may do; each includes the ones before it.
const (
	ModeLint   Mode = "lint"
	ModePlan   Mode = "plan"
	ModeDeploy Mode = "deploy"
)

// RefRule says which refs an environment is for. Exactly one of Branch and Tag
// is set: a name, a pattern with * (which does not match /) and **, or a
// regular expression between slashes.
type RefRule struct {
	Branch string
	Tag    string
	Mode   Mode
}

// Ref is a branch or a tag.
type Ref struct {
	Name string
	Tag  bool
}

func (r Ref) String() string {
	if r.Tag {
		return "tag " + r.Name
	}
	return r.Name
}

func (r RefRule) valid() error {
	pattern := r.Branch + r.Tag
	if text, is := expression(pattern); is {
		if _, err := regexp.Compile(text); err != nil {
			return errs.E(errs.Invalid, "%s is not a regular expression: %w", pattern, err)
		}
		return nil
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return errs.E(errs.Invalid, "%q is not a pattern: %w", pattern, err)
	}
	return nil
}

func expression(pattern string) (string, bool) {
	if len(pattern) < 2 || pattern[0] != '/' || pattern[len(pattern)-1] != '/' {
		return "", false
	}
	return pattern[1 : len(pattern)-1], true
}

func (r RefRule) matches(ref Ref) bool {
	pattern := r.Branch
	if ref.Tag {
		pattern = r.Tag
	}
	if pattern == "" {
		return false
	}
	if text, is := expression(pattern); is {
		re, err := regexp.Compile(text)
		return err == nil && re.MatchString(ref.Name)
	}
	return glob(strings.Split(pattern, "/"), strings.Split(ref.Name, "/"))
}

// glob matches step by step; ** matches any number of steps.
func glob(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		for i := range len(name) + 1 {
			if glob(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], name[0])
	return err == nil && ok && glob(pattern[1:], name[1:])
}

// Selected is an environment that a ref chooses and what it does there.
type Selected struct {
	Env  *Environment
	Mode Mode
}

// Select returns the environments of a ref, in the order of the configuration.
// A ref that chooses none is linted only.
func (c *Config) Select(ref Ref) []Selected {
	var out []Selected
	for _, e := range c.Environments {
		for _, rule := range e.Refs {
			if rule.matches(ref) {
				out = append(out, Selected{Env: e, Mode: rule.Mode})
				break
			}
		}
	}
	return out
}

// Choose finds what a command works on: the environment by name, or the only
// one that the ref selects; and its stacks, all or those named, in order of
// dependency.
func (c *Config) Choose(env string, ref Ref, names []string) (*Environment, []*Target, error) {
	e, err := c.chooseEnvironment(env, ref)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		d, ok := c.Stack(name)
		if !ok {
			return nil, nil, unknown("stack", name, c.stackNames(), c.File)
		}
		if !d.in(e) {
			return nil, nil, errs.E(errs.NotFound, "stack %q is not in environment %s but in %s", name, e.Name, strings.Join(d.Environments, ", "))
		}
	}
	var targets []*Target
	for _, d := range c.ordered(e) {
		if len(names) == 0 || slices.Contains(names, d.Name) {
			targets = append(targets, c.Target(d, e))
		}
	}
	return e, targets, nil
}

func (c *Config) chooseEnvironment(name string, ref Ref) (*Environment, error) {
	if name != "" {
		if e, ok := c.Environment(name); ok {
			return e, nil
		}
		return nil, unknown("environment", name, c.environmentNames(), c.File)
	}
	chosen := c.Select(ref)
	switch len(chosen) {
	case 1:
		return chosen[0].Env, nil
	case 0:
		return nil, errs.E(errs.NotFound, "%s chooses no environment of %s; name one with --env: %s", ref, c.File, strings.Join(c.environmentNames(), ", "))
	default:
		var names []string
		for _, s := range chosen {
			names = append(names, s.Env.Name)
		}
		return nil, errs.E(errs.Invalid, "%s chooses %s; name one with --env", ref, strings.Join(names, " and "))
	}
}

func unknown(what, name string, all []string, file string) error {
	if near := diag.Nearest(name, all); near != "" {
		return errs.E(errs.NotFound, "%s %q is not in %s; did you mean %q?", what, name, file, near)
	}
	return errs.E(errs.NotFound, "%s %q is not in %s; it has %s", what, name, file, strings.Join(all, ", "))
}

// ordered returns the stacks of an environment, those first that others need,
// else as configured.
func (c *Config) ordered(e *Environment) []*Definition {
	var out []*Definition
	done := map[string]bool{}
	var visit func(d *Definition)
	visit = func(d *Definition) {
		if done[d.Name] {
			return
		}
		done[d.Name] = true
		for _, need := range c.needs(d, e) {
			other, _ := c.Stack(need)
			visit(other)
		}
		out = append(out, d)
	}
	for _, d := range c.Stacks {
		if d.in(e) {
			visit(d)
		}
	}
	return out
}

// String is a rule as it is shown: "develop", "tag v*", "feature/* (plan)".
func (r RefRule) String() string {
	text := Ref{Name: r.Branch + r.Tag, Tag: r.Tag != ""}.String()
	if r.Mode != ModeDeploy {
		text += " (" + string(r.Mode) + ")"
	}
	return text
}

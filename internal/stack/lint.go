package stack

import (
	"context"
	"errors"
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// LintOptions choose the rules.
type LintOptions struct {
	Ignore, Include []string // ids or their beginnings, as in [lint.Options]
}

// Lint checks targets and their templates, nested ones too, without a cloud. A
// finding that only some environments of a stack have names them.
func (c *Config) Lint(ctx context.Context, targets []*Target, o LintOptions, read jsonnet.Read) (diag.List, error) {
	found := map[string][]environmentFindings{}
	var names []string
	for _, t := range targets {
		list, err := c.lintTarget(ctx, t, o, read)
		if err != nil {
			return nil, err
		}
		if found[t.Name] == nil {
			names = append(names, t.Name)
		}
		found[t.Name] = append(found[t.Name], environmentFindings{t.Env.Name, list})
	}
	var all diag.List
	for _, name := range names {
		all = append(all, mergeEnvironments(found[name], c.File)...)
	}
	return all, nil
}

// environmentFindings is what was found of a stack in one environment.
type environmentFindings struct {
	env  string
	list diag.List
}

// mergeEnvironments makes one list. A finding in the configuration needs no
// environment named: it is at the environment's line.
func mergeEnvironments(all []environmentFindings, config string) diag.List {
	type key struct {
		place                  diag.Place
		rule, subject, message string
	}
	envs := map[key][]string{}
	var out diag.List
	for _, one := range all {
		for _, f := range one.list {
			k := key{f.Place, f.Rule, f.Subject, f.Message}
			if envs[k] == nil {
				out = append(out, f)
			}
			if !slices.Contains(envs[k], one.env) {
				envs[k] = append(envs[k], one.env)
			}
		}
	}
	for i, f := range out {
		if in := envs[key{f.Place, f.Rule, f.Subject, f.Message}]; len(in) < len(all) && f.File != config {
			out[i].Message += " (in " + strings.Join(in, ", ") + ")"
		}
	}
	return out
}

// lintTarget lints a stack in one environment.
func (c *Config) lintTarget(ctx context.Context, t *Target, o LintOptions, read jsonnet.Read) (diag.List, error) {
	tmpl, err := c.Render(ctx, t, read)
	if found, ok := FindingsOf(err); ok {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := c.Check(ctx, t, tmpl, read)
	if err != nil {
		return nil, err
	}
	found, err := c.lintTemplate(ctx, t, tmpl, o, read)
	if err != nil {
		return nil, err
	}
	all = append(all, found...)
	for _, file := range tmpl.NestedFiles() {
		in := c.Input(t, read)
		in.File = file
		found, err := LintTemplate(ctx, in, o.with(lint.Options{Regions: []string{t.Env.Region}}))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// lintTemplate lints a stack's own template with the values that it will get.
func (c *Config) lintTemplate(ctx context.Context, t *Target, tmpl *Template, o LintOptions, read jsonnet.Read) (diag.List, error) {
	given, unknown := t.Given(tmpl)
	found, err := LintTemplate(ctx, c.Input(t, read), o.with(lint.Options{Regions: []string{t.Env.Region}, Parameters: given, Unknown: unknown}))
	for i, f := range found {
		if f.Rule != "E2900" {
			continue
		}
		if at, ok := t.ValuePlace(f.Subject); ok {
			found[i].Place = at
		} else {
			found[i].Hint = "add it to parameters: of stack " + t.Name + " in " + c.File + ", or give it a Default"
		}
	}
	return found, err
}

func (o LintOptions) with(lo lint.Options) lint.Options {
	lo.Ignore, lo.Include = o.Ignore, o.Include
	return lo
}

// LintTemplate returns a template's findings; one that cannot be read is a finding.
func LintTemplate(ctx context.Context, in jsonnet.Input, o lint.Options) (diag.List, error) {
	t, err := cfn.Load(ctx, in)
	if list, ok := FindingsOf(err); ok {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	return lint.Lint(ctx, t, o)
}

// FindingsOf returns the findings that an error holds.
func FindingsOf(err error) (diag.List, bool) {
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		return nil, false
	}
	return failure.Findings, true
}

package main

import (
	"context"
	"errors"
	"slices"

	"refline/internal/errs"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
)

// keptVariables are those of the project's file for one pipeline.
type keptVariables struct {
	list      []secret.Variable
	protected bool // the pipeline's ref is
	reveal    bool // masked values are for jobs; else nobody needs them
}

// loadVariables reads the project's variables and tells the facts whether the
// ref is protected: the default branch, and what the file says.
func (c *compiled) loadVariables(ctx context.Context, e *env, o *pipelineOptions) error {
	v, err := openVars(ctx, e, varOptions{file: o.variables, repo: o.repo}, false)
	if err != nil {
		return err
	}
	f := &c.facts
	f.Protected = f.Protected || f.Branch != "" && v.Protected.Branch(f.Branch) || f.Tag != "" && v.Protected.Tag(f.Tag)
	c.kept = keptVariables{list: v.Variables, protected: f.Protected, reveal: o.reveal}
	if !o.reveal {
		return nil
	}
	var refused []error
	for _, x := range v.Variables {
		if x.Masked {
			if err := c.secrets.Add(x.Name, x.Value.Reveal()); err != nil {
				refused = append(refused, errs.E(errs.Invalid, "%w; to keep it unmasked: refline var set %s --visible", err, x.Name))
			}
		}
	}
	return errors.Join(refused...)
}

// of gives the variables for jobs of an environment, "" for those without.
func (k keptVariables) of(environment string) []pipeline.Variable {
	var out []pipeline.Variable
	for _, x := range secret.Select(k.list, secret.Job{Environment: environment, ProtectedRef: k.protected}) {
		value := x.Value.String()
		if k.reveal || !x.Masked {
			value = x.Value.RevealString()
		}
		out = append(out, pipeline.Variable{Name: x.Name, Value: value, Masked: x.Masked, Raw: x.Raw, File: x.File})
	}
	return out
}

// withoutName leaves a variable out: that of a deploy key.
func (k *keptVariables) withoutName(name string) {
	k.list = slices.DeleteFunc(slices.Clone(k.list), func(x secret.Variable) bool { return x.Name == name })
}

// environmentOf is a job's environment with its variables expanded.
func (c *compiled) environmentOf(j *pipeline.Job) string {
	if j.Environment == nil {
		return ""
	}
	known := map[string]string{}
	for _, layer := range [][]pipeline.Variable{c.input.Predefined, gitlabci.JobVariables(j), j.Variables, c.kept.of(""), c.input.Pipeline} {
		for _, v := range layer {
			known[v.Name] = v.Value
		}
	}
	delete(known, "CI_ENVIRONMENT_NAME") // it is what is looked for
	return pipeline.Resolve(j.Environment.Name, func(name string) (string, bool) {
		v, ok := known[name]
		return v, ok
	})
}

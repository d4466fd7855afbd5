package server

import (
	"context"
	"slices"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/definition"
	"refline/internal/pipeline"
)

// imageTime bounds how long a launch waits for the registry of a service's image.
const imageTime = 3 * time.Second

// launchServices says which services a job has, as far as everyone who sees its pod may
// know. The variables of the project come later, to the process that runs the job.
func (d dispatcher) launchServices(ctx context.Context, w *work, lookup func(string) (string, bool)) ([]api.LaunchService, error) {
	if len(w.job.Services) == 0 {
		return nil, nil
	}
	var out []api.LaunchService
	facts := w.facts
	facts.Variables = nil // what a run was given may be secret
	below, above := facts.JobVariables(w.compiled.Pipeline, w.job, definition.Variables{})
	shown := pipeline.Lookup(pipeline.JobVariables(w.job, below, nil, above))
	for _, s := range w.job.Services {
		one := api.LaunchService{Service: s}
		one.Name, one.User, one.Platform = pipeline.Resolve(s.Name, lookup), pipeline.Resolve(s.User, lookup), pipeline.Resolve(s.Platform, lookup)
		one.Aliases = nil
		for _, a := range s.Aliases {
			one.Aliases = append(one.Aliases, strings.Fields(pipeline.Resolve(a, lookup))...)
		}
		one.Variables = nil
		for _, v := range slices.Concat(w.compiled.Pipeline.Variables, w.job.Variables, s.Variables) {
			missing := false
			value := v.Value
			if !v.Raw {
				value = pipeline.Resolve(v.Value, func(name string) (string, bool) {
					value, ok := shown(name)
					missing = missing || !ok && name != "$"
					return value, ok
				})
			}
			own := slices.ContainsFunc(s.Variables, func(x pipeline.Variable) bool { return x.Name == v.Name })
			if missing && own && !slices.Contains(one.Unshown, v.Name) {
				one.Unshown = append(one.Unshown, v.Name)
			}
			if !missing && !v.Masked && !v.File {
				one.Variables = append(one.Variables, pipeline.Variable{Name: v.Name, Value: value, Raw: true})
			}
		}
		if len(s.Entrypoint) == 0 {
			one.OfImage = d.s.imageConfig(ctx, w.project, one.Name)
		}
		out = append(out, one)
	}
	return out, nil
}

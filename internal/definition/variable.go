package definition

import (
	"slices"

	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
)

// JobVariables are a job's variables from outside of the configuration: those
// below the ones that are written in it, and those above; see GitLab's order of
// precedence.
func (d *Definition) JobVariables(j *pipeline.Job) (below, above []pipeline.Variable) {
	below = append(append(below, d.input.Predefined...), gitlabci.PipelineVariables(d.Pipeline)...)
	below = append(below, gitlabci.JobVariables(j)...)
	above = pipeline.Merge(d.input.Instance, d.input.Group,
		d.projectVariables(d.Environment(j), d.variables.Withheld), d.input.Pipeline, d.variables.Job)
	return below, above
}

// PipelineVariables are the variables that no single job decides, with those
// that are written for the whole pipeline.
func (d *Definition) PipelineVariables() []pipeline.Variable {
	var written []pipeline.Variable
	if d.Pipeline != nil {
		written = d.Pipeline.Variables
	}
	return pipeline.Merge(written, d.input.Project, d.input.Pipeline)
}

// Environment is the name of a job's environment with its variables expanded,
// "" for none.
func (d *Definition) Environment(j *pipeline.Job) string {
	if j.Environment == nil {
		return ""
	}
	project := d.projectVariables("", d.variables.Withheld)
	name, err := pipeline.EnvironmentName(j, pipeline.Merge(d.input.Predefined, gitlabci.JobVariables(j), j.Variables, project, d.input.Pipeline))
	if err != nil { // variables in a cycle: the job reports them
		return j.Environment.Name
	}
	return name
}

// projectVariables are the project's variables for jobs of an environment, "" for
// those without, except the ones withheld.
func (d *Definition) projectVariables(environment string, withheld []string) []pipeline.Variable {
	var out []pipeline.Variable
	for _, x := range secret.Select(d.variables.Project, secret.Job{Environment: environment, ProtectedRef: d.Facts.Protected}) {
		if slices.Contains(withheld, x.Name) {
			continue
		}
		value := x.Value.String()
		if d.variables.Reveal || !x.Masked {
			value = x.Value.RevealString()
		}
		out = append(out, pipeline.Variable{Name: x.Name, Value: value, Masked: x.Masked, Raw: x.Raw, File: x.File})
	}
	return out
}

package definition

import (
	"slices"

	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/secret"
)

// RunFacts are what a run keeps of its definition beside the pipeline, in JSON.
// With the project's variables of the moment they give each job's variables.
type RunFacts struct {
	Facts gitlabci.Facts `json:"facts"`
	// Variables are those of this pipeline alone: of its trigger or schedule.
	Variables []pipeline.Variable `json:"variables,omitempty"`
	Inputs    map[string]any      `json:"inputs,omitempty"`
	Depth     int                 `json:"depth,omitempty"` // of child pipelines; 0 for a root
	Trust     secret.Trust        `json:"trust"`           // decides which secrets its attempts get
	// Image, of a flow in an image, has its files: registry/name@digest. Its ref is
	// only what the image says, so it protects nothing.
	Image string `json:"image,omitempty"`
}

// RunFacts returns what a run keeps of the definition.
func (d *Definition) RunFacts() RunFacts {
	return RunFacts{Facts: d.Facts, Variables: d.input.Pipeline, Inputs: d.input.Inputs, Depth: d.depth}
}

// Ref is what the run is made for, for the rule of protected refs.
func (f RunFacts) Ref() secret.Ref {
	if f.Image != "" {
		return secret.Ref{}
	}
	ref := secret.Ref{Branch: f.Facts.Branch, Tag: f.Facts.Tag}
	if m := f.Facts.MergeRequest; m != nil {
		ref.Target = m.TargetBranch
	}
	return ref
}

// JobVariables are [Definition.JobVariables] from what a run has kept and the
// variables that it may have now.
func (f RunFacts) JobVariables(p *pipeline.Pipeline, j *pipeline.Job, v Variables) (below, above []pipeline.Variable) {
	d := f.definition(p, v)
	return d.JobVariables(j)
}

// Environment is [Definition.Environment] from what a run has kept.
func (f RunFacts) Environment(p *pipeline.Pipeline, j *pipeline.Job, v Variables) string {
	d := f.definition(p, v)
	return d.Environment(j)
}

// GitSettings are [Definition.GitSettings] from what a run has kept.
func (f RunFacts) GitSettings(p *pipeline.Pipeline, j *pipeline.Job, v Variables) GitSettings {
	return f.definition(p, v).GitSettings(j)
}

// definition has what the variables of jobs follow from, and nothing else.
func (f RunFacts) definition(p *pipeline.Pipeline, v Variables) *Definition {
	v.Pipeline = f.Variables
	return &Definition{
		Result: &gitlabci.Result{Pipeline: p}, Facts: f.Facts, variables: v, depth: f.Depth,
		input: gitlabci.Input{Predefined: gitlabci.Predefined(f.Facts), Instance: v.Instance, Group: v.Group, Pipeline: f.Variables},
	}
}

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

package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// JobVariables gives all variables of a job in GitLab's order of precedence, the
// highest last: those below its own (predefined and of the pipeline's
// definition), its own, those of dotenv reports that it takes, and those above
// (of the project, and given with the pipeline).
func JobVariables(j *Job, below, dotenv, above []Variable) []Variable {
	return Merge(below, j.Variables, dotenv, above)
}

// WithGroupNames returns the pipeline with the variables in the names of resource
// groups expanded: two jobs meet in a group by what it is called in the end.
// variables gives all variables of a job (see [JobVariables]). It returns p itself
// if there is nothing to expand, else a copy; p stays as it is.
func WithGroupNames(p *Pipeline, variables func(*Job) []Variable) (*Pipeline, error) {
	var jobs []Job
	for i := range p.Jobs {
		j := &p.Jobs[i]
		name, err := expandName(j.ResourceGroup, func() []Variable { return variables(j) })
		if err != nil {
			return nil, fmt.Errorf("job %q: resource_group: %w", j.Name, err)
		}
		if name == j.ResourceGroup {
			continue
		}
		if jobs == nil {
			jobs = slices.Clone(p.Jobs)
		}
		jobs[i].ResourceGroup = name
	}
	if jobs == nil {
		return p, nil
	}
	out := *p
	out.Jobs = jobs
	return &out, nil
}

// EnvironmentName gives the name of a job's environment with its variables
// expanded, "" if it has none. The name decides which variables of the project a
// job gets, so variables are all of the job's but those for one environment.
func EnvironmentName(j *Job, variables []Variable) (string, error) {
	if j.Environment == nil {
		return "", nil
	}
	known := slices.DeleteFunc(slices.Clone(variables), func(v Variable) bool {
		return v.Name == "CI_ENVIRONMENT_NAME" // it is what is looked for
	})
	name, err := expandName(j.Environment.Name, func() []Variable { return known })
	if err != nil {
		return "", fmt.Errorf("job %q: environment: %w", j.Name, err)
	}
	return name, nil
}

// Deployment gives the name and the URL of the environment that a job deployed to,
// with variables expanded; both are empty if it has none. variables are all of the
// job's, with those that its own dotenv reports brought.
func Deployment(j *Job, variables []Variable) (name, url string, err error) {
	if name, err = EnvironmentName(j, variables); err != nil || name == "" {
		return "", "", err
	}
	url, err = expandName(j.Environment.URL, func() []Variable {
		own := []Variable{{Name: "CI_ENVIRONMENT_NAME", Value: name, Raw: true}, {Name: "CI_ENVIRONMENT_SLUG", Value: EnvironmentSlug(name), Raw: true}}
		return slices.DeleteFunc(Merge(variables, own), func(v Variable) bool {
			return v.Name == "CI_ENVIRONMENT_URL"
		})
	})
	if err != nil {
		return "", "", fmt.Errorf("job %q: environment: url: %w", j.Name, err)
	}
	return name, url, nil
}

func expandName(name string, variables func() []Variable) (string, error) {
	if !strings.ContainsAny(name, "$%") {
		return name, nil
	}
	expanded, err := ExpandAll(variables())
	if err != nil {
		return "", err
	}
	return Resolve(name, Lookup(ResolveAll(expanded, func(string) string { return "" }))), nil
}

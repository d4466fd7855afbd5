package gitlabci

import (
	"strconv"

	"refline/internal/pipeline"
)

// PipelineVariables returns the predefined variables that a compiled pipeline adds
// for all its jobs: its name, if it has one. p may be nil.
func PipelineVariables(p *pipeline.Pipeline) []pipeline.Variable {
	if p == nil || p.Name == "" {
		return nil
	}
	return []pipeline.Variable{{Name: "CI_PIPELINE_NAME", Value: p.Name, Raw: true}}
}

// JobVariables returns the predefined variables of a job that are known when it is
// compiled: its names, stage, index among parallel jobs and environment. Those of a
// run (CI_JOB_ID, CI_JOB_STARTED_AT, …) are not included.
func JobVariables(job *pipeline.Job) []pipeline.Variable {
	vars := make([]pipeline.Variable, 0, 15)
	add := func(name, value string) { vars = append(vars, pipeline.Variable{Name: name, Value: value, Raw: true}) }
	add("CI_JOB_NAME", job.Name)
	// CI_JOB_ID is set when the job runs
	vars = append(vars, pipeline.Variable{Name: "CI_JOB_URL", Value: "$CI_PROJECT_URL/-/jobs/$CI_JOB_ID"})
	add("CI_JOB_NAME_SLUG", pipeline.Slug(job.Name))
	add("CI_JOB_GROUP_NAME", job.Base)
	add("CI_JOB_STAGE", job.Stage)
	total := 1
	if job.Index > 0 {
		add("CI_NODE_INDEX", strconv.Itoa(job.Index))
		total = job.Total
	}
	add("CI_NODE_TOTAL", strconv.Itoa(total))
	if job.When == pipeline.WhenManual {
		add("CI_JOB_MANUAL", "true")
	}
	if e := job.Environment; e != nil {
		add("CI_ENVIRONMENT_NAME", e.Name)
		add("CI_ENVIRONMENT_SLUG", pipeline.EnvironmentSlug(e.Name))
		add("CI_ENVIRONMENT_ACTION", e.Action)
		tier := e.DeploymentTier
		if tier == "" {
			tier = guessTier(e.Name)
		}
		add("CI_ENVIRONMENT_TIER", tier)
		if e.URL != "" {
			vars = append(vars, pipeline.Variable{Name: "CI_ENVIRONMENT_URL", Value: e.URL})
		}
	}
	return vars
}

package gitlabci

import (
	"strconv"
	"strings"

	"refline/internal/pipeline"
)

// JobVariables gives the predefined variables of a job that are known when it
// is compiled: its names, stage, place among parallel jobs and environment.
// What only a run knows (CI_JOB_ID, CI_JOB_STARTED_AT, …) is not among them.
func JobVariables(job *pipeline.Job) []pipeline.Variable {
	vars := make([]pipeline.Variable, 0, 14)
	add := func(name, value string) { vars = append(vars, pipeline.Variable{Name: name, Value: value, Raw: true}) }
	add("CI_JOB_NAME", job.Name)
	add("CI_JOB_NAME_SLUG", slug(job.Name))
	add("CI_JOB_GROUP_NAME", job.Base)
	add("CI_JOB_STAGE", job.Stage)
	total := 1
	if job.Index > 0 {
		add("CI_NODE_INDEX", strconv.Itoa(job.Index))
		total = job.Total
	}
	add("CI_NODE_TOTAL", strconv.Itoa(total))
	if job.When == pipeline.Manual {
		add("CI_JOB_MANUAL", "true")
	}
	if e := job.Environment; e != nil {
		add("CI_ENVIRONMENT_NAME", e.Name)
		add("CI_ENVIRONMENT_SLUG", environmentSlug(e.Name))
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

// slug is a name in lower case with everything but letters and digits as a
// dash, at most 63 characters, without dashes at its ends.
func slug(name string) string {
	const most = 63
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(most, len(s))], "-")
}

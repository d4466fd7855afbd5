package runview

import (
	"io"
	"strings"

	"refline/internal/pipeline"
	"refline/internal/termview"
)

// ListedJob is a job of a pipeline, in short.
type ListedJob struct {
	Name         string   `json:"name"`
	Stage        string   `json:"stage"`
	When         string   `json:"when"`
	AllowFailure bool     `json:"allow_failure"`
	Needs        []string `json:"needs,omitzero"` // empty: starts at once; left out: waits for the stages before
	Image        string   `json:"image,omitempty"`
	Environment  string   `json:"environment,omitempty"`
	Trigger      bool     `json:"trigger,omitempty"`
}

// List lists the jobs of a pipeline; a nil pipeline has none.
func List(p *pipeline.Pipeline) []ListedJob {
	jobs := make([]ListedJob, 0)
	if p != nil {
		for i := range p.Jobs {
			jobs = append(jobs, listed(&p.Jobs[i]))
		}
	}
	return jobs
}

// Jobs writes jobs, one a line.
func Jobs(w io.Writer, jobs []ListedJob) {
	rows := [][]string{{"job", "stage", "when", "needs"}}
	for _, j := range jobs {
		when := j.When
		if j.AllowFailure {
			when += ", may fail"
		}
		needs := strings.Join(j.Needs, ", ")
		if j.Needs != nil && len(j.Needs) == 0 {
			needs = "nothing"
		}
		rows = append(rows, []string{j.Name, j.Stage, when, needs})
	}
	termview.Table(w, rows)
}

func listed(j *pipeline.Job) ListedJob {
	l := ListedJob{
		Name: j.Name, Stage: j.Stage, When: string(j.When),
		AllowFailure: j.AllowFailure, Trigger: j.Downstream != nil,
	}
	if j.DAG {
		l.Needs = []string{}
	}
	for _, n := range j.Needs {
		name := n.Job
		if n.Project != "" {
			name = n.Project + ":" + n.Job
		}
		l.Needs = append(l.Needs, name)
	}
	if j.Image != nil {
		l.Image = j.Image.Name
	}
	if j.Environment != nil {
		l.Environment = j.Environment.Name
	}
	return l
}

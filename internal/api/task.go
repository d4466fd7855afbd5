package api

import (
	"encoding/json"
	"strings"
	"time"

	"refline/internal/pipeline"
)

// Tasks are the tasks of one attempt of a job: what it reported of its inside. Its
// root tasks are flows or steps; others name their parent.
type Tasks struct {
	Run     int64               `json:"run"`
	Job     string              `json:"job"`
	Attempt int                 `json:"attempt" doc:"number of the attempt, from 1; 0 if the job has not started"`
	Counts  pipeline.TaskCounts `json:"counts" doc:"numbers of tasks by state, without flows"`
	Total   int                 `json:"total" doc:"number of tasks, without flows; more than are listed for a job with very many"`
	// Groups have the counts that hold for all tasks, listed or not.
	Groups []pipeline.TaskGroup `json:"groups,omitempty" doc:"tasks by parent and name, in order of their first appearance"`
	Tasks  []pipeline.Task      `json:"tasks,omitempty" doc:"in order of appearance, at most 11,000"`
	// Reports are what tasks and the job itself showed, in order.
	Reports []TaskReport `json:"reports,omitempty" doc:"tables, texts, links and artifacts, in order; at most 500"`
	Version int64        `json:"version" doc:"grows with each event"`
}

// TaskReport is something that a task, or the job if Task is empty, showed.
type TaskReport struct {
	Kind    pipeline.StepType `json:"kind" enum:"markdown,table,link,artifact"`
	Task    string            `json:"task,omitempty" doc:"id of the task"`
	Title   string            `json:"title,omitempty"`
	Text    string            `json:"text,omitempty" doc:"of markdown"`
	URL     string            `json:"url,omitempty" doc:"of a link, http or https"`
	Path    string            `json:"path,omitempty" doc:"of an artifact, in the project"`
	Columns []string          `json:"columns,omitempty" doc:"of a table"`
	Rows    [][]any           `json:"rows,omitempty" doc:"of a table: texts, numbers, booleans and null"`
}

// TaskLog is a part of what a task printed.
type TaskLog struct {
	Lines []TaskLogLine `json:"lines"`
	Next  int64         `json:"next,omitempty" doc:"where to read on; absent at the end so far"`
}

// TaskLogLine is what a task printed at one time; it may hold several lines.
type TaskLogLine struct {
	Task   string    `json:"task" doc:"id of the task, which may be one below the one that is asked for"`
	Time   time.Time `json:"time,omitzero"`
	Text   string    `json:"text"`
	Stream string    `json:"stream,omitempty" enum:"out,err"`
	Level  string    `json:"level,omitempty"`
}

// ReadTaskReport reads what is shown beside states; only links to pages are links.
func ReadTaskReport(raw json.RawMessage) (TaskReport, bool) {
	var s pipeline.Step
	if json.Unmarshal(raw, &s) != nil {
		return TaskReport{}, false
	}
	r := TaskReport{Kind: s.Type, Task: s.ID, Title: s.Title}
	switch s.Type {
	case pipeline.StepMarkdown:
		r.Text = s.Text
	case pipeline.StepTable:
		r.Columns, r.Rows = s.Columns, s.Rows
	case pipeline.StepLink:
		if !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
			return r, false
		}
		r.URL = s.URL
	case pipeline.StepArtifact:
		r.Path = s.Path
	default:
		return r, false
	}
	return r, true
}

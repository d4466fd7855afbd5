package api

import (
	"time"

	"refline/internal/pipeline"
)

// RunInput starts a run of a flow, or of a project's pipeline file.
type RunInput struct {
	Flow      string            `json:"flow,omitempty" doc:"name of a flow of the project"`
	Project   string            `json:"project,omitempty"`
	RefKind   string            `json:"ref_kind,omitempty" enum:"branch,tag,commit"`
	Ref       string            `json:"ref,omitempty" doc:"instead of the flow's"`
	Inputs    map[string]any    `json:"inputs,omitempty"`
	Variables map[string]string `json:"variables,omitempty" doc:"of this run, not secret"`
}

// Run is one execution of a pipeline at one commit.
type Run struct {
	ID       int64             `json:"id"`
	Number   int64             `json:"number" doc:"in its project"`
	Project  string            `json:"project"`
	Flow     string            `json:"flow,omitempty"`
	Status   pipeline.Status   `json:"status"`
	Result   pipeline.Result   `json:"result,omitempty" enum:"success,failed,canceled,waiting"`
	Stages   []pipeline.Status `json:"stages,omitempty"`
	Trigger  pipeline.Trigger  `json:"trigger"`
	Ref      string            `json:"ref,omitempty"`
	Commit   string            `json:"commit"`
	Actor    string            `json:"actor,omitempty"`
	Parent   int64             `json:"parent,omitempty"`
	Version  int64             `json:"version" doc:"grows with each change"`
	Created  time.Time         `json:"created"`
	Started  time.Time         `json:"started,omitzero"`
	Finished time.Time         `json:"finished,omitzero"`
	Title    string            `json:"title,omitempty" doc:"first line of the commit's message"`
	Path     string            `json:"path,omitempty" doc:"of the pipeline file; with one run"`
	Tagged   bool              `json:"tagged,omitempty" doc:"the ref is a tag; with one run"`
	Jobs     []Job             `json:"jobs,omitempty" doc:"with one run"`
	Why      string            `json:"why,omitempty" doc:"why it does not start"`
	Usual    int64             `json:"usual_ms,omitempty" doc:"median of the good runs of the same flow or branch; in the overview and with one run's details"`
	Notices  []string          `json:"notices,omitempty" doc:"statuses, comments and messages that could not be sent, and why; with one run"`
}

// RunChange says that a run changed.
type RunChange struct {
	Run     int64           `json:"run"`
	Version int64           `json:"version"`
	Project string          `json:"project"`
	Flow    string          `json:"flow,omitempty"`
	Status  pipeline.Status `json:"status"`
	Result  pipeline.Result `json:"result,omitempty"`
}

// Job is a job of a run.
type Job struct {
	Name         string          `json:"name"`
	Stage        string          `json:"stage"`
	Status       pipeline.Status `json:"status"`
	Reason       pipeline.Reason `json:"reason,omitempty"`
	ExitCode     int             `json:"exit_code,omitempty"`
	AllowFailure bool            `json:"allow_failure,omitempty"`
	Manual       bool            `json:"manual,omitempty"`
	Attempt      int             `json:"attempt,omitempty" doc:"number of the last one, from 1"`
	Started      time.Time       `json:"started,omitzero"`
	Finished     time.Time       `json:"finished,omitzero"`
	Environment  string          `json:"environment,omitempty"`
	Needs        []string        `json:"needs,omitempty"`
	When         pipeline.When   `json:"when,omitempty"`
	DAG          bool            `json:"dag,omitempty" doc:"it waits for its needs, if any, instead of the stages before it"`
	Trigger      bool            `json:"trigger,omitempty" doc:"it starts another pipeline"`
	Why          string          `json:"why,omitempty" doc:"why it does not start"`
	Error        string          `json:"error,omitempty" doc:"what was in the way"`
	Child        int64           `json:"child,omitempty" doc:"the run that it started"`
}

// Runs is a page of runs, newest first.
type Runs struct {
	Runs []Run  `json:"runs"`
	Next string `json:"next,omitempty" doc:"cursor of the next page; absent on the last"`
}

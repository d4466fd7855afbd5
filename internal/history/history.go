// Package history keeps the records of runs on this computer: what ran, how each
// job ended, what it reported, and where its log and artifacts are.
//
// A record is written whole or not at all. What a run that is killed would take
// with it is in a journal, which is appended to while the run goes on. Numbers
// are never used twice.
package history

import (
	"encoding/json"
	"time"

	"refline/internal/pipeline"
)

// Run is what is remembered of a run: run.json in its folder.
type Run struct {
	Number int64  `json:"number"`
	Title  string `json:"name,omitempty"` // workflow:name
	// Project is the folder, or the repository's URL.
	Project string `json:"project"`
	File    string `json:"file"`
	Ref     string `json:"ref,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// CodeOf is set when the run was only as if on Ref: the branch whose code
	// ran, "HEAD" for none.
	CodeOf   string           `json:"code_of,omitempty"`
	Changed  int              `json:"changed_files,omitempty"`
	Event    pipeline.Trigger `json:"event"`
	Inputs   map[string]any   `json:"inputs,omitempty"`
	RetryOf  int64            `json:"retry_of,omitempty"` // the run whose failed jobs ran again
	Started  time.Time        `json:"started"`
	Finished time.Time        `json:"finished,omitzero"`
	Status   pipeline.Status  `json:"status"`
	Result   pipeline.Result  `json:"result,omitempty"` // empty while it runs
	// Interrupted is set when the process ended before the run did, by kill -9 or
	// a crash. Status and Result are failed then.
	Interrupted bool  `json:"interrupted,omitempty"`
	Jobs        []Job `json:"jobs,omitempty"`
}

// Outcome is what lists show of a run: its result, for which a failed job counts
// whatever else waits, or its status while there is no result.
func (r *Run) Outcome() (symbol pipeline.Status, word string) {
	switch {
	case r.Interrupted:
		return pipeline.StatusFailed, "interrupted"
	case r.Result == pipeline.ResultSuccess:
		return pipeline.StatusSuccess, string(r.Result)
	case r.Result == pipeline.ResultFailed:
		return pipeline.StatusFailed, string(r.Result)
	case r.Result == pipeline.ResultCanceled:
		return pipeline.StatusCanceled, string(r.Result)
	case r.Result == pipeline.ResultWaiting:
		return pipeline.StatusManual, string(r.Result)
	default:
		return r.Status, string(r.Status)
	}
}

// Job is a job of a run. Log is a path in the run's folder, Artifacts a key.
type Job struct {
	Run          string          `json:"run,omitempty"`  // of a child run, its id: "7.1"
	Name         string          `json:"name"`           // of a job in a child run after that of its trigger job: "trigger / job"
	Base         string          `json:"base,omitempty"` // the name as written, of a parallel job
	Stage        string          `json:"stage"`
	Status       pipeline.Status `json:"status"`
	Attempt      int             `json:"attempt,omitempty"`
	Started      time.Time       `json:"started,omitzero"` // the last attempt
	Seconds      float64         `json:"seconds,omitempty"`
	ExitCode     int             `json:"exit_code,omitempty"`
	Reason       pipeline.Reason `json:"reason,omitempty"`
	Message      string          `json:"message,omitempty"` // why it failed, in words
	AllowFailure bool            `json:"allow_failure,omitempty"`
	Coverage     *float64        `json:"coverage,omitempty"`
	Environment  *Environment    `json:"environment,omitempty"`
	Log          string          `json:"log,omitempty"`
	Artifacts    string          `json:"artifacts,omitempty"`
	Results      string          `json:"results,omitempty"`     // key of what its tasks kept
	Workspace    string          `json:"workspace,omitempty"`   // the folder in which it is kept
	EarlierRun   int64           `json:"earlier_run,omitempty"` // the job was not run: its result is that run's
	// Steps are what the job reported, see docs/events.md; those of its last
	// attempt. See [Store.ReadSteps].
	Steps []json.RawMessage `json:"steps,omitempty"`
}

// Environment is what a job deployed to.
type Environment struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`
}

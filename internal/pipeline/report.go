package pipeline

import (
	"encoding/json"
	"time"
)

// ReportKind names what a [Report] reports.
type ReportKind string

// The kinds of events of a run.
const (
	ReportRunStarted  ReportKind = "run_started"
	ReportJobStatus   ReportKind = "job_status"  // a job's status changed
	ReportJobStarted  ReportKind = "job_started" // an attempt has a log now
	ReportJobLog      ReportKind = "job_log"     // bytes of a job's log, masked
	ReportJobNote     ReportKind = "job_note"    // something to know about a job that is no part of its log
	ReportStep        ReportKind = "step"        // what the job wrote to $REFLINE_EVENTS
	ReportChild       ReportKind = "child"       // a child pipeline was created
	ReportRunFinished ReportKind = "run_finished"
)

// Report is one thing that happened in a run. It is a value, made for JSON
// lines; fields that do not belong to its kind are empty.
type Report struct {
	Kind ReportKind `json:"event"`
	Time time.Time  `json:"time"`
	// Run is the id of the run: "7", or "7.1" for the first child of run 7.
	Run     string `json:"run,omitempty"`
	Job     string `json:"job,omitempty"`   // its full name in the run
	Child   string `json:"child,omitempty"` // Child: the id of the run that Job started
	Stage   string `json:"stage,omitempty"`
	From    Status `json:"from,omitempty"`
	Status  Status `json:"status,omitempty"`
	Result  Result `json:"result,omitempty"` // RunFinished
	Attempt int    `json:"attempt,omitempty"`
	// Seconds is how long the attempt or the run took.
	Seconds      float64         `json:"seconds,omitempty"`
	ExitCode     int             `json:"exit_code,omitempty"`
	Reason       Reason          `json:"reason,omitempty"`
	AllowFailure bool            `json:"allow_failure,omitempty"`
	Coverage     *float64        `json:"coverage,omitempty"`
	Message      string          `json:"message,omitempty"`
	EarlierRun   int64           `json:"earlier_run,omitempty"` // the job was not run: its result is that run's
	Data         []byte          `json:"-"`                     // JobLog: the bytes
	Log          string          `json:"log,omitempty"`         // JobStarted: the path of the log
	Text         string          `json:"text,omitempty"`
	Step         json.RawMessage `json:"step,omitempty"`
}

package engine

import (
	"encoding/json"
	"time"

	"refline/internal/pipeline"
)

// EventKind names what an [Event] tells.
type EventKind string

// The kinds of events of a run.
const (
	RunStarted  EventKind = "run_started"
	JobStatus   EventKind = "job_status"  // a job's status changed
	JobStarted  EventKind = "job_started" // an attempt has a log now
	JobLog      EventKind = "job_log"     // bytes of a job's log, masked
	JobNote     EventKind = "job_note"    // something to know about a job that is no part of its log
	StepEvent   EventKind = "step"        // what the job wrote to $REFLINE_EVENTS
	ChildRun    EventKind = "child"       // a child pipeline was created
	RunFinished EventKind = "run_finished"
)

// Event is one thing that happened in a run. It is a value, made for JSON
// lines; fields that do not belong to its kind are empty.
type Event struct {
	Kind EventKind `json:"event"`
	Time time.Time `json:"time"`
	// Job is the job's full name; for one of a child pipeline that of the
	// trigger job comes before it, with " / " between.
	Job     string          `json:"job,omitempty"`
	Stage   string          `json:"stage,omitempty"`
	From    pipeline.Status `json:"from,omitempty"`
	Status  pipeline.Status `json:"status,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	// Seconds is how long the attempt or the run took.
	Seconds      float64         `json:"seconds,omitempty"`
	ExitCode     int             `json:"exit_code,omitempty"`
	Reason       pipeline.Reason `json:"reason,omitempty"`
	AllowFailure bool            `json:"allow_failure,omitempty"`
	Coverage     *float64        `json:"coverage,omitempty"`
	Message      string          `json:"message,omitempty"`
	Data         []byte          `json:"-"`             // JobLog: the bytes
	Log          string          `json:"log,omitempty"` // JobStarted: the path of the log
	Text         string          `json:"text,omitempty"`
	Step         json.RawMessage `json:"step,omitempty"`
}

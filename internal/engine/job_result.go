package engine

import (
	"encoding/json"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// JobResult is what became of one attempt. A red job is a result; Err says what
// was in the way if the job could not be run as it should. In JSON, Err is
// {"kind": "unavailable", "text": "…"}.
type JobResult struct {
	Status    pipeline.Status     `json:"status"` // success, failed or canceled
	Reason    pipeline.Reason     `json:"reason,omitempty"`
	ExitCode  int                 `json:"exit_code,omitempty"`
	Coverage  *float64            `json:"coverage,omitempty"` // percent
	Dotenv    []pipeline.Variable `json:"dotenv,omitempty"`   // of the reports, in order
	Artifacts bool                `json:"artifacts,omitempty"`
	Results   bool                `json:"results,omitempty"` // of tasks are kept, for a retry
	Log       LogResult           `json:"log,omitzero"`
	Workspace string              `json:"workspace,omitempty"` // where it is kept
	Err       error               `json:"-"`
}

// jobResult is JobResult without its methods.
type jobResult JobResult

type wireResult struct {
	jobResult
	Error *wireError `json:"error,omitempty"`
}

type wireError struct {
	Kind errs.Kind `json:"kind"`
	Text string    `json:"text"`
}

// MarshalJSON gives the form in which a runner sends the result.
func (r JobResult) MarshalJSON() ([]byte, error) {
	out := wireResult{jobResult: jobResult(r)}
	if r.Err != nil {
		out.Error = &wireError{errs.KindOf(r.Err), r.Err.Error()}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *JobResult) UnmarshalJSON(data []byte) error {
	var in wireResult
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*r = JobResult(in.jobResult)
	if in.Error != nil {
		r.Err = errs.E(in.Error.Kind, "%s", in.Error.Text)
	}
	return nil
}

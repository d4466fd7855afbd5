package api

import (
	"context"
	"time"
)

// RunDetail is all that explains one run, beside its jobs.
type RunDetail struct {
	Run       Run               `json:"run"`
	Stages    []string          `json:"stage_names" doc:"in their order"`
	Source    RunSource         `json:"source"`
	Inputs    map[string]any    `json:"inputs,omitempty"`
	Variables map[string]string `json:"variables,omitempty" doc:"of this run, not secret"`
	Before    int64             `json:"before,omitempty" doc:"run of the same flow or branch before this one"`
	After     int64             `json:"after,omitempty" doc:"run after this one"`
	Failing   *FailingSince     `json:"failing,omitempty" doc:"of a run that failed: the first one that failed after the last good one"`
	Failures  []Failure         `json:"failures,omitempty" doc:"jobs that failed, the worst first"`
	Attempts  []Attempt         `json:"attempts,omitempty" doc:"of jobs, in order; the newest 2,000"`
	Acts      []Act             `json:"acts,omitempty" doc:"who asked what of the run, newest first"`
	Children  []int64           `json:"children,omitempty" doc:"runs that its jobs started"`
}

// FailingSince says since which run of the same flow and ref all have failed.
type FailingSince struct {
	Run        int64     `json:"run" doc:"the first that failed"`
	Commit     string    `json:"commit"`
	Created    time.Time `json:"created"`
	Failed     int       `json:"failed" doc:"runs that failed since then, with the one that is shown"`
	Good       int64     `json:"good,omitempty" doc:"the last good run before it"`
	GoodCommit string    `json:"good_commit,omitempty"`
	More       bool      `json:"more,omitempty" doc:"it may have failed for longer than was looked at"`
}

// RunSource is where the code of a run comes from.
type RunSource struct {
	Repository string    `json:"repository,omitempty" doc:"URL without credentials"`
	RefKind    string    `json:"ref_kind,omitempty" enum:"branch,tag,commit"`
	Path       string    `json:"path,omitempty"`
	Runtime    string    `json:"runtime,omitempty"`
	Author     string    `json:"author,omitempty"`
	Committed  time.Time `json:"committed,omitzero"`
	Protected  bool      `json:"protected,omitempty"`
}

// Attempt is one try of a job.
type Attempt struct {
	Job       string    `json:"job"`
	Attempt   int       `json:"attempt"`
	State     string    `json:"state" enum:"offered,confirmed,ended,lost,unstarted"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished,omitzero"`
	Artifacts bool      `json:"artifacts,omitempty" doc:"it kept some"`
	Last      bool      `json:"last,omitempty" doc:"its result is the job's"`
}

// Act is what somebody asked of a run.
type Act struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Detail string    `json:"detail,omitempty"`
}

// RunDetail returns all that explains a run.
func (c *Client) RunDetail(ctx context.Context, id int64) (d RunDetail, err error) {
	err = c.call(ctx, "GET", runPath(id)+"/detail", nil, &d)
	return d, err
}

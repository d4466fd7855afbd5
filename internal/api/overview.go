package api

import (
	"context"
	"net/url"
	"time"

	"refline/internal/pipeline"
)

// Overview is what a person looks at first: what waits for one, what is red, what goes
// on. Green is not listed.
type Overview struct {
	Waiting []WaitingRun `json:"waiting" doc:"newest of each flow or branch"`
	Red     []RedLine    `json:"red" doc:"flows and branches whose last run failed, within 14 days"`
	Active  []Run        `json:"active" doc:"running and queued, newest first, 50 at most"`
	Running int64        `json:"running"`
	Queued  int64        `json:"queued"`
	Hours   []RunBar     `json:"hours" doc:"runs of the last 24 hours, by hour"`
}

// Waiting is what waits for a person.
type Waiting struct {
	Count int          `json:"count" doc:"flows and branches with a run that waits, and pipelines of other repositories"`
	Runs  []WaitingRun `json:"runs"`
}

// WaitingRun is a run that waits for a person.
type WaitingRun struct {
	Run   Run      `json:"run"`
	Jobs  []string `json:"jobs" doc:"that can be played"`
	Older int      `json:"older,omitempty" doc:"runs of the same flow or branch that wait too"`
}

// RedLine is a flow or a branch whose last run failed.
type RedLine struct {
	Run      Run        `json:"run" doc:"the last one that ended"`
	Failures []Failure  `json:"failures,omitempty"`
	Since    time.Time  `json:"since" doc:"when the first one failed after the last good one"`
	Failed   int        `json:"failed" doc:"runs that failed since then"`
	More     bool       `json:"more,omitempty" doc:"it has been red for longer than was looked at"`
	Recent   []RunPoint `json:"recent" doc:"last runs, oldest first"`
	Usual    int64      `json:"usual_ms,omitempty" doc:"median of its good runs"`
}

// RunPoint is a run in a chart.
type RunPoint struct {
	Run    int64           `json:"run"`
	Status pipeline.Status `json:"status"`
	Took   int64           `json:"took_ms"`
}

// Failure is a job that failed, with the end of its log.
type Failure struct {
	Job      string          `json:"job"`
	Attempt  int             `json:"attempt,omitempty"`
	Attempts int             `json:"attempts,omitempty" doc:"number of attempts that it had"`
	ExitCode int             `json:"exit_code,omitempty"`
	Reason   pipeline.Reason `json:"reason,omitempty"`
	Error    string          `json:"error,omitempty" doc:"what was in the way of running it"`
	Lines    []LogLine       `json:"lines,omitempty"`
	Allowed  bool            `json:"allowed,omitempty" doc:"it may fail"`
}

// LogLine is a line of a log, without colours.
type LogLine struct {
	Number int64  `json:"number"`
	Text   string `json:"text"`
}

// RunBar counts the runs of a stretch of time.
type RunBar struct {
	Start  time.Time                 `json:"start"`
	Counts map[pipeline.Status]int64 `json:"counts"`
}

// Overview returns what is to be looked at first.
func (c *Client) Overview(ctx context.Context, project string) (o Overview, err error) {
	err = c.call(ctx, "GET", "/api/v1/overview"+projectQuery(project), nil, &o)
	return o, err
}

// Waiting returns what waits for a person.
func (c *Client) Waiting(ctx context.Context, project string) (w Waiting, err error) {
	err = c.call(ctx, "GET", "/api/v1/waiting"+projectQuery(project), nil, &w)
	return w, err
}

// CountWaiting counts what waits for a person.
func (c *Client) CountWaiting(ctx context.Context) (int, error) {
	var w Waiting
	err := c.call(ctx, "GET", "/api/v1/waiting?count=true", nil, &w)
	return w.Count, err
}

func projectQuery(project string) string {
	if project == "" {
		return ""
	}
	return "?project=" + url.QueryEscape(project)
}

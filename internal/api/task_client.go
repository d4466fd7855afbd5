package api

import (
	"context"
	"net/url"
	"strconv"
)

// Tasks returns the tasks of a job: those of its last attempt if attempt is 0.
func (c *Client) Tasks(ctx context.Context, run int64, job string, attempt int) (t Tasks, err error) {
	err = c.call(ctx, "GET", jobPath(run, job)+"/tasks"+attemptQuery(attempt, 0), nil, &t)
	return t, err
}

// TaskLog returns what a task printed, from a place on.
func (c *Client) TaskLog(ctx context.Context, run int64, job, task string, attempt int, from int64) (l TaskLog, err error) {
	err = c.call(ctx, "GET", jobPath(run, job)+"/tasks/"+url.PathEscape(task)+"/log"+attemptQuery(attempt, from), nil, &l)
	return l, err
}

func attemptQuery(attempt int, from int64) string {
	q := url.Values{}
	if attempt > 0 {
		q.Set("attempt", strconv.Itoa(attempt))
	}
	if from > 0 {
		q.Set("from", strconv.FormatInt(from, 10))
	}
	return query(q)
}

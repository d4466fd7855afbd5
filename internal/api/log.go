package api

import (
	"context"
	"net/url"
	"strconv"
)

// MaxLogLines bounds a [LogPart].
const MaxLogLines = 20_000

// LogPart is a range of the lines of a log.
type LogPart struct {
	Attempt int       `json:"attempt,omitempty" doc:"number of the attempt; absent if there is none yet"`
	From    int64     `json:"from" doc:"number of the first line that was asked for"`
	Lines   []LogText `json:"lines"`
	Total   int64     `json:"total" doc:"lines of the whole log"`
	Ended   bool      `json:"ended,omitempty" doc:"the attempt is over: nothing is added any more"`
}

// LogText is a line of a log as it was printed, with its escape sequences.
type LogText struct {
	Number int64  `json:"number"`
	Text   string `json:"text"`
	Cut    bool   `json:"cut,omitempty" doc:"the line is longer; this is its beginning"`
}

// LogHits are the lines of a log that a search found.
type LogHits struct {
	Lines []LogLine `json:"lines"`
	More  bool      `json:"more,omitempty" doc:"there are others"`
}

// LogMarks are the lines of a log that report errors and warnings, by their words and
// by red.
type LogMarks struct {
	Errors   []LogLine `json:"errors"`
	Warnings []LogLine `json:"warnings"`
	More     bool      `json:"more,omitempty" doc:"there are others"`
}

// LogLines returns lines of the log of a job's attempt, 0 for the last. From 0 is the
// end of the log; limit 0 is as many as may be.
func (c *Client) LogLines(ctx context.Context, run int64, job string, attempt int, from int64, limit int) (p LogPart, err error) {
	q := logQuery(attempt)
	if from > 0 {
		q.Set("from", strconv.FormatInt(from, 10))
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	err = c.call(ctx, "GET", jobPath(run, job)+"/log/lines"+query(q), nil, &p)
	return p, err
}

// SearchLog returns the lines with a text, in any case of letters.
func (c *Client) SearchLog(ctx context.Context, run int64, job string, attempt int, text string) (h LogHits, err error) {
	q := logQuery(attempt)
	q.Set("q", text)
	err = c.call(ctx, "GET", jobPath(run, job)+"/log/search"+query(q), nil, &h)
	return h, err
}

// LogMarks returns the lines that report errors and warnings.
func (c *Client) LogMarks(ctx context.Context, run int64, job string, attempt int) (m LogMarks, err error) {
	err = c.call(ctx, "GET", jobPath(run, job)+"/log/marks"+query(logQuery(attempt)), nil, &m)
	return m, err
}

func logQuery(attempt int) url.Values {
	q := url.Values{}
	if attempt > 0 {
		q.Set("attempt", strconv.Itoa(attempt))
	}
	return q
}

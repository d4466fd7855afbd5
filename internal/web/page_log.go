package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

func logPages() []page {
	return []page{{pattern: "GET /runs/{run}/jobs/{job}", need: "read", show: showLog}}
}

// Limits of a page of a log.
const (
	logLines    = 2000
	logLineSize = 16 << 10 // bytes; the rest of a longer line is in the file
)

type logData struct {
	Run     runLine
	Job     api.Job
	Look    string
	Jobs    []logJob
	Lines   []logLine
	From    int // first line of the page, from 1
	Before  string
	After   string
	File    string // path of the whole log
	Attempt int
	Live    bool
}

type logJob struct {
	Look, Name, Path string
	Current          bool
}

type logLine struct {
	Number int
	Parts  []logPart
}

func showLog(c *request) (*View, error) {
	id, err := strconv.ParseInt(c.PathValue("run"), 10, 64)
	if err != nil {
		return nil, errs.E(errs.NotFound, "there is no run %q", c.PathValue("run"))
	}
	run, err := c.API.Run(c.ctx(), id)
	if err != nil {
		return nil, err
	}
	d := logData{Run: lineOf(run), From: 1}
	q := c.URL.Query()
	if from, err := strconv.Atoi(q.Get("from")); err == nil && from > 1 {
		d.From = from
	}
	if d.Attempt, err = strconv.Atoi(q.Get("attempt")); err != nil || d.Attempt < 0 {
		d.Attempt = 0
	}
	found := false
	for _, j := range run.Jobs {
		look := lookOf(j.Status, j.AllowFailure)
		current := j.Name == c.PathValue("job")
		if current {
			d.Job, d.Look, found = j, look, true
		}
		d.Jobs = append(d.Jobs, logJob{Look: look, Name: j.Name, Path: jobPath(id, j.Name), Current: current})
	}
	if !found {
		return nil, errs.E(errs.NotFound, "run %d has no job %q", id, c.PathValue("job"))
	}
	d.Live = d.Job.Status == pipeline.StatusRunning || d.Job.Status == pipeline.StatusCanceling
	d.File = fmt.Sprintf("/api/v1/runs/%d/jobs/%s/log", id, url.PathEscape(d.Job.Name))
	if d.Attempt > 0 {
		d.File += "?attempt=" + strconv.Itoa(d.Attempt)
	}
	more, err := c.readLog(&d, id)
	if err != nil && !errs.Is(err, errs.NotFound) { // a job that has not started has none
		return nil, err
	}
	page := func(from int) string {
		values := url.Values{"from": {strconv.Itoa(from)}}
		if d.Attempt > 0 {
			values.Set("attempt", strconv.Itoa(d.Attempt))
		}
		return jobPath(id, d.Job.Name) + "?" + values.Encode()
	}
	if d.From > 1 {
		d.Before = page(max(1, d.From-logLines))
	}
	if more {
		d.After = page(d.From + logLines)
	}
	live := ""
	if d.Live {
		live = "run=" + strconv.FormatInt(id, 10)
	}
	return &View{Template: "log", Title: lookName(d.Look) + ": " + d.Job.Name + " of " + d.Run.Name + " #" + strconv.FormatInt(run.Number, 10), Look: d.Look, Section: "/runs",
		Command: fmt.Sprintf("refline runs log %d %s --server", id, d.Job.Name), Live: live, Data: d}, nil
}

// readLog reads the lines of the page, and reports whether there are more after them. The
// lines before are read and dropped, a line at a time.
func (c *request) readLog(d *logData, run int64) (more bool, err error) {
	body, err := c.API.Log(c.ctx(), run, d.Job.Name, d.Attempt, 0, false)
	if err != nil {
		return false, err
	}
	defer body.Close()
	r := bufio.NewReaderSize(body, logLineSize)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		kept := line
		if number >= d.From {
			kept = append([]byte(nil), line...)
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a long line
			_, err = r.ReadSlice('\n')
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return false, err
		case len(line) > 0 && number >= d.From+logLines:
			return true, nil
		case len(line) > 0 && number >= d.From:
			d.Lines = append(d.Lines, logLine{Number: number, Parts: logParts(string(kept))})
		}
		if err != nil {
			return false, nil //nolint:nilerr // the end of the log
		}
	}
}

package web

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

func overviewPages() []page {
	return []page{{pattern: "GET /{$}", need: "read", show: showOverview}}
}

type overviewData struct {
	Waiting   []waitingRow
	Approvals []approvalRow
	Red       []redRow
	Active    []activeRow
	Running   int64
	Queued    int64
	Next      []nextRow
	Hours     template.HTML
	HourText  string
	HourTicks []template.HTML
	Runners   []runnerRow
	RunnerSum string
	NoRunners bool
	Fresh     bool // nothing has run yet
}

type waitingRow struct {
	Run   runLine
	Jobs  []string
	Older int
	Since template.HTML
	Play  string // the job that the button opens, "" if there are several
}

type approvalRow struct {
	api.Approval
	Path  string
	Since template.HTML
}

type redRow struct {
	Run    runLine
	What   string
	Line   string
	Log    string // path
	Chart  template.HTML
	Since  template.HTML
	Failed string
}

type activeRow struct {
	Run   runLine
	Why   string
	Meter template.HTML
	When  template.HTML
	Usual string
}

type nextRow struct {
	Path, Flow string
	At, In     template.HTML
}

type runnerRow struct {
	Name, Text string
	Away       bool
	Since      template.HTML
}

// runLine is a run in a list.
type runLine struct {
	api.Run
	Path   string
	Look   string
	Name   string // of its flow, else of its project
	Source string // ref → commit
}

func lineOf(r api.Run) runLine {
	look := lookOf(r.Status, false)
	source := shortCommit(r.Commit)
	if r.Ref != "" {
		source = r.Ref + " → " + source
	}
	return runLine{Run: r, Path: runPath(r.ID), Look: look, Name: cmp.Or(r.Flow, r.Project, "run"), Source: source}
}

func showOverview(c *request) (*View, error) {
	project := c.URL.Query().Get("project")
	o, err := c.API.Overview(c.ctx(), project)
	if err != nil {
		return nil, err
	}
	d := overviewData{Running: o.Running, Queued: o.Queued}
	for _, w := range o.Waiting {
		row := waitingRow{Run: lineOf(w.Run), Jobs: w.Jobs, Older: w.Older, Since: c.Clock(w.Run.Created)}
		if len(w.Jobs) == 1 {
			row.Play = w.Jobs[0]
		}
		d.Waiting = append(d.Waiting, row)
	}
	approvals, err := c.API.Approvals(c.ctx(), project)
	if err != nil {
		return nil, err
	}
	for _, a := range approvals {
		d.Approvals = append(d.Approvals, approvalRow{Approval: a, Path: projectPath(a.Project), Since: c.Clock(a.Created)})
	}
	for _, r := range o.Red {
		d.Red = append(d.Red, c.redRow(r))
	}
	for _, r := range o.Active {
		d.Active = append(d.Active, c.activeRow(r))
	}
	c.addHours(&d, o.Hours)
	if err := c.addAside(&d, project); err != nil {
		return nil, err
	}
	if len(o.Active)+len(o.Red)+len(o.Waiting) == 0 {
		runs, err := c.API.Runs(c.ctx(), api.RunQuery{Project: project, Limit: 1})
		if err != nil {
			return nil, err
		}
		d.Fresh = len(runs.Runs) == 0
	}
	waiting := len(d.Waiting) + len(d.Approvals)
	return &View{
		Template: "overview", Title: overviewTitle(waiting, len(d.Red)), Section: "/", Look: overviewLook(waiting, len(d.Red)),
		Command: command("server", "status"), Live: "all", Fragments: []string{"overview-state", "overview-lists", "overview-aside"}, Data: d,
	}, nil
}

func overviewTitle(waiting, red int) string {
	var parts []string
	if waiting > 0 {
		parts = append(parts, count(waiting, "waits for you", "wait for you"))
	}
	if red > 0 {
		parts = append(parts, fmt.Sprintf("%d red", red))
	}
	if len(parts) == 0 {
		return "Overview"
	}
	return "Overview: " + strings.Join(parts, ", ")
}

func overviewLook(waiting, red int) string {
	switch {
	case red > 0:
		return "failed"
	case waiting > 0:
		return "manual"
	}
	return ""
}

func (c *request) redRow(r api.RedLine) redRow {
	row := redRow{Run: lineOf(r.Run), Chart: strip(r.Recent), Since: c.Clock(r.Since), Log: runPath(r.Run.ID)}
	row.Failed = count(r.Failed, "run", "runs")
	if r.More {
		row.Failed = "more than " + row.Failed
	}
	if len(r.Failures) > 0 {
		f := r.Failures[0]
		row.What, row.Log = f.Job+": "+failureText(f), jobPath(r.Run.ID, f.Job)
		row.Line = f.Error
		if n := len(f.Lines); row.Line == "" && n > 0 {
			row.Line = errorLine(f.Lines)
		}
	}
	return row
}

// errorLine is the line that most likely says what was wrong: the last that names an
// error, else the last.
func errorLine(lines []api.LogLine) string {
	for _, line := range slices.Backward(lines) {
		text := strings.ToLower(line.Text)
		if strings.Contains(text, "error") || strings.Contains(text, "fail") || strings.Contains(text, "exception") || strings.Contains(text, "fatal") {
			return strings.TrimSpace(line.Text)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1].Text)
}

// failureText is why a job failed, in a few words.
func failureText(f api.Failure) string {
	switch {
	case f.ExitCode != 0:
		return fmt.Sprintf("exit %d", f.ExitCode)
	case f.Reason == pipeline.ReasonJobExecutionTimeout:
		return "timeout"
	case f.Reason == pipeline.ReasonStuckOrTimeout:
		return "no runner took it in time"
	case f.Reason == "" || f.Reason == pipeline.ReasonScriptFailure:
		return "failed"
	}
	return strings.TrimSuffix(strings.ReplaceAll(string(f.Reason), "_", " "), " failure") + " failed"
}

func (c *request) activeRow(r api.Run) activeRow {
	row := activeRow{Run: lineOf(r), Why: r.Why}
	usual := time.Duration(r.Usual) * time.Millisecond
	if r.Started.IsZero() {
		row.When = "queued for " + c.Took(r.Created, time.Time{})
		return row
	}
	row.When = c.Took(r.Started, time.Time{})
	if usual > 0 {
		row.Usual = duration(usual.Round(time.Second))
		row.Meter = meter(share(c.now.Sub(r.Started), usual), "live-f")
	}
	return row
}

func (c *request) addHours(d *overviewData, bars []api.RunBar) {
	var good, bad, other int64
	for _, b := range bars {
		g, f, o := split(b)
		good, bad, other = good+g, bad+f, other+o
	}
	d.HourText = number(good) + " passed, " + number(bad) + " failed"
	if other > 0 {
		d.HourText += ", " + number(other) + " other"
	}
	d.Hours = histogram(bars, "day", "Runs of the last 24 hours by hour: "+d.HourText)
	if len(bars) > 0 {
		d.HourTicks = []template.HTML{c.Clock(bars[0].Start), c.Clock(bars[len(bars)/2].Start), "now"}
	}
}

// addAside adds the next schedules and the runners.
func (c *request) addAside(d *overviewData, project string) error {
	schedules, err := c.API.Schedules(c.ctx(), project, "", 1)
	if err != nil {
		return err
	}
	slices.SortStableFunc(schedules, func(a, b api.Schedule) int { return firstTime(a).Compare(firstTime(b)) })
	for _, s := range schedules {
		if s.Paused || len(s.Next) == 0 || len(d.Next) == 6 {
			continue
		}
		d.Next = append(d.Next, nextRow{Path: flowPath(s.Project, s.Flow), Flow: s.Flow, At: c.Clock(s.Next[0]), In: c.In(s.Next[0])})
	}
	runners, err := c.API.Runners(c.ctx())
	if err != nil {
		d.NoRunners = true // a caller of one project does not see those of the server
		return nil         //nolint:nilerr // the list is left out
	}
	online := 0
	for _, r := range runners {
		row := runnerRow{Name: r.Name, Text: "idle", Away: !r.Online}
		switch {
		case !r.Online && r.Seen.IsZero():
			row.Text = "never seen"
		case !r.Online:
			row.Text, row.Since = "away since ", c.Clock(r.Seen)
		case len(r.Jobs) > 0:
			row.Text = count(len(r.Jobs), "job", "jobs")
		}
		if r.Online && r.Draining {
			row.Text += ", draining"
		}
		if r.Online {
			online++
		}
		if len(d.Runners) < 8 {
			d.Runners = append(d.Runners, row)
		}
	}
	d.RunnerSum = fmt.Sprintf("%d online", online)
	if away := len(runners) - online; away > 0 {
		d.RunnerSum += fmt.Sprintf(", %d away", away)
	}
	return nil
}

func firstTime(s api.Schedule) time.Time {
	if len(s.Next) == 0 {
		return time.Time{}
	}
	return s.Next[0]
}

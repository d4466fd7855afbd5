package web

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

func runPages() []page {
	return []page{
		{pattern: "GET /runs/{run}", need: "read", show: showRun},
		{pattern: "POST /runs/{run}/retry", need: "run", do: retryRun, back: showRun},
		{pattern: "POST /runs/{run}/cancel", need: "run", do: cancelRun, back: showRun},
		{pattern: "POST /runs/{run}/again", need: "run", do: runAgain, back: showRun},
		{pattern: "POST /runs/{run}/play", need: "run", do: playJob, back: showRun},
	}
}

type runData struct {
	api.RunDetail
	Line     runLine
	Look     string
	Says     template.HTML
	More     []template.HTML
	Failures []failureView
	Graph    template.HTML
	Summary  string
	Jobs     jobTable
	Reports  []reportView
	Inputs   []fact
	Acts     []actRow
	Files    []fact // jobs with artifacts
	Plans    []planRow
	Retry    string // what the button is called; "" if there is nothing to retry
	Cancel   bool
	Again    bool
	Manual   []manualJob
	Seen     bool // by a caller who may do nothing
	LogPath  string
	Commit   string
	About    []fact
}

type failureView struct {
	api.Failure
	Path, Text string
}

type manualJob struct {
	Name, Environment string
	Review            *planRow // the plan that is approved to start it
}

// planRow is a plan of a stack in the page of its run.
type planRow struct {
	api.Plan
	Look, Path, Text string
}

type actRow struct {
	At   template.HTML
	Text string
}

type reportView struct {
	Job, Title string
	Text       template.HTML
	Columns    []string
	Rows       [][]string
	More       int
	Links      []fact
}

func (c *request) runID() (int64, error) {
	id, err := strconv.ParseInt(c.PathValue("run"), 10, 64)
	if err != nil || id <= 0 {
		return 0, invalid("%q is not the number of a run; the list of runs has them all", c.PathValue("run"))
	}
	return id, nil
}

func showRun(c *request) (*View, error) {
	id, err := c.runID()
	if err != nil {
		return nil, err
	}
	detail, err := c.API.RunDetail(c.ctx(), id)
	if err != nil {
		return nil, err
	}
	r := detail.Run
	d := runData{RunDetail: detail, Line: lineOf(r), Commit: shortCommit(r.Commit)}
	d.Look = d.Line.Look
	who, err := c.caller()
	if err != nil {
		return nil, err
	}
	d.Says = c.runSays(detail)
	d.More = c.runMore(detail)
	for _, f := range detail.Failures {
		d.Failures = append(d.Failures, failureView{Failure: f, Path: jobPath(id, f.Job), Text: failureText(f)})
	}
	d.Summary = jobSummary(r.Jobs)
	d.Graph = c.runGraph(detail)
	tasks := c.runTasks(detail)
	d.Jobs = c.jobTable(detail, tasks)
	d.Reports = reportsOf(tasks)
	c.runFacts(&d)
	if err := c.addPlans(&d); err != nil {
		return nil, err
	}
	if mayRun(who) {
		d.Retry, d.Cancel, d.Again = retryName(r), r.Status.Active() || r.Status == pipeline.StatusScheduled || r.Status == pipeline.StatusCreated, r.Parent == 0
		for _, j := range r.Jobs {
			if j.Status == pipeline.StatusManual && len(d.Manual) < 20 {
				d.Manual = append(d.Manual, manualJob{j.Name, j.Environment, d.review(j.Name)})
			}
		}
	}
	if len(detail.Failures) > 0 {
		d.LogPath = jobPath(id, detail.Failures[0].Job)
	}
	return &View{
		Template: "run", Title: fmt.Sprintf("%s: %s #%d", lookName(d.Look), d.Line.Name, r.Number), Look: d.Look, Section: "/runs",
		Command: command("runs", "show", strconv.FormatInt(id, 10)), Live: fmt.Sprintf("run=%d", id),
		Fragments: []string{"run-head", "run-why", "run-plans", "run-graph", "run-jobs", "run-reports", "run-aside"}, Caller: api.Caller{}, Data: d,
	}, nil
}

// addPlans lists the plans of stacks that the run's jobs made. A job that deploys one is
// started on the page of the plan.
func (c *request) addPlans(d *runData) error {
	list, err := c.API.RunPlans(c.ctx(), d.Run.ID)
	if err != nil {
		return err
	}
	for _, p := range list[:min(len(list), 50)] {
		row := planRow{Plan: p, Path: planPath(p), Text: p.Summary}
		row.Look, _ = planState(planData{Plan: p}, d.Run, nil)
		switch {
		case p.Problem != "":
			row.Text = "cannot be read"
		case p.Void != "":
			row.Text = "void: " + p.Void
		case len(p.Refusals) > 0:
			row.Text = "refused: " + p.Refusals[0]
		}
		d.Plans = append(d.Plans, row)
	}
	for _, stage := range d.Jobs.Stages {
		for i := range stage.Rows {
			if d.review(stage.Rows[i].Play) != nil {
				stage.Rows[i].Play = ""
			}
		}
	}
	return nil
}

// review is the first plan that is approved to start a job; nil if it takes none that
// changes something.
func (d *runData) review(job string) *planRow {
	for i := range d.Plans {
		if slices.Contains(d.Plans[i].DeployJobs, job) && !d.Plans[i].Empty {
			return &d.Plans[i]
		}
	}
	return nil
}

// mayRun reports whether a caller may start, retry and cancel runs. Buttons depend on
// it; the API decides.
func mayRun(who api.Caller) bool {
	return slices.ContainsFunc(who.Scopes, func(s string) bool { return s == "run" || s == "deploy" || s == "write" || s == "admin" })
}

func retryRun(c *request) (string, error) {
	id, err := c.runID()
	if err == nil {
		err = c.API.RetryRun(c.ctx(), id, c.PostFormValue("job"), false)
	}
	return runPath(id), err
}

func cancelRun(c *request) (string, error) {
	id, err := c.runID()
	if err == nil {
		err = c.API.CancelRun(c.ctx(), id, c.PostFormValue("job"))
	}
	return runPath(id), err
}

// playJob starts a job that waits for a person. One that deploys a plan of a stack
// needs its digest, which the page of the plan sends.
func playJob(c *request) (string, error) {
	id, err := c.runID()
	if err == nil {
		err = c.API.PlayJob(c.ctx(), id, c.PostFormValue("job"), c.PostForm["digest"]...)
	}
	return runPath(id), err
}

// runAgain starts a run of the same ref with the same inputs and variables.
func runAgain(c *request) (string, error) {
	id, err := c.runID()
	if err != nil {
		return "", err
	}
	d, err := c.API.RunDetail(c.ctx(), id)
	if err != nil {
		return "", err
	}
	in, err := again(d)
	if err != nil {
		return "", err
	}
	r, err := c.API.StartRun(c.ctx(), in)
	return runPath(r.ID), err
}

// again is what starts a run like another one: at the newest commit of its ref.
func again(d api.RunDetail) (api.RunInput, error) {
	if d.Run.Parent != 0 {
		return api.RunInput{}, invalid("run %d was started by run %d; run that one again", d.Run.ID, d.Run.Parent)
	}
	in := api.RunInput{Project: d.Run.Project, Flow: d.Run.Flow, Inputs: d.Inputs, Variables: d.Variables}
	switch {
	case d.Run.Ref != "" && (d.Source.RefKind == "branch" || d.Source.RefKind == "tag"):
		in.RefKind, in.Ref = d.Source.RefKind, d.Run.Ref
	default:
		in.RefKind, in.Ref = "commit", d.Run.Commit
	}
	return in, nil
}

// retryName names what a retry runs again: jobs that failed or were canceled.
func retryName(r api.Run) string {
	if !r.Status.Done() && r.Status != pipeline.StatusManual && r.Status != pipeline.StatusRunning {
		return ""
	}
	var names []string
	for _, j := range r.Jobs {
		if (j.Status == pipeline.StatusFailed && !j.AllowFailure) || j.Status == pipeline.StatusCanceled {
			names = append(names, j.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	for i, name := range names {
		names[i] = cut(name, 32)
	}
	return "Retry " + listed(names, 2)
}

// cut shortens a name in its middle.
func cut(name string, most int) string {
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most/2]) + "…" + string(runes[len(runes)-most/2+1:])
}

// listed names things: a, b and 3 more. It is empty for none.
func listed(names []string, most int) string {
	switch n := len(names); {
	case n == 0:
		return ""
	case n == 1:
		return names[0]
	case n <= most:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	default:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	}
}

// jobSummary counts jobs by how they are: 8 passed, 1 failed, 1 skipped.
func jobSummary(jobs []api.Job) string {
	counts := map[string]int{}
	for _, j := range jobs {
		counts[lookOf(j.Status, j.AllowFailure)]++
	}
	var parts []string
	for _, look := range []string{"failed", "warned", "running", "pending", "preparing", "waiting_for_resource", "scheduled", "manual", "canceling", "canceled", "success", "skipped", "created"} {
		if n := counts[look]; n > 0 {
			word := lookName(look)
			switch {
			case look == "manual" && n > 1:
				word = "wait for a person"
			case look == "warned":
				word = "failed but allowed"
			}
			parts = append(parts, number(n)+" "+word)
		}
	}
	return strings.Join(parts, ", ")
}

// link is a link in a sentence.
func (c *request) link(path, text string) template.HTML {
	return template.HTML(fmt.Sprintf(`<a href="%s">%s</a>`, template.HTMLEscapeString(c.Base+path), template.HTMLEscapeString(text)))
}

func (c *request) jobLinks(r api.Run, names []string, most int) template.HTML {
	var links []string
	for _, name := range names[:min(len(names), most)] {
		links = append(links, string(c.link(jobPath(r.ID, name), name)))
	}
	if more := len(names) - most; more > 0 {
		links = append(links, fmt.Sprintf("%d more", more))
	}
	return template.HTML(listed(links, len(links)))
}

// runSays says in a sentence what happened.
func (c *request) runSays(d api.RunDetail) template.HTML {
	r := d.Run
	by := map[pipeline.Status][]string{}
	for _, j := range r.Jobs {
		status := j.Status
		if status == pipeline.StatusFailed && j.AllowFailure {
			status = "warned"
		}
		by[status] = append(by[status], j.Name)
	}
	after := c.Took(r.Started, r.Finished)
	says := func(format string, args ...any) template.HTML { return template.HTML(fmt.Sprintf(format, args...)) }
	why := template.HTML(template.HTMLEscapeString(r.Why))
	switch r.Status {
	case pipeline.StatusFailed:
		if len(d.Failures) == 0 || d.Failures[0].Allowed {
			return says("Failed after %s. %s", after, why)
		}
		f := d.Failures[0]
		out := says("Failed after %s: %s %s", after, c.link(jobPath(r.ID, f.Job), f.Job), template.HTMLEscapeString(ended(f)))
		if n := len(by[pipeline.StatusFailed]); n > 1 {
			out += says(", and %s failed too", c.jobLinks(r, by[pipeline.StatusFailed][1:], 2))
		}
		if skipped := by[pipeline.StatusSkipped]; len(skipped) > 0 {
			out += says("; %s did not run", template.HTMLEscapeString(listed(skipped, 3)))
		}
		return out + "."
	case pipeline.StatusSuccess:
		if failed := by["warned"]; len(failed) > 0 {
			return says("Passed in %s. %s failed, which is allowed.", after, c.jobLinks(r, failed, 3))
		}
		return says("Passed in %s.", after)
	case pipeline.StatusRunning, pipeline.StatusCanceling:
		verb := "Running for"
		if r.Status == pipeline.StatusCanceling {
			verb = "Stopping, after"
		}
		if active := append(by[pipeline.StatusRunning], by[pipeline.StatusCanceling]...); len(active) > 0 {
			return says("%s %s: %s.", verb, after, c.jobLinks(r, active, 3))
		}
		for _, j := range r.Jobs {
			if j.Why != "" {
				return says("%s %s; %s waits: %s.", verb, after, template.HTMLEscapeString(j.Name), template.HTMLEscapeString(strings.TrimSuffix(j.Why, ".")))
			}
		}
		return says("%s %s.", verb, after)
	case pipeline.StatusManual:
		return says("Waits for a person: %s can be started.", template.HTMLEscapeString(listed(by[pipeline.StatusManual], 3)))
	case pipeline.StatusCanceled:
		return says("Canceled after %s%s.", after, template.HTMLEscapeString(canceledBy(d.Acts)))
	case pipeline.StatusSkipped:
		if why == "" {
			why = "there was nothing to run"
		}
		return says("Skipped: %s.", why)
	}
	if why == "" {
		why = "it has not started"
	}
	return says("Queued for %s: %s.", c.Took(r.Created, time.Time{}), template.HTML(strings.TrimSuffix(string(why), ".")))
}

// ended says how a job ended: ended with exit 1 in both attempts.
func ended(f api.Failure) string {
	text := "failed"
	switch {
	case f.ExitCode != 0:
		text = fmt.Sprintf("ended with exit %d", f.ExitCode)
	case f.Error != "":
		text = "failed: " + strings.TrimSuffix(f.Error, ".")
	case f.Reason == pipeline.ReasonJobExecutionTimeout:
		text = "took longer than it may"
	case f.Reason != "" && f.Reason != pipeline.ReasonScriptFailure:
		text = "failed: " + strings.ReplaceAll(string(f.Reason), "_", " ")
	}
	if f.Attempts > 1 {
		text += fmt.Sprintf(" in attempt %d", f.Attempts)
	}
	return text
}

func canceledBy(acts []api.Act) string {
	for _, a := range acts {
		if a.Action == "run.cancel" && a.Detail == "" {
			return " by " + a.Actor
		}
	}
	return ""
}

// runMore is what else is known of a run, in the line below the sentence.
func (c *request) runMore(d api.RunDetail) []template.HTML {
	r := d.Run
	var out []template.HTML
	text := func(s string) { out = append(out, template.HTML(template.HTMLEscapeString(s))) }
	trigger := strings.ReplaceAll(string(r.Trigger), "_", " ")
	if r.Actor != "" && r.Actor != trigger {
		trigger += " by " + r.Actor
	}
	text(strings.TrimPrefix(trigger, "api by "))
	if r.Started.IsZero() {
		out = append(out, "created "+c.Time(r.Created))
	} else {
		out = append(out, "started "+c.Time(r.Started))
	}
	if r.Usual > 0 {
		text("usually " + duration((time.Duration(r.Usual) * time.Millisecond).Round(100*time.Millisecond)))
	}
	if r.Parent != 0 {
		out = append(out, "started by "+c.link(runPath(r.Parent), fmt.Sprintf("run %d", r.Parent)))
	}
	return out
}

// runFacts fills in what stands beside the run.
func (c *request) runFacts(d *runData) {
	r, s := d.Run, d.Source
	add := func(f fact) {
		if f.Text != "" || f.HTML != "" {
			d.About = append(d.About, f)
		}
	}
	add(fact{Name: "Project", Cell: Cell{Text: r.Project, Path: projectPath(r.Project)}})
	if r.Flow != "" {
		add(fact{Name: "Flow", Cell: Cell{Text: r.Flow, Path: flowPath(r.Project, r.Flow)}})
	}
	add(fact{Name: "Repository", Cell: Cell{Text: s.Repository}})
	if r.Ref != "" {
		add(fact{Name: strings.ToUpper(s.RefKind[:1]) + s.RefKind[1:], Cell: Cell{Text: r.Ref, Path: searchPath("ref:" + r.Ref), Code: true}})
	}
	add(fact{Name: "Commit", Cell: Cell{Text: shortCommit(r.Commit), Code: true}})
	add(fact{Name: "Message", Cell: Cell{Text: r.Title}})
	author, _, _ := strings.Cut(s.Author, " <")
	add(fact{Name: "Author", Cell: Cell{Text: author}})
	add(fact{Name: "File", Cell: Cell{Text: s.Path, Code: true}})
	add(fact{Name: "Runtime", Cell: Cell{Text: s.Runtime}})
	if s.Protected {
		add(fact{Name: "Protected", Cell: Cell{Text: "yes: it may use protected variables"}})
	}
	if wait := r.Started.Sub(r.Created); !r.Started.IsZero() && wait >= 0 {
		add(fact{Name: "Started after", Cell: Cell{Text: duration(wait)}})
	}
	for _, name := range sortedKeys(d.RunDetail.Inputs) {
		d.Inputs = append(d.Inputs, fact{Name: name, Cell: Cell{Text: cut(pipeline.InputText(d.RunDetail.Inputs[name]), 200), Code: true}})
	}
	for _, name := range sortedKeys(d.Variables) {
		d.Inputs = append(d.Inputs, fact{Name: name, Cell: Cell{Text: cut(d.Variables[name], 200), Code: true}})
	}
	for _, a := range d.RunDetail.Acts {
		text := a.Actor + " " + actName(a.Action)
		if a.Detail != "" {
			text += " " + strings.TrimPrefix(a.Detail, "job ")
		}
		d.Acts = append(d.Acts, actRow{At: c.Clock(a.At), Text: text})
	}
	started := "started by " + r.Actor
	if r.Actor == "" {
		started = "started by " + string(r.Trigger)
	}
	d.Acts = append(d.Acts, actRow{At: c.Clock(r.Created), Text: started})
	for _, a := range d.Attempts {
		if a.Artifacts && a.Last && len(d.Files) < 50 {
			d.Files = append(d.Files, fact{Name: a.Job, Cell: Cell{Text: "files", Path: jobPath(r.ID, a.Job) + "/artifacts"}})
		}
	}
}

func actName(action string) string {
	switch strings.TrimPrefix(action, "run.") {
	case "retry":
		return "retried"
	case "cancel":
		return "canceled"
	case "play":
		return "started"
	}
	return action
}

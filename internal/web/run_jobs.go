package web

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/graphview"
	"refline/internal/pipeline"
)

const (
	graphMost = 150 // jobs that are drawn one by one
	tableMost = 60  // jobs in the table before those that passed are folded
	tablePage = 150 // jobs of one page of the whole table
	tasksMost = 24  // jobs whose steps are shown
	stepsMost = 12  // of one job
)

// pipelineOf is the run's pipeline and state, as far as a drawing shows them.
func pipelineOf(d api.RunDetail) (*pipeline.Pipeline, *pipeline.State) {
	p := &pipeline.Pipeline{Stages: d.Stages}
	s := &pipeline.State{Status: d.Run.Status, Stages: d.Run.Stages}
	for _, j := range d.Run.Jobs {
		job := pipeline.Job{Name: j.Name, Stage: j.Stage, When: j.When, DAG: j.DAG, AllowFailure: j.AllowFailure}
		for _, n := range j.Needs {
			job.Needs = append(job.Needs, pipeline.Need{Job: n, Optional: true})
		}
		if j.Environment != "" {
			job.Environment = &pipeline.Environment{Name: j.Environment}
		}
		if j.Trigger {
			job.Downstream = &pipeline.Downstream{}
		}
		p.Jobs = append(p.Jobs, job)
		s.Jobs = append(s.Jobs, pipeline.JobState{Status: j.Status, Reason: j.Reason, ExitCode: j.ExitCode, Attempt: j.Attempt, AllowFailure: j.AllowFailure})
	}
	return p, s
}

// runGraph draws the jobs and what they need. A pipeline that cannot be drawn has its
// table.
func (c *request) runGraph(d api.RunDetail) template.HTML {
	p, s := pipelineOf(d)
	if len(p.Jobs) < 2 {
		return ""
	}
	f := graphview.Fold(p, s, graphMost, lookName)
	svg, err := graphview.PageSVG(f.Pipeline, f.State, func(i int) string {
		if len(f.Jobs[i]) > 1 {
			return c.Base + runPath(d.Run.ID) + "?jobs=all#jobs"
		}
		return c.Base + jobPath(d.Run.ID, p.Jobs[f.Jobs[i][0]].Name)
	})
	if err != nil {
		return ""
	}
	return template.HTML(svg)
}

// jobTable are the jobs with their times.
type jobTable struct {
	Head   template.HTML
	Stages []jobStage
	Folded bool // those that passed are counted
	All    string
	Prev   string
	Next   string
	Shown  string
}

type jobStage struct {
	Name string
	Rows []jobRow
}

type jobRow struct {
	ID           string
	Look         string
	Name, Path   string
	Note         string
	Waited, Took template.HTML
	Line         template.HTML
	Play         string // name of the job, if it can be started
	Retry        string
	Steps        []stepRow
	Folded       bool
}

type stepRow struct {
	Look, Name, Note string
	Took             string
	Line             template.HTML
}

// runTasks asks for the steps of the jobs that one looks at first.
func (c *request) runTasks(d api.RunDetail) map[string]api.Tasks {
	jobs := slices.Clone(d.Run.Jobs)
	slices.SortStableFunc(jobs, func(a, b api.Job) int { return cmp.Compare(interest(a), interest(b)) })
	out := map[string]api.Tasks{}
	for _, j := range jobs[:min(len(jobs), tasksMost)] {
		if j.Attempt == 0 {
			continue
		}
		if t, err := c.API.Tasks(c.ctx(), d.Run.ID, j.Name, 0); err == nil && (len(t.Tasks) > 0 || len(t.Reports) > 0) {
			out[j.Name] = t // the page is shown without steps too
		}
	}
	return out
}

func interest(j api.Job) int {
	switch j.Status {
	case pipeline.StatusRunning, pipeline.StatusCanceling:
		return 0
	case pipeline.StatusFailed:
		return 1
	}
	return 2
}

// jobTable puts jobs, attempts and steps on one line of time.
func (c *request) jobTable(d api.RunDetail, tasks map[string]api.Tasks) jobTable {
	attempts := map[string][]api.Attempt{}
	var spans []span
	end := d.Run.Finished
	if end.IsZero() {
		end = c.now
	}
	for _, a := range d.Attempts {
		attempts[a.Job] = append(attempts[a.Job], a)
		to := a.Finished
		if to.IsZero() {
			to = c.now
		}
		spans = append(spans, span{a.Started, to})
		end = later(end, to)
	}
	ax := newAxis(d.Run.Created, end, spans)
	t := jobTable{Head: ax.head()}
	whole := c.URL.Query().Get("jobs") == "all"
	t.Folded = len(d.Run.Jobs) > tableMost && !whole
	jobs := c.pageOfJobs(d, &t, whole)
	ready := newReadiness(d)
	stages := map[string]*jobStage{}
	folded := map[[2]string]int{}
	for _, name := range d.Stages {
		stages[name] = &jobStage{Name: name}
	}
	for _, j := range jobs {
		stage := stages[j.Stage]
		if stage == nil {
			continue
		}
		look := lookOf(j.Status, j.AllowFailure)
		if t.Folded && interest(j) == 2 && j.Status != pipeline.StatusManual {
			folded[[2]string{j.Stage, look}]++
			continue
		}
		if t.Folded && len(stage.Rows) >= tableMost {
			folded[[2]string{j.Stage, look}]++
			continue
		}
		stage.Rows = append(stage.Rows, c.jobRow(d.Run, j, attempts[j.Name], ready.of(j), ax, tasks[j.Name]))
	}
	for _, name := range d.Stages {
		stage := stages[name]
		for _, look := range graphview.Looks() {
			if n := folded[[2]string{name, look}]; n > 0 {
				stage.Rows = append(stage.Rows, jobRow{ID: "fold-" + look, Look: look, Name: number(n) + " " + lookName(look), Path: runPath(d.Run.ID) + "?jobs=all#jobs", Folded: true})
			}
		}
		if len(stage.Rows) > 0 {
			t.Stages = append(t.Stages, *stage)
		}
	}
	return t
}

// pageOfJobs are the jobs of this page of the table.
func (c *request) pageOfJobs(d api.RunDetail, t *jobTable, whole bool) []api.Job {
	jobs := d.Run.Jobs
	if !whole || len(jobs) <= tablePage {
		return jobs
	}
	from := 0
	if _, err := fmt.Sscan(c.URL.Query().Get("from"), &from); err != nil {
		from = 0
	}
	from = max(0, min(from, len(jobs)-1))
	to := min(from+tablePage, len(jobs))
	path := func(at int) string { return fmt.Sprintf("%s?jobs=all&from=%d#jobs", runPath(d.Run.ID), at) }
	if from > 0 {
		t.Prev = path(max(from-tablePage, 0))
	}
	if to < len(jobs) {
		t.Next = path(to)
	}
	t.Shown = fmt.Sprintf("%s to %s of %s jobs", number(from+1), number(to), number(len(jobs)))
	return jobs[from:to]
}

// readiness knows since when a job could have started: when those before it had ended.
type readiness struct {
	created  time.Time
	finished map[string]time.Time
	stage    []time.Time // when the last job of each stage had ended
	at       map[string]int
}

func newReadiness(d api.RunDetail) readiness {
	r := readiness{created: d.Run.Created, finished: map[string]time.Time{}, stage: make([]time.Time, len(d.Stages)), at: map[string]int{}}
	for i, name := range d.Stages {
		r.at[name] = i
	}
	for _, j := range d.Run.Jobs {
		r.finished[j.Name] = j.Finished
		if i, ok := r.at[j.Stage]; ok {
			r.stage[i] = later(r.stage[i], j.Finished)
		}
	}
	return r
}

func (r readiness) of(j api.Job) time.Time {
	ready := r.created
	if j.DAG {
		for _, n := range j.Needs {
			ready = later(ready, r.finished[n])
		}
		return ready
	}
	for i := range r.at[j.Stage] {
		ready = later(ready, r.stage[i])
	}
	return ready
}

func (c *request) jobRow(r api.Run, j api.Job, attempts []api.Attempt, ready time.Time, ax axis, tasks api.Tasks) jobRow {
	look := lookOf(j.Status, j.AllowFailure)
	row := jobRow{ID: elementID(j.Name), Look: look, Name: j.Name, Path: jobPath(r.ID, j.Name), Note: jobNote(j)}
	var bars []bar
	for i, a := range attempts {
		b := bar{ready: ready, from: a.Started, to: a.Finished, fill: attemptFill(j, i == len(attempts)-1)}
		if i > 0 {
			b.ready = later(ready, attempts[i-1].Finished)
		}
		if a.Finished.IsZero() {
			b.to, b.fill = c.now, "live-f"
		}
		bars = append(bars, b)
	}
	if len(attempts) > 0 {
		if wait := attempts[0].Started.Sub(ready); wait >= time.Second {
			row.Waited = template.HTML(duration(wait))
		}
		row.Took = c.Took(j.Started, j.Finished)
	} else if j.Status == pipeline.StatusPending || j.Status == pipeline.StatusWaitingForResource {
		bars = append(bars, bar{ready: ready, from: c.now, to: c.now})
		row.Waited = c.Took(ready, time.Time{})
	}
	if len(bars) > 0 {
		row.Line = ax.line(bars, fmt.Sprintf("%s: %s", j.Name, count(len(attempts), "attempt", "attempts")))
	}
	if j.Status == pipeline.StatusManual {
		row.Play = j.Name
	}
	if j.Status == pipeline.StatusFailed || j.Status == pipeline.StatusCanceled {
		row.Retry = j.Name
	}
	row.Steps = c.steps(tasks, ax)
	return row
}

// attemptFill is the colour of an attempt: the last one has that of its job.
func attemptFill(j api.Job, last bool) string {
	if !last {
		return "bad-f"
	}
	switch lookOf(j.Status, j.AllowFailure) {
	case "success":
		return "ok-q"
	case "failed":
		return "bad-f"
	case "warned":
		return "warn-f"
	case "running":
		return "live-f"
	}
	return "idle-f"
}

// jobNote says what is special about a job.
func jobNote(j api.Job) string {
	var parts []string
	switch {
	case j.Status == pipeline.StatusFailed && j.ExitCode != 0:
		parts = append(parts, fmt.Sprintf("exit %d", j.ExitCode))
	case j.Status == pipeline.StatusFailed && j.Reason != "" && j.Reason != pipeline.ReasonScriptFailure:
		parts = append(parts, strings.ReplaceAll(string(j.Reason), "_", " "))
	}
	if j.Error != "" {
		parts = append(parts, j.Error)
	}
	if j.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", j.Attempt))
	}
	if j.AllowFailure && !j.Manual {
		parts = append(parts, "may fail")
	}
	if j.Environment != "" {
		parts = append(parts, "to "+j.Environment)
	}
	if j.Why != "" {
		parts = append(parts, j.Why)
	}
	return strings.Join(parts, " · ")
}

// steps are the first tasks of a job and those that failed or run.
func (c *request) steps(t api.Tasks, ax axis) []stepRow {
	var out []stepRow
	for _, task := range t.Tasks {
		if task.Kind == pipeline.TaskKind("flow") {
			continue
		}
		look := taskLook(task.State)
		if len(out) >= stepsMost && look != "failed" && look != "running" || len(out) >= 2*stepsMost {
			continue
		}
		row := stepRow{Look: look, Name: cmp.Or(task.Name, task.ID)}
		if task.Error != nil {
			row.Note = cut(task.Error.Message, 160)
		}
		end := task.Finished
		if end.IsZero() {
			end = c.now
		}
		if !task.Started.IsZero() {
			row.Took = duration(end.Sub(task.Started))
			row.Line = ax.line([]bar{{from: task.Started, to: end, fill: map[string]string{"success": "ok-q", "failed": "bad-f", "running": "live-f"}[look]}}, row.Name)
		}
		if p := task.Progress; p != nil && look == "running" && p.Total > 0 {
			row.Note = fmt.Sprintf("%.0f %%", 100*p.Current/p.Total)
		}
		out = append(out, row)
	}
	if more := t.Total - len(out); more > 0 && len(out) >= stepsMost {
		out = append(out, stepRow{Name: number(more) + " more"})
	}
	return out
}

func taskLook(state pipeline.TaskState) string {
	switch string(state) {
	case "running", "retrying":
		return "running"
	case "success", "cached", "kept":
		return "success"
	case "failed":
		return "failed"
	case "canceled":
		return "canceled"
	case "skipped":
		return "skipped"
	}
	return "pending"
}

const (
	reportsMost = 20
	reportRows  = 30
)

// reportsOf are the tables and texts that jobs showed.
func reportsOf(tasks map[string]api.Tasks) []reportView {
	var out []reportView
	for _, job := range slices.Sorted(maps.Keys(tasks)) {
		for _, r := range tasks[job].Reports {
			if len(out) == reportsMost {
				return out
			}
			v := reportView{Job: job, Title: r.Title}
			switch {
			case r.Kind == pipeline.StepMarkdown:
				v.Text = markdown(r.Text)
			case r.Kind == pipeline.StepTable:
				v.Columns = r.Columns
				for _, row := range r.Rows[:min(len(r.Rows), reportRows)] {
					cells := make([]string, len(r.Columns))
					for i := range cells {
						if i < len(row) {
							cells[i] = cut(cellText(row[i]), 200)
						}
					}
					v.Rows = append(v.Rows, cells)
				}
				v.More = len(r.Rows) - len(v.Rows)
			case r.Kind == pipeline.StepLink && (strings.HasPrefix(r.URL, "https://") || strings.HasPrefix(r.URL, "http://")):
				v.Links = []fact{{Name: cmp.Or(r.Title, r.URL), Cell: Cell{Path: r.URL}}}
				v.Title = ""
			default:
				continue
			}
			out = append(out, v)
		}
	}
	return out
}

// cellText is a value of a table.
func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		if v == float64(int64(v)) {
			return number(int64(v))
		}
	}
	return pipeline.InputText(v)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// elementID makes an id of a name: letters and digits stay, the rest is written in
// hexadecimal.
func elementID(name string) string {
	var out strings.Builder
	out.WriteString("job-")
	for _, r := range name {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "_%x_", r)
		}
	}
	return out.String()
}

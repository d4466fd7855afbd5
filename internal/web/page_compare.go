package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

func comparePages() []page {
	return []page{{pattern: "GET /runs/compare", need: "read", show: showCompare}}
}

// comparePath is the page that compares two runs.
func comparePath(a, b int64) string {
	return fmt.Sprintf("/runs/compare?a=%d&b=%d", a, b)
}

const mostCompared = 500 // jobs

type compareData struct {
	A, B    compareSide
	Says    string
	Range   string // commits between, as git names them
	Host    string // page of the commits at the repository's host
	Source  []compareRow
	Inputs  []compareRow
	Jobs    []compareJob
	More    int // jobs that are not shown
	Reports []compareRow
	Same    int // facts, jobs and inputs that do not differ
	Swap    string
}

type compareSide struct {
	runLine
	Says template.HTML
	At   template.HTML
}

type compareRow struct {
	Name, A, B string
	Differs    bool
}

type compareJob struct {
	Name, LookA, LookB string
	A, B, Change       string // durations, and how much longer the second is
	Worse              bool
	Differs            bool
	Steps              []compareStep
	PathA, PathB       string
}

type compareStep struct {
	Name, LookA, LookB string
}

func showCompare(c *request) (*View, error) {
	q := c.URL.Query()
	a, errA := strconv.ParseInt(q.Get("a"), 10, 64)
	b, errB := strconv.ParseInt(q.Get("b"), 10, 64)
	if errA != nil || errB != nil || a <= 0 || b <= 0 {
		return nil, invalid("two runs are compared by their numbers: /runs/compare?a=1003&b=1042")
	}
	if a == b {
		return nil, invalid("run %d is compared with itself; choose another one", a)
	}
	first, err := c.API.RunDetail(c.ctx(), a)
	if err != nil {
		return nil, err
	}
	second, err := c.API.RunDetail(c.ctx(), b)
	if err != nil {
		return nil, err
	}
	d := compareData{A: c.compareSide(first), B: c.compareSide(second), Swap: comparePath(b, a)}
	d.compareSource(first, second)
	d.compareInputs(first, second)
	d.compareJobs(first, second, c.runTasks(first), c.runTasks(second))
	d.Says = d.sentence()
	return &View{
		Template: "compare", Title: fmt.Sprintf("compare #%d and #%d", first.Run.Number, second.Run.Number), Section: "/runs",
		Command: fmt.Sprintf("refline runs show %d; refline runs show %d", a, b), Data: d,
	}, nil
}

func (c *request) compareSide(d api.RunDetail) compareSide {
	return compareSide{runLine: lineOf(d.Run), Says: c.runSays(d), At: c.Time(d.Run.Created)}
}

// sentence says what differs, the likely causes first.
func (d *compareData) sentence() string {
	var parts []string
	worse := 0
	for _, j := range d.Jobs {
		if j.Worse {
			worse++
		}
	}
	if worse > 0 {
		parts = append(parts, count(worse, "job fails", "jobs fail")+" in the second that did not in the first")
	}
	differ := func(rows []compareRow) (names []string) {
		for _, r := range rows {
			if r.Differs {
				names = append(names, r.Name)
			}
		}
		return names
	}
	if names := append(differ(d.Source), differ(d.Inputs)...); len(names) > 0 {
		parts = append(parts, "different: "+listed(names, 5))
	} else {
		parts = append(parts, "same commit, inputs and runtime")
	}
	text := strings.Join(parts, "; ") + "."
	return strings.ToUpper(text[:1]) + text[1:]
}

func (d *compareData) compareSource(a, b api.RunDetail) {
	add := func(name, x, y string) {
		if x != "" || y != "" {
			d.Source = append(d.Source, compareRow{name, x, y, x != y})
		}
	}
	add("project", a.Run.Project, b.Run.Project)
	add("flow", a.Run.Flow, b.Run.Flow)
	add("ref", strings.TrimSpace(a.Source.RefKind+" "+a.Run.Ref), strings.TrimSpace(b.Source.RefKind+" "+b.Run.Ref))
	add("commit", shortCommit(a.Run.Commit), shortCommit(b.Run.Commit))
	add("message", a.Run.Title, b.Run.Title)
	add("author", a.Source.Author, b.Source.Author)
	add("file", a.Source.Path, b.Source.Path)
	add("runtime", a.Source.Runtime, b.Source.Runtime)
	add("trigger", string(a.Run.Trigger), string(b.Run.Trigger))
	add("started by", a.Run.Actor, b.Run.Actor)
	if a.Run.Project == b.Run.Project && a.Run.Commit != b.Run.Commit {
		d.Range = shortCommit(a.Run.Commit) + ".." + shortCommit(b.Run.Commit)
		d.Host = commitsBetween(b.Source.Repository, a.Run.Commit, b.Run.Commit)
	}
}

// commitsBetween is the page of the commits between two at the host of a repository, ""
// for a host whose pages are not known.
func commitsBetween(repository, from, to string) string {
	u, err := url.Parse(repository)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return ""
	}
	path := strings.TrimSuffix(u.Path, ".git")
	switch host := u.Hostname(); {
	case strings.HasPrefix(host, "gitlab."):
		path += "/-/compare/" + from + "..." + to
	case strings.HasPrefix(host, "github.") || host == "codeberg.org" || strings.HasPrefix(host, "gitea."):
		path += "/compare/" + from + "..." + to
	default:
		return ""
	}
	return (&url.URL{Scheme: "https", Host: u.Host, Path: path}).String()
}

// compareInputs compares the inputs and the variables of the runs. Values are those that
// the runs' pages show.
func (d *compareData) compareInputs(a, b api.RunDetail) {
	values := func(r api.RunDetail) map[string]string {
		out := map[string]string{}
		for name, v := range r.Inputs {
			out[name] = cut(pipeline.InputText(v), 200)
		}
		for name, v := range r.Variables {
			out["$"+name] = cut(v, 200)
		}
		return out
	}
	x, y := values(a), values(b)
	both := map[string]bool{}
	for name := range x {
		both[name] = true
	}
	for name := range y {
		both[name] = true
	}
	for _, name := range sortedKeys(both) {
		d.Inputs = append(d.Inputs, compareRow{name, x[name], y[name], x[name] != y[name]})
	}
}

func (d *compareData) compareJobs(a, b api.RunDetail, tasksA, tasksB map[string]api.Tasks) {
	jobs := map[string]*compareJob{}
	var order []string
	side := func(r api.RunDetail) map[string]api.Job {
		out := map[string]api.Job{}
		for _, j := range r.Run.Jobs {
			out[j.Name] = j
			if jobs[j.Name] == nil {
				jobs[j.Name] = &compareJob{Name: j.Name}
				order = append(order, j.Name)
			}
		}
		return out
	}
	x, y := side(a), side(b)
	for _, name := range order {
		row := jobs[name]
		row.fill(a.Run.ID, b.Run.ID, x[name], y[name])
		row.Steps = compareSteps(tasksA[name], tasksB[name])
		row.Differs = row.LookA != row.LookB || len(row.Steps) > 0
		if !row.Differs {
			d.Same++
		}
	}
	// What differs first, then as the pipeline has them.
	slices.SortStableFunc(order, func(m, n string) int { return rankOf(jobs[m]) - rankOf(jobs[n]) })
	for _, name := range order[:min(len(order), mostCompared)] {
		d.Jobs = append(d.Jobs, *jobs[name])
	}
	d.More = len(order) - len(d.Jobs)
	for _, name := range order {
		m, n := reportNames(tasksA[name]), reportNames(tasksB[name])
		if m != "" || n != "" {
			d.Reports = append(d.Reports, compareRow{name, m, n, m != n})
		}
	}
}

func rankOf(j *compareJob) int {
	switch {
	case j.Worse:
		return 0
	case j.Differs:
		return 1
	}
	return 2
}

func (j *compareJob) fill(runA, runB int64, a, b api.Job) {
	took := func(x api.Job) (string, time.Duration) {
		if x.Started.IsZero() || x.Finished.IsZero() {
			return "", 0
		}
		d := x.Finished.Sub(x.Started)
		return duration(d), d
	}
	var x, y time.Duration
	if a.Name != "" {
		j.LookA, j.PathA = lookOf(a.Status, a.AllowFailure), jobPath(runA, a.Name)
		j.A, x = took(a)
	}
	if b.Name != "" {
		j.LookB, j.PathB = lookOf(b.Status, b.AllowFailure), jobPath(runB, b.Name)
		j.B, y = took(b)
	}
	j.Worse = j.LookB == "failed" && j.LookA != "failed"
	if x > 0 && y > 0 {
		switch by := y - x; {
		case by >= time.Second && by > x/10:
			j.Change = duration(by) + " longer"
		case -by >= time.Second && -by > x/10:
			j.Change = duration(-by) + " shorter"
		}
	}
}

// compareSteps are the steps whose ends differ.
func compareSteps(a, b api.Tasks) []compareStep {
	looks := func(t api.Tasks) (map[string]string, []string) {
		out, names := map[string]string{}, []string{}
		for _, x := range t.Tasks {
			name := cmp.Or(x.Name, x.ID)
			if _, known := out[name]; !known {
				names = append(names, name)
			}
			if out[name] != "failed" { // of several with a name the failed one counts
				out[name] = taskLook(x.State)
			}
		}
		return out, names
	}
	x, first := looks(a)
	y, second := looks(b)
	var out []compareStep
	seen := map[string]bool{}
	for _, name := range append(first, second...) {
		if !seen[name] && x[name] != y[name] && len(out) < 50 {
			out = append(out, compareStep{name, x[name], y[name]})
		}
		seen[name] = true
	}
	return out
}

// reportNames names what a job reported.
func reportNames(t api.Tasks) string {
	var names []string
	for _, r := range t.Reports {
		text := cmp.Or(r.Title, string(r.Kind))
		if len(r.Rows) > 0 {
			text += " (" + count(len(r.Rows), "row", "rows") + ")"
		}
		names = append(names, text)
	}
	return listed(names, 5)
}

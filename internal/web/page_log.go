package web

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
)

func logPages() []page {
	return []page{
		{pattern: "GET /runs/{run}/jobs/{job}", need: "read", show: showLog},
		{pattern: "GET /runs/{run}/jobs/{job}/raw", need: "read", do: func(c *request) (string, error) { return rawLog(c, false) }},
		{pattern: "GET /runs/{run}/jobs/{job}/download", need: "read", do: func(c *request) (string, error) { return rawLog(c, true) }},
	}
}

// logPage is what the page of a log shows.
type logPage struct {
	Run      api.Run
	Job      api.Job
	Path     string // of the log, with its attempt
	RunPath  string
	Query    string
	Jobs     []logJob
	Attempts []logAttempt
	Attempt  int // that the address names; 0 for the last
	Look     string
	Took     template.HTML
	Part     api.LogPart
	Text     template.HTML
	Earlier  string // address of the lines before
	Later    string
	First    int64
	Last     int64
	Hits     []logHit
	Found    string
	Follow   bool // new lines are added at the end of this page
	Empty    string
	Marks    []rulerMark
	MarkPath string // address of the list of errors and warnings
}

type logJob struct {
	Name, Path, Look string
	Current          bool
}

type logAttempt struct {
	Number  int
	Path    string
	Current bool
}

type logHit struct {
	Number int64
	Path   string
	Text   string
}

func showLog(c *request) (*View, error) {
	d, err := c.newLogPage()
	if err != nil {
		return nil, err
	}
	if c.Header.Get(fragmentHeader) == rulerFragment {
		err = c.addRuler(d)
	} else if err = c.addLines(d); err == nil {
		if err = c.addHits(d); err == nil && c.URL.Query().Get("marks") != "" && c.Header.Get(fragmentHeader) == "" {
			err = c.listMarks(d)
		}
	}
	if err != nil {
		return nil, err
	}
	v := &View{
		Template: "log", Title: lookName(d.Look) + ": " + d.Job.Name + " #" + strconv.FormatInt(d.Run.Number, 10), Look: d.Look, Section: "/runs",
		Command: command("runs", "log", strconv.FormatInt(d.Run.ID, 10), d.Job.Name), Fragments: []string{"log-jobs", "log-state", "log-lines", rulerFragment}, Data: d,
	}
	return v, nil
}

// newLogPage finds the job and describes it.
func (c *request) newLogPage() (*logPage, error) {
	id, attempt, err := c.logAddress()
	if err != nil {
		return nil, err
	}
	d := &logPage{Attempt: attempt, RunPath: runPath(id), Query: strings.TrimSpace(c.URL.Query().Get("q"))}
	if d.Run, err = c.API.Run(c.ctx(), id); err != nil {
		return nil, err
	}
	name, found := c.PathValue("job"), false
	for _, j := range d.Run.Jobs {
		d.Jobs = append(d.Jobs, logJob{Name: j.Name, Path: jobPath(id, j.Name), Look: lookOf(j.Status, j.AllowFailure), Current: j.Name == name})
		if j.Name == name {
			d.Job, found = j, true
		}
	}
	if !found {
		return nil, errs.E(errs.NotFound, "run %d has no job %q", id, name)
	}
	d.Look, d.Took = lookOf(d.Job.Status, d.Job.AllowFailure), c.Took(d.Job.Started, d.Job.Finished)
	d.Path = jobPath(id, name)
	d.MarkPath = d.address("marks", "1")
	for n := 1; n <= d.Job.Attempt && d.Job.Attempt > 1; n++ {
		d.Attempts = append(d.Attempts, logAttempt{n, d.Path + "?attempt=" + strconv.Itoa(n), n == cmp.Or(attempt, d.Job.Attempt)})
	}
	return d, nil
}

// logAddress reads the run and the attempt that the address names.
func (c *request) logAddress() (run int64, attempt int, err error) {
	if run, err = strconv.ParseInt(c.PathValue("run"), 10, 64); err != nil {
		return 0, 0, errs.E(errs.NotFound, "%q is not the id of a run", c.PathValue("run"))
	}
	if value := c.URL.Query().Get("attempt"); value != "" {
		if attempt, err = strconv.Atoi(value); err != nil || attempt < 1 {
			return 0, 0, invalid("attempt %q is not a number from 1", value)
		}
	}
	return run, attempt, nil
}

// address is that of the page with other values in its query.
func (d *logPage) address(set ...string) string {
	q := url.Values{}
	if d.Attempt > 0 {
		q.Set("attempt", strconv.Itoa(d.Attempt))
	}
	for i := 0; i+1 < len(set); i += 2 {
		q.Set(set[i], set[i+1])
	}
	if len(q) == 0 {
		return d.Path
	}
	return d.Path + "?" + q.Encode()
}

// Raw and Download are addresses beside the page.
func (d *logPage) Raw() string      { return d.beside("/raw") }
func (d *logPage) Download() string { return d.beside("/download") }

func (d *logPage) beside(name string) string {
	path, query, _ := strings.Cut(d.address(), "?")
	if query != "" {
		query = "?" + query
	}
	return path + name + query
}

// addLines adds the lines that the address asks for.
func (c *request) addLines(d *logPage) error {
	from, err := int64(0), error(nil)
	if value := c.URL.Query().Get("from"); value != "" {
		if from, err = strconv.ParseInt(value, 10, 64); err != nil || from < 1 {
			return invalid("line %q is not a number from 1", value)
		}
	}
	d.Part, err = c.API.LogLines(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt, from, 0)
	if errs.Is(err, errs.NotFound) && d.Attempt == 0 {
		d.Empty = cmp.Or(d.Job.Why, d.Job.Error, "The job has not started, so there is no log yet.")
		return nil
	}
	if err != nil {
		return err
	}
	d.Text = renderLog(d.Part.Lines)
	if n := len(d.Part.Lines); n > 0 {
		d.First, d.Last = d.Part.Lines[0].Number, d.Part.Lines[n-1].Number
	}
	d.Follow = !d.Part.Ended && (d.Last == d.Part.Total || c.Header.Get(fragmentHeader) != "")
	if d.Part.Total == 0 {
		d.Empty = "Nothing was printed."
	}
	if d.First > 1 {
		d.Earlier = d.address("from", strconv.FormatInt(max(d.First-api.MaxLogLines, 1), 10))
	}
	if d.Last > 0 && d.Last < d.Part.Total {
		d.Later = d.address("from", strconv.FormatInt(d.Last+1, 10))
	}
	return nil
}

// addHits adds what a search finds in the whole log.
func (c *request) addHits(d *logPage) error {
	if d.Query == "" || d.Part.Total == 0 || c.Header.Get(fragmentHeader) != "" {
		return nil
	}
	hits, err := c.API.SearchLog(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt, d.Query)
	if err != nil {
		return err
	}
	d.Found = count(len(hits.Lines), "line", "lines")
	if hits.More {
		d.Found = "more than " + d.Found
	}
	d.Found += fmt.Sprintf(" with “%s”", d.Query)
	d.list(hits.Lines, "q", d.Query)
	return nil
}

// list shows lines above the log. set is the query of the page that has the list.
func (d *logPage) list(lines []api.LogLine, set ...string) {
	for _, h := range lines {
		if len(d.Hits) == 200 {
			d.Found += ", the first 200 are listed"
			break
		}
		path := d.address(set...)
		if h.Number < d.First || h.Number > d.Last {
			path = d.address(append(slices.Clone(set), "from", strconv.FormatInt(max(h.Number-50, 1), 10))...)
		}
		d.Hits = append(d.Hits, logHit{h.Number, path + "#L" + strconv.FormatInt(h.Number, 10), h.Text})
	}
}

// rawLog sends the browser to the log itself.
func rawLog(c *request, download bool) (string, error) {
	run, attempt, err := c.logAddress()
	if err != nil {
		return "", err
	}
	q := url.Values{}
	if attempt > 0 {
		q.Set("attempt", strconv.Itoa(attempt))
	}
	if download {
		q.Set("download", "true")
	}
	path := "/api/v1" + jobPath(run, c.PathValue("job")) + "/log"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return path, nil
}

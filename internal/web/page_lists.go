package web

import (
	"cmp"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"refline/internal/api"
)

func listPages() []page {
	return []page{
		{pattern: "GET /runs", need: "read", show: showRuns},
		{pattern: "GET /flows", need: "read", show: showFlows},
		{pattern: "GET /projects", need: "read", show: showProjects},
		{pattern: "GET /environments", need: "read", show: showEnvironments},
		{pattern: "GET /p/{project}/-/environments/{environment}", need: "read", show: showEnvironment},
		{pattern: "POST /p/{project}/-/environments/{environment}/redeploy", need: "run", do: redeploy, back: showEnvironment},
	}
}

// runRow is a run in a table.
func (c *request) runRow(r api.Run) []Cell {
	line := lineOf(r)
	took := template.HTML("")
	if !r.Started.IsZero() {
		took = c.Took(r.Started, r.Finished)
	}
	return []Cell{
		{Look: line.Look, Text: lookName(line.Look)}, {Text: line.Name + " #" + strconv.FormatInt(r.Number, 10), Path: line.Path, Sub: cmp.Or(r.Why, r.Title)},
		{Text: line.Source, Code: true}, plain(string(r.Trigger)), {HTML: c.Time(r.Created)}, {HTML: took},
	}
}

var runColumns = []string{"State", "Run", "Source", "Trigger", "Made", "Took"}

func showRuns(c *request) (*View, error) {
	q := c.URL.Query().Get("q")
	query, run, err := c.runQuery(q)
	if err != nil {
		return nil, err
	}
	d := listData{Heading: "Runs"}
	t := table{Columns: runColumns, Empty: [2]string{"No runs.", command("flow", "run", "FLOW")}}
	if q != "" {
		d.Says = template.HTML("for " + template.HTMLEscapeString(q))
		t.Empty = [2]string{"No run is like that.", ""}
	}
	if run > 0 {
		r, err := c.API.Run(c.ctx(), run)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, c.runRow(r))
	} else {
		query.Limit, query.Cursor = 50, c.URL.Query().Get("before")
		list, err := c.API.Runs(c.ctx(), query)
		if err != nil {
			return nil, err
		}
		for _, r := range list.Runs {
			t.Rows = append(t.Rows, c.runRow(r))
		}
		if list.Next != "" {
			t.More, t.MoreText = "/runs?"+url.Values{"q": {q}, "before": {list.Next}}.Encode(), "Older runs"
		}
	}
	d.Tables = []table{t}
	return &View{Template: "list", Title: "Runs", Section: "/runs", Command: command("runs", "list", "--server"), Data: d}, nil
}

func showFlows(c *request) (*View, error) {
	list, err := c.API.Flows(c.ctx(), "", "", false)
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Last run", "Flow", "Project", "Runs", "File", ""}, Empty: [2]string{"No flows yet. Register one by its repository and path:", command("flow", "register", "PATH", "--repo", "URL", "--branch", "main")}}
	for _, f := range list {
		last := plain("never")
		if f.LastRun != nil {
			look := lookOf(f.LastRun.Status, false)
			last = Cell{Look: look, Text: lookName(look), Path: runPath(f.LastRun.ID)}
		}
		state := ""
		if f.Paused {
			state = "paused"
		}
		t.Rows = append(t.Rows, []Cell{last, link(f.Name, flowPath(f.Project, f.Name)), link(f.Project, projectPath(f.Project)), plain(refText(f.RefKind, f.Ref)), code(cmp.Or(f.Path, ".gitlab-ci.yml")), plain(state)})
	}
	return &View{Template: "list", Title: "Flows", Section: "/flows", Command: command("flow", "list"), Data: listData{Heading: "Flows", Tables: []table{t}}}, nil
}

// refText is what a flow runs.
func refText(kind, ref string) string { return strings.TrimSpace(kind + " " + ref) }

func showProjects(c *request) (*View, error) {
	list, err := c.API.Projects(c.ctx())
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Project", "Repository", "Protected"}, Empty: [2]string{"No projects yet. Add a repository:", command("project", "add", "URL")}}
	for _, p := range list {
		t.Rows = append(t.Rows, []Cell{link(p.Name, projectPath(p.Name)), code(p.URL), plain(cmp.Or(strings.Join(p.Protected, ", "), "the default branch"))})
	}
	return &View{Template: "list", Title: "Projects", Section: "/projects", Command: command("project", "list"), Data: listData{Heading: "Projects", Tables: []table{t}}}, nil
}

func showEnvironments(c *request) (*View, error) {
	list, err := c.API.Environments(c.ctx(), "")
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Environment", "Project", "State", "Commit", "Deployed"}, Empty: [2]string{"No deployments yet. A job with environment: makes one when it succeeds.", command("flow", "run", "FLOW")}}
	for _, e := range list {
		row := []Cell{link(e.Name, environmentPath(e.Project, e.Name)), link(e.Project, projectPath(e.Project)), plain(e.State), {}, {}}
		if e.Last != nil {
			row[3], row[4] = Cell{Text: shortCommit(e.Last.Commit), Code: true, Sub: e.Last.Ref}, Cell{HTML: c.Time(e.Last.Time)}
		}
		t.Rows = append(t.Rows, row)
	}
	return &View{Template: "list", Title: "Environments", Section: "/environments", Command: command("environment", "list"), Data: listData{Heading: "Environments", Tables: []table{t}}}, nil
}

func showEnvironment(c *request) (*View, error) {
	e, err := c.API.Environment(c.ctx(), c.PathValue("project"), c.PathValue("environment"))
	if err != nil {
		return nil, err
	}
	d := listData{Heading: e.Name, Facts: facts(fact{"project", link(e.Project, projectPath(e.Project))}, fact{"state", plain(e.State)}, fact{"address", plain(e.URL)})}
	t := table{ID: "history", Title: "Deployments", Columns: []string{"When", "Commit", "Job", "By", "Plan", ""}, Empty: [2]string{"No deployments.", ""}}
	for i, x := range e.Deployments {
		row := []Cell{{HTML: c.Time(x.Time)}, {Text: shortCommit(x.Commit), Code: true, Sub: x.Ref}, link(x.Job, jobPath(x.Run, x.Job)), plain(x.Actor), {Text: x.Plan[:min(len(x.Plan), 19)], Code: x.Plan != ""}, {}}
		if i > 0 && x.Action == "start" {
			row[5].Act = &action{Path: environmentPath(e.Project, e.Name) + "/redeploy", Label: "Deploy again", Fields: [][2]string{{"deployment", strconv.FormatInt(x.ID, 10)}}, Plain: true}
		}
		t.Rows = append(t.Rows, row)
	}
	d.Tables = []table{t}
	return &View{Template: "list", Title: e.Name, Section: "/environments", Command: command("environment", "show", e.Name, "--project", e.Project), Data: d}, nil
}

func redeploy(c *request) (string, error) {
	id, err := strconv.ParseInt(c.PostFormValue("deployment"), 10, 64)
	if err != nil {
		return "", invalid("the form names no deployment; open the page again")
	}
	r, err := c.API.Redeploy(c.ctx(), c.PathValue("project"), c.PathValue("environment"), id)
	return runPath(r.ID), err
}

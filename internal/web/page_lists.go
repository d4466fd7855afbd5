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

func listPages() []page {
	return []page{
		{pattern: "GET /runs", need: "read", show: showRuns},
		{pattern: "GET /flows", need: "read", show: showFlows},
		{pattern: "GET /projects", need: "read", show: showProjects},
		{pattern: "GET /p/{project}", need: "read", show: showProject},
		{pattern: "GET /environments", need: "read", show: showEnvironments},
		{pattern: "GET /p/{project}/-/environments/{environment}", need: "read", show: showEnvironment},
		{pattern: "POST /p/{project}/-/environments/{environment}/redeploy", need: "run", do: redeploy, back: showEnvironment},
		{pattern: "GET /runners", need: "read", show: showRunners},
		{pattern: "GET /settings", need: "read", show: showSettings},
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

// runQuery reads what is typed into the search field: key:value terms, and the name of a
// flow or the number of a run.
func runQuery(q string) (out api.RunQuery, run int64, err error) {
	var unknown []string
	for term := range strings.FieldsSeq(q) {
		key, value, is := strings.Cut(term, ":")
		switch {
		case !is:
			if n, err := strconv.ParseInt(strings.TrimPrefix(term, "#"), 10, 64); err == nil {
				run = n
				continue
			}
			out.Flow = term
		case key == "status":
			out.Statuses = append(out.Statuses, strings.Split(value, ",")...)
		case key == "flow":
			out.Flow = value
		case key == "project":
			out.Project = value
		case key == "ref":
			out.Ref = value
		default:
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return out, 0, invalid("%s: is not a term of a search; known: status, flow, project, ref", strings.Join(unknown, ", "))
	}
	return out, run, nil
}

func showRuns(c *request) (*View, error) {
	q := c.URL.Query().Get("q")
	query, run, err := runQuery(q)
	if err != nil {
		return nil, err
	}
	d := listData{Heading: "Runs"}
	t := table{Columns: runColumns, Empty: [2]string{"No runs.", "refline flow run FLOW"}}
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
	return &View{Template: "list", Title: "Runs", Section: "/runs", Command: "refline runs list --server", Data: d}, nil
}

func showFlows(c *request) (*View, error) {
	list, err := c.API.Flows(c.ctx(), "", "", false)
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Last run", "Flow", "Project", "Runs", "File", ""}, Empty: [2]string{"No flows yet. Register one by its repository and path:", "refline flow register PATH --repo URL --branch main"}}
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
	return &View{Template: "list", Title: "Flows", Section: "/flows", Command: "refline flow list", Data: listData{Heading: "Flows", Tables: []table{t}}}, nil
}

// refText is what a flow runs.
func refText(kind, ref string) string { return strings.TrimSpace(kind + " " + ref) }

func showProjects(c *request) (*View, error) {
	list, err := c.API.Projects(c.ctx())
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Project", "Repository", "Protected"}, Empty: [2]string{"No projects yet. Add a repository:", "refline project add URL"}}
	for _, p := range list {
		t.Rows = append(t.Rows, []Cell{link(p.Name, projectPath(p.Name)), code(p.URL), plain(cmp.Or(strings.Join(p.Protected, ", "), "the default branch"))})
	}
	return &View{Template: "list", Title: "Projects", Section: "/projects", Command: "refline project list", Data: listData{Heading: "Projects", Tables: []table{t}}}, nil
}

func showProject(c *request) (*View, error) {
	name := c.PathValue("project")
	p, err := c.API.Project(c.ctx(), name)
	if err != nil {
		return nil, err
	}
	d := listData{Heading: p.Name, Facts: facts(
		fact{"repository", code(p.URL)}, fact{"pipeline file", code(cmp.Or(p.File, ".gitlab-ci.yml"))}, fact{"deploy key", plain(p.Key)}, fact{"token", plain(p.TokenVariable)},
		fact{"protected", plain(cmp.Or(strings.Join(p.Protected, ", "), "the default branch"))},
	)}
	if l := p.Look; l != nil {
		if l.Looked != nil {
			d.Facts = append(d.Facts, fact{"looked at", Cell{HTML: c.Time(*l.Looked)}})
		}
		if l.Error != "" {
			d.Facts = append(d.Facts, fact{"look failed", Cell{Look: "failed", Text: l.Error}})
		}
	}
	flows, err := c.API.Flows(c.ctx(), p.Name, "", false)
	if err != nil {
		return nil, err
	}
	ft := table{ID: "flows", Title: "Flows", Columns: []string{"Flow", "Runs", "File"}, Empty: [2]string{"No flows of this project.", "refline flow register PATH --repo " + p.URL}}
	for _, f := range flows {
		ft.Rows = append(ft.Rows, []Cell{link(f.Name, flowPath(p.Name, f.Name)), plain(refText(f.RefKind, f.Ref)), code(cmp.Or(f.Path, ".gitlab-ci.yml"))})
	}
	runs, err := c.API.Runs(c.ctx(), api.RunQuery{Project: p.Name, Limit: 20})
	if err != nil {
		return nil, err
	}
	rt := table{ID: "runs", Title: "Last runs", Columns: runColumns, Empty: [2]string{"No runs yet.", "refline flow run FLOW"}}
	for _, r := range runs.Runs {
		rt.Rows = append(rt.Rows, c.runRow(r))
	}
	vt := table{ID: "variables", Title: "Variables", Columns: []string{"Name", "Environment", "Flags"}, Empty: [2]string{"No variables. Values are write-only:", "refline var set NAME --server --project " + p.Name}}
	d.Tables = []table{ft, rt}
	variables, err := c.API.Variables(c.ctx(), p.Name)
	if err != nil && !errs.Is(err, errs.Denied) { // who may not see them sees the rest
		return nil, err
	}
	for _, v := range variables {
		vt.Rows = append(vt.Rows, []Cell{code(v.Name), plain(cmp.Or(v.Environment, "*")), plain(strings.Join(variableFlags(v), ", "))})
	}
	if err == nil {
		d.Tables = append(d.Tables, vt)
	}
	return &View{Template: "list", Title: p.Name, Section: "/projects", Command: "refline project show " + p.Name, Data: d}, nil
}

func variableFlags(v api.Variable) []string {
	var out []string
	for _, f := range []struct {
		on   bool
		name string
	}{{v.Masked, "masked"}, {v.Protected, "protected"}, {v.File, "file"}} {
		if f.on {
			out = append(out, f.name)
		}
	}
	return out
}

func showEnvironments(c *request) (*View, error) {
	list, err := c.API.Environments(c.ctx(), "")
	if err != nil {
		return nil, err
	}
	t := table{Columns: []string{"Environment", "Project", "State", "Commit", "Deployed"}, Empty: [2]string{"No deployments yet. A job with environment: makes one when it succeeds.", "refline flow run FLOW"}}
	for _, e := range list {
		row := []Cell{link(e.Name, environmentPath(e.Project, e.Name)), link(e.Project, projectPath(e.Project)), plain(e.State), {}, {}}
		if e.Last != nil {
			row[3], row[4] = Cell{Text: shortCommit(e.Last.Commit), Code: true, Sub: e.Last.Ref}, Cell{HTML: c.Time(e.Last.Time)}
		}
		t.Rows = append(t.Rows, row)
	}
	return &View{Template: "list", Title: "Environments", Section: "/environments", Command: "refline environment list", Data: listData{Heading: "Environments", Tables: []table{t}}}, nil
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
	return &View{Template: "list", Title: e.Name, Section: "/environments", Command: "refline environment show " + e.Name, Data: d}, nil
}

func redeploy(c *request) (string, error) {
	id, err := strconv.ParseInt(c.PostFormValue("deployment"), 10, 64)
	if err != nil {
		return "", invalid("the form names no deployment; open the page again")
	}
	r, err := c.API.Redeploy(c.ctx(), c.PathValue("project"), c.PathValue("environment"), id)
	return runPath(r.ID), err
}

func showRunners(c *request) (*View, error) {
	runners, err := c.API.Runners(c.ctx())
	if err != nil {
		return nil, err
	}
	rt := table{ID: "runners", Title: "Runners", Columns: []string{"Runner", "State", "Does", "Tags", "Seen"}, Empty: [2]string{"No runner has registered.", "refline runner --url URL --token-file FILE"}}
	for _, r := range runners {
		state := "away"
		switch {
		case r.Online && r.Draining:
			state = "draining"
		case r.Online:
			state = "online"
		}
		seen := Cell{Text: "never"}
		if !r.Seen.IsZero() {
			seen = Cell{HTML: c.Time(r.Seen)}
		}
		rt.Rows = append(rt.Rows, []Cell{plain(r.Name), plain(state), plain(cmp.Or(strings.Join(r.Jobs, ", "), "nothing")), plain(strings.Join(r.Tags, ", ")), seen})
	}
	runtimes, err := c.API.Runtimes(c.ctx())
	if err != nil {
		return nil, err
	}
	flows, err := c.API.Flows(c.ctx(), "", "", false)
	if err != nil {
		return nil, err
	}
	tt := table{ID: "runtimes", Title: "Runtimes", Columns: []string{"Runtime", "Executor", "Image", "Flows"}, Empty: [2]string{"No runtimes: flows run as their jobs say.", "refline runtime set NAME --executor docker --image IMAGE"}}
	for _, r := range runtimes {
		var users []string
		for _, f := range flows {
			if f.Runtime == r.Name {
				users = append(users, f.Name)
			}
		}
		tt.Rows = append(tt.Rows, []Cell{plain(r.Name), plain(r.Executor), code(r.Image), plain(strings.Join(users, ", "))})
	}
	slots, err := c.API.Slots(c.ctx())
	if err != nil {
		return nil, err
	}
	st := table{ID: "slots", Title: "Slots", Columns: []string{"Slot", "Places", "Held by", "Waiting"}, Empty: [2]string{"No slots: nothing limits runs across flows.", "refline slot set NAME MAX"}}
	for _, s := range slots {
		st.Rows = append(st.Rows, []Cell{plain(s.Name), plain(cmp.Or(strings.TrimPrefix(strconv.Itoa(s.Max), "0"), "any number")), plain(claims(s.Holders)), plain(claims(s.Waiting))})
	}
	return &View{Template: "list", Title: "Runners", Section: "/runners", Command: "refline runner list", Data: listData{Heading: "Runners", Tables: []table{rt, tt, st}}}, nil
}

func claims(list []api.SlotClaim) string {
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprintf("run %d", x.Run))
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

func showSettings(c *request) (*View, error) {
	d := listData{Heading: "Settings"}
	list, err := c.API.Tokens(c.ctx())
	if err != nil && !errs.Is(err, errs.Denied) { // who may not see them sees the rest
		return nil, err
	}
	if err == nil {
		t := table{ID: "tokens", Title: "Tokens", Columns: []string{"Token", "Kind", "May", "Used", "Ends"}, Empty: [2]string{"No tokens.", "refline token create NAME --scope read"}}
		slices.SortStableFunc(list, func(a, b api.Token) int { return b.Created.Compare(a.Created) })
		for _, x := range list {
			used, ends := Cell{Text: "never"}, Cell{Text: "when it is revoked"}
			if x.Used != nil {
				used = Cell{HTML: c.Time(*x.Used)}
			}
			if x.Expires != nil {
				ends = Cell{HTML: c.Time(*x.Expires)}
			}
			t.Rows = append(t.Rows, []Cell{plain(x.Name), plain(x.Kind), plain(strings.Join(append(slices.Clone(x.Scopes), x.Tags...), ", ")), used, ends})
		}
		d.Tables = append(d.Tables, t)
	}
	rules, err := c.API.Notifications(c.ctx(), "")
	if err != nil {
		return nil, err
	}
	t := table{ID: "notifications", Title: "Notifications", Columns: []string{"Name", "Project", "Kind", "To", "Of"}, Empty: [2]string{"No notifications.", "refline notify set NAME --webhook-url-file FILE"}}
	for _, n := range rules {
		t.Rows = append(t.Rows, []Cell{plain(n.Name), plain(cmp.Or(n.Project, "all")), plain(n.Kind), plain(cmp.Or(n.Host, strings.Join(n.To, ", "))), plain(strings.Join(n.Events, ", "))})
	}
	d.Tables = append(d.Tables, t)
	return &View{Template: "list", Title: "Settings", Section: "/settings", Command: "refline token list", Data: d}, nil
}

package web

import (
	"cmp"
	"strings"

	"refline/internal/api"
)

func flowPages() []page {
	return []page{
		{pattern: "GET /p/{project}/-/flows/{flow}", need: "read", show: showFlow},
		{pattern: "POST /p/{project}/-/flows/{flow}/run", need: "run", do: runFlow, back: showFlow},
		{pattern: "POST /p/{project}/-/flows/{flow}/pause", need: "write", do: pauseFlow, back: showFlow},
	}
}

func showFlow(c *request) (*View, error) {
	f, err := c.API.Flow(c.ctx(), c.PathValue("project"), c.PathValue("flow"))
	if err != nil {
		return nil, err
	}
	path := flowPath(f.Project, f.Name)
	form := &runForm{Path: path + "/run", Show: path, Flow: f.Name, Usual: refText(f.RefKind, f.Ref)}
	d := listData{Heading: f.Name}
	who, err := c.caller()
	if err != nil {
		return nil, err
	}
	if mayRun(who) {
		if err := c.fill(form, f); err != nil {
			return nil, err
		}
		d.Form = form
	}
	d.Facts = append(facts(fact{"project", link(f.Project, projectPath(f.Project))}), storageFacts(f)...)
	pause := action{Path: path + "/pause", Label: "Pause", Fields: [][2]string{{"on", "true"}}}
	if f.Paused {
		pause.Label, pause.Fields = "Resume", [][2]string{{"on", "false"}}
		d.Facts = append([]fact{{"state", plain("paused: no schedule starts it")}}, d.Facts...)
	}
	d.Actions = []action{pause}
	runs, err := c.API.Runs(c.ctx(), api.RunQuery{Project: f.Project, Flow: f.Name, Limit: 20})
	if err != nil {
		return nil, err
	}
	t := table{ID: "runs", Title: "Last runs", Columns: runColumns, Empty: [2]string{"It has not run yet.", command("flow", "run", f.Name, "--project", f.Project)}}
	for i, r := range runs.Runs {
		if i == 0 {
			d.Look = lookOf(r.Status, false)
		}
		t.Rows = append(t.Rows, c.runRow(r))
	}
	d.Tables = []table{c.scheduleTable(f), t}
	title := f.Name
	if d.Look != "" {
		title = lookName(d.Look) + ": " + f.Name
	}
	return &View{Template: "list", Title: title, Look: d.Look, Section: "/flows", Command: command("flow", "show", f.Name, "--project", f.Project), Data: d}, nil
}

// storageFacts say where the code comes from.
func storageFacts(f api.Flow) []fact {
	s := f.Storage
	if s == nil {
		return nil
	}
	depth := "all history"
	if s.Depth > 0 {
		depth = count(s.Depth, "commit", "commits")
	}
	return facts(
		fact{"repository", code(s.Repository)}, fact{"host", plain(s.Host)}, fact{"image", code(s.Image)}, fact{"ref", plain(refText(s.RefKind, s.Ref))},
		fact{"commit", code(shortCommit(cmp.Or(s.Commit, f.Pinned)))}, fact{"path", code(s.Path)}, fact{"clone depth", plain(depth)}, fact{"submodules", plain(s.Submodules)},
		fact{"transport", plain(s.Transport)}, fact{"token user", plain(s.TokenUser)}, fact{"secrets", plain(strings.Join(s.Secrets, ", "))}, fact{"runtime", plain(f.Runtime)},
	)
}

func runFlow(c *request) (string, error) {
	in, err := c.runInput()
	if err != nil {
		return "", err
	}
	r, err := c.API.StartRun(c.ctx(), in)
	return runPath(r.ID), err
}

func pauseFlow(c *request) (string, error) {
	on := c.PostFormValue("on") == "true"
	f, err := c.API.SetFlow(c.ctx(), c.PathValue("project"), c.PathValue("flow"), api.FlowChange{Paused: &on})
	return flowPath(f.Project, f.Name), err
}

package web

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

func projectPages() []page {
	return []page{
		{pattern: "GET /p/{project}", need: "read", show: showProject},
		{pattern: "POST /p/{project}/-/check", need: "run", reply: checkProject, back: showProject},
	}
}

func projectCrumbs(project string) []Cell {
	return []Cell{link("Projects", "/projects"), link(project, projectPath(project))}
}

// projectTabs are the pages of a project.
func projectTabs(project, current string) []tab {
	path := projectPath(project)
	list := []tab{{Name: "Project", Path: path}, {Name: "Variables and keys", Path: path + "/-/variables"}, {Name: "Webhook", Path: path + "/-/hook"},
		{Name: "Lint", Path: path + "/-/lint"}, {Name: "Settings", Path: path + "/-/settings"}}
	for i := range list {
		list[i].Current = strings.TrimPrefix(list[i].Path, path) == strings.TrimSuffix("/-/"+current, "/-/")
	}
	return list
}

func showProject(c *request) (*View, error) {
	p, err := c.API.Project(c.ctx(), c.PathValue("project"))
	if err != nil {
		return nil, err
	}
	d := listData{Heading: p.Name, Crumbs: []Cell{link("Projects", "/projects")}, Tabs: projectTabs(p.Name, ""), Facts: c.projectFacts(p)}
	if c.may("run") {
		d.Actions = []action{{Path: projectPath(p.Name) + "/-/check", Label: "Check the repository"}}
	}
	flows, err := c.projectFlows(p)
	if err != nil {
		return nil, err
	}
	branches, err := c.branchTable(p)
	if err != nil {
		return nil, err
	}
	runs, err := c.API.Runs(c.ctx(), api.RunQuery{Project: p.Name, Limit: 10})
	if err != nil {
		return nil, err
	}
	rt := table{ID: "runs", Title: "Last runs", Columns: runColumns, Empty: [2]string{"No runs yet.", command("flow", "run", "FLOW", "--project", p.Name)}, More: searchPath("project:" + p.Name), MoreText: "All runs"}
	for _, r := range runs.Runs {
		rt.Rows = append(rt.Rows, c.runRow(r))
	}
	d.Tables = []table{flows, branches, rt}
	return &View{Template: "list", Title: p.Name, Section: "/projects", Command: command("project", "show", p.Name), Data: d}, nil
}

// projectFacts say where the code comes from and which credentials reach it, by name.
func (c *request) projectFacts(p api.Project) []fact {
	key := code(p.Key)
	key.Path = variablesPath(p.Name) + "#keys"
	list := facts(
		fact{"repository", code(p.URL)}, fact{"pipeline file", code(cmp.Or(p.File, ".gitlab-ci.yml"))}, fact{"deploy key", key},
		fact{"token", code(p.TokenVariable)}, fact{"URL", code(p.URLVariable)},
		fact{"protected", plain(cmp.Or(strings.Join(p.Protected, ", "), "the default branch"))}, fact{"pushes", pushText(p)}, fact{"runs kept", plain(keptText(p.Retention))},
	)
	if p.Key == "" && p.TokenVariable == "" && p.URLVariable == "" {
		list = append(list, fact{"credentials", plain("none: the repository is read without")})
	}
	if l := p.Look; l != nil {
		if l.Looked != nil {
			list = append(list, fact{"looked at", Cell{HTML: c.Time(*l.Looked)}})
		}
		if l.Error != "" {
			list = append(list, fact{"look failed", Cell{Look: "failed", Text: l.Error}})
		}
		for _, text := range l.Unmade {
			first, _, _ := strings.Cut(text, "\n")
			list = append(list, fact{"no run of", plain(first)})
		}
	}
	return list
}

func pushText(p api.Project) Cell {
	switch {
	case p.Look != nil && p.Look.Hook:
		return link("by its webhook, and every hour", projectPath(p.Name)+"/-/hook")
	case p.PollSeconds == 0:
		return Cell{Text: "make no pipelines: set the webhook up", Path: projectPath(p.Name) + "/-/hook"}
	}
	return plain("found every " + duration(time.Duration(p.PollSeconds)*time.Second))
}

// keptText says how long the runs of a project are kept.
func keptText(r *api.Retention) string {
	if r == nil || r.Seconds == 0 && r.Runs == 0 {
		return "all, for ever"
	}
	var parts []string
	if r.Runs > 0 {
		parts = append(parts, "the newest "+count(r.Runs, "run", "runs"))
	}
	if r.Seconds > 0 {
		parts = append(parts, "those of the last "+duration(time.Duration(r.Seconds)*time.Second))
	}
	text := strings.Join(parts, ", of ")
	if r.LastGood {
		text += ", and the last good one of each flow and branch"
	}
	return text
}

func (c *request) projectFlows(p api.Project) (table, error) {
	t := table{ID: "flows", Title: "Flows", Columns: []string{"Flow", "Runs", "File"}, Empty: [2]string{"No flows of this project.", command("flow", "register", "PATH", "--repo", p.URL)}}
	list, err := c.API.Flows(c.ctx(), p.Name, "", false)
	for _, f := range list {
		t.Rows = append(t.Rows, []Cell{link(f.Name, flowPath(p.Name, f.Name)), plain(refText(f.RefKind, f.Ref)), code(cmp.Or(f.Path, ".gitlab-ci.yml"))})
	}
	return t, err
}

const branchesShown = 30

func (c *request) branchTable(p api.Project) (table, error) {
	t := table{ID: "branches", Title: "Branches", Columns: []string{"Last pipeline", "Branch", "Commit", "When", ""},
		Empty: [2]string{"No branches: the server has not seen the repository yet.", command("project", "check", p.Name)}}
	list, err := c.API.Branches(c.ctx(), p.Name)
	if list.Total > branchesShown {
		t.Note = "The " + strconv.Itoa(branchesShown) + " with the newest runs, of " + number(list.Total)
	}
	for _, b := range list.Branches[:min(len(list.Branches), branchesShown)] {
		lint := projectPath(p.Name) + "/-/lint?" + url.Values{"ref": {b.Name}}.Encode()
		row := []Cell{plain("none"), {Text: b.Name, Code: true, Path: searchPath("project:" + p.Name + " ref:" + b.Name)}, code(shortCommit(b.Commit)), {}, link("Lint", lint)}
		if r := b.Last; r != nil {
			look := lookOf(r.Status, false)
			row[0], row[3] = Cell{Look: look, Text: lookName(look) + " #" + strconv.FormatInt(r.Number, 10), Path: runPath(r.ID)}, Cell{HTML: c.Time(r.Created)}
			if r.Commit != b.Commit {
				row[2].Sub = "the run is of " + shortCommit(r.Commit)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t, err
}

// checkProject lets the server look at the repository and shows what it found.
func checkProject(c *request) (*View, error) {
	name := c.PathValue("project")
	k, err := c.API.CheckProject(c.ctx(), name)
	if err != nil {
		return nil, errs.E(errs.KindOf(err), "the repository was not reached: %w", err)
	}
	v, err := showProject(c)
	if err != nil {
		return nil, err
	}
	d := v.Data.(listData)
	d.Notice = &notice{Text: "Reached in " + strconv.FormatInt(k.Millis, 10) + " ms: " + k.DefaultBranch + " is at " + shortCommit(k.Commit) + ", with " +
		count(k.Branches, "branch", "branches") + " and " + count(k.Tags, "tag", "tags") + ".", Command: command("project", "check", name)}
	v.Data = d
	return v, nil
}

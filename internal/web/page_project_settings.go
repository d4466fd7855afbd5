package web

import (
	"cmp"
	"strconv"
	"strings"

	"refline/internal/api"
)

func projectSettingsPages() []page {
	return []page{
		{pattern: "GET /p/{project}/-/settings", need: "read", show: showProjectSettings},
		{pattern: "POST /p/{project}/-/settings", need: "write", do: setProject, back: showProjectSettings},
		{pattern: "POST /p/{project}/-/retention", need: "write", do: setRetention, back: showProjectSettings},
		{pattern: "POST /p/{project}/-/remove", need: "write", do: removeProject, back: showProjectSettings},
	}
}

func projectSettingsPath(project string) string { return projectPath(project) + "/-/settings" }

func showProjectSettings(c *request) (*View, error) {
	p, err := c.API.Project(c.ctx(), c.PathValue("project"))
	if err != nil {
		return nil, err
	}
	d := listData{Heading: "Settings", Crumbs: projectCrumbs(p.Name), Tabs: projectTabs(p.Name, "settings"), Facts: c.projectFacts(p)}
	if c.may("write") {
		d.Forms = []*form{c.projectForm(p), c.retentionForm(p)}
		d.Actions = []action{{Path: projectPath(p.Name) + "/-/remove", Label: "Remove the project", Sure: "Its variables, keys and webhook go with it. A project that has flows or runs stays.", Yes: "Remove " + p.Name}}
	}
	rules, err := c.notificationTable(p.Name)
	if err != nil {
		return nil, err
	}
	d.Tables = []table{rules}
	return &View{Template: "list", Title: "Settings of " + p.Name, Section: "/projects", Command: command("project", "set", p.Name), Data: d}, nil
}

func (c *request) projectForm(p api.Project) *form {
	return c.form(form{ID: "project", Title: "Change the project", Submit: "Change the project", Path: projectSettingsPath(p.Name), Command: command("project", "set", p.Name, "--file", cmp.Or(p.File, ".gitlab-ci.yml")),
		Fields: []field{
			{Name: "name", Label: "Name", Value: p.Name, Required: true, Hint: "its pages and commands get this name", Max: 255},
			{Name: "url", Label: "Repository", Value: p.URL, Required: true, Hint: "a URL without a token", Max: 2000},
			{Name: "file", Label: "Pipeline file", Value: p.File, Placeholder: ".gitlab-ci.yml", Max: 1000},
			{Name: "protected", Label: "Protected branches and tags", Value: strings.Join(p.Protected, ", "), Placeholder: "the default branch", Hint: "patterns, as main, release/*", Max: 4000},
			{Name: "poll", Label: "Look for pushes every so many minutes", Kind: fieldNumber, Value: strconv.FormatInt(p.PollSeconds/60, 10), Hint: "if there is no webhook; 0 for never"},
			{Name: "key", Label: "Deploy key", Value: p.Key, Hint: "name of the key that reaches the repository"},
			{Name: "token_variable", Label: "Variable with the token", Value: p.TokenVariable, Hint: "name of the variable, not the token"},
		}})
}

func setProject(c *request) (string, error) {
	name, repository, file, key, token := c.typed("name"), c.typed("url"), c.typed("file"), c.typed("key"), c.typed("token_variable")
	protected := append([]string{}, c.words("protected")...)
	in := api.ProjectInput{Name: &name, URL: &repository, File: &file, Protected: &protected, Key: &key, TokenVariable: &token}
	before, err := c.API.Project(c.ctx(), c.PathValue("project"))
	if err != nil {
		return "", err
	}
	minutes, err := c.number("poll")
	if err != nil {
		return "", err
	}
	if minutes != before.PollSeconds/60 { // an interval of seconds stays as it is
		seconds := minutes * 60
		in.PollSeconds = &seconds
	}
	p, err := c.API.SetProject(c.ctx(), before.Name, in)
	return projectSettingsPath(p.Name), err
}

func (c *request) retentionForm(p api.Project) *form {
	r := api.Retention{LastGood: true}
	if p.Retention != nil {
		r = *p.Retention
	}
	return c.form(form{ID: "retention", Title: "Change how long runs are kept", Submit: "Keep them so", Path: projectPath(p.Name) + "/-/retention", Command: command("project", "set", p.Name, "--keep-for", "90d", "--keep-runs", "5000"),
		Text: "Runs that fall out of these limits are removed with their logs and artifacts. Runs that have not ended stay.",
		Fields: []field{
			{Name: "days", Label: "Days since their end", Kind: fieldNumber, Value: strconv.FormatInt(r.Seconds/86400, 10), Hint: "0 for ever"},
			{Name: "runs", Label: "Newest runs", Kind: fieldNumber, Value: strconv.Itoa(r.Runs), Hint: "0 for all"},
			{Name: "last_good", Label: "Keep the last good run of each flow and branch", Kind: fieldTick, Checked: r.LastGood},
		}})
}

func setRetention(c *request) (string, error) {
	name := c.PathValue("project")
	days, err := c.number("days")
	if err != nil {
		return "", err
	}
	runs, err := c.number("runs")
	if err != nil {
		return "", err
	}
	_, err = c.API.SetRetention(c.ctx(), name, api.Retention{Seconds: days * 86400, Runs: int(runs), LastGood: c.ticked("last_good")})
	return projectSettingsPath(name), err
}

func removeProject(c *request) (string, error) {
	return "/projects", c.API.RemoveProject(c.ctx(), c.PathValue("project"))
}

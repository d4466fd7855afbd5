package web

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

// Variables and keys of a project and, the same, of the server. No value is ever shown.
func variablePages() []page {
	return []page{
		{pattern: "GET /p/{project}/-/variables", need: "read", show: showVariables},
		{pattern: "POST /p/{project}/-/variables", need: "secret", do: setVariable, back: showVariables},
		{pattern: "POST /p/{project}/-/variables/remove", need: "secret", do: removeVariable, back: showVariables},
		{pattern: "GET /settings/variables", need: "read", show: showVariables},
		{pattern: "POST /settings/variables", need: "secret", do: setVariable, back: showVariables},
		{pattern: "POST /settings/variables/remove", need: "secret", do: removeVariable, back: showVariables},
	}
}

// variablesPath is the page of the variables and keys of a project, "" for the server's.
func variablesPath(project string) string {
	if project == "" {
		return "/settings/variables"
	}
	return projectPath(project) + "/-/variables"
}

func showVariables(c *request) (*View, error) {
	project := c.PathValue("project")
	v := &View{Template: "list", Title: "Variables and keys of the server", Section: "/settings", Command: command(ofProject(project, "var", "list", "--server")...)}
	d := listData{Heading: "Variables and keys", Tabs: settingsTabs("/settings/variables")}
	if project != "" {
		p, err := c.API.Project(c.ctx(), project)
		if err != nil {
			return nil, err
		}
		v.Title, v.Section, d.Crumbs, d.Tabs = "Variables and keys of "+project, "/projects", projectCrumbs(project), projectTabs(p.Name, "variables")
	}
	variables, err := c.variableTable(project, &d)
	if err != nil {
		return nil, err
	}
	keys, err := c.keyTable(project)
	if err != nil {
		return nil, err
	}
	d.Tables = []table{variables, keys}
	v.Data = d
	return v, nil
}

func (c *request) variableTable(project string, d *listData) (table, error) {
	t := table{ID: "variables", Title: "Variables", Columns: []string{"Name", "Environment", "Flags", "Changed", "Used", ""},
		Empty: [2]string{"No variables.", command(ofProject(project, "var", "set", "NAME", "--server")...)}, Note: "Values are write-only: jobs get them, and no page or command shows them."}
	if project != "" {
		t.Note += " Jobs of this project get the variables of the server too."
	}
	list, err := c.API.Variables(c.ctx(), project)
	if err != nil {
		return t, err
	}
	var change *api.Variable
	path, may := variablesPath(project), c.may("secret")
	asked := c.URL.Query()
	for i, v := range list {
		key := url.Values{"environment": {v.Environment}}
		row := []Cell{{Text: v.Name, Code: true, Sub: v.Description}, plain(environmentText(v.Environment)), plain(cmp.Or(strings.Join(variableFlags(v), ", "), "visible")),
			{HTML: c.Time(v.Updated), Sub: count(v.Bytes, "byte", "bytes")}, c.lastUse(v.Used), {}}
		if may {
			key.Set("change", v.Name)
			row[0].Path = path + "?" + key.Encode() + "#set-variable"
			row[5].Act = &action{Path: path + "/remove", Label: "Remove", Fields: [][2]string{{"name", v.Name}, {"environment", v.Environment}},
				Sure: "Jobs that need " + v.Name + " fail without it, and the value cannot be brought back.", Yes: "Remove " + v.Name}
		}
		t.Rows = append(t.Rows, row)
		if v.Environment != cmp.Or(asked.Get("environment"), "*") {
			continue
		}
		if v.Name == asked.Get("change") {
			change = &list[i]
		}
		if v.Name == asked.Get("set") {
			d.Notice = &notice{Text: v.Name + " is set. Jobs that start from now on get it."}
		}
	}
	if may {
		t.Forms = []*form{c.variableForm(project, change)}
	}
	return t, nil
}

// variableForm makes a variable or, with one, changes it.
func (c *request) variableForm(project string, v *api.Variable) *form {
	f := form{ID: "set-variable", Title: "Set a variable", Submit: "Set the variable", Path: variablesPath(project), Command: command(ofProject(project, "var", "set", "NAME", "--server")...)}
	was, masked, hint := api.Variable{Environment: "*", Raw: true}, true, ""
	name := field{Name: "name", Label: "Name", Placeholder: "API_TOKEN", Required: true}
	environment := field{Name: "environment", Label: "Environment", Value: "*", Hint: "for jobs of this environment; * matches any characters"}
	if v != nil || c.PostFormValue("known") != "" {
		if v == nil { // a change that failed
			v = &api.Variable{Name: c.PostFormValue("name"), Environment: c.PostFormValue("environment")}
		}
		was, masked, hint = *v, v.Masked, "; leave it empty to keep the value that there is"
		f.Title, f.Submit, f.Open = "Change "+v.Name, "Change "+v.Name, true
		f.Command = command(ofProject(project, "var", "set", v.Name, "--server", "--env", v.Environment)...)
		f.Text = v.Name + " for jobs of all environments"
		if v.Environment != "*" {
			f.Text = v.Name + " for jobs of environment " + v.Environment
		}
		name, environment = field{Name: "name", Kind: fieldHidden, Value: v.Name}, field{Name: "environment", Kind: fieldHidden, Value: v.Environment}
	}
	f.Fields = []field{name, {Name: "value", Label: "Value", Kind: fieldSecret, Hint: "shown nowhere after it is sent" + hint, Max: 1 << 18}, environment,
		{Name: "masked", Label: "Masked", Kind: fieldTick, Hint: "in logs, also in pieces and line by line", Checked: masked},
		{Name: "protected", Label: "Protected", Kind: fieldTick, Hint: "for jobs of protected refs only", Checked: was.Protected},
		{Name: "file", Label: "As a file", Kind: fieldTick, Hint: "jobs get the path of a file with the value", Checked: was.File},
		{Name: "expand", Label: "Expand", Kind: fieldTick, Hint: "$NAME in the value is another variable", Checked: !was.Raw},
		{Name: "description", Label: "Description", Value: was.Description, Max: 1000}}
	if hint != "" {
		f.Fields = append(f.Fields, field{Name: "known", Kind: fieldHidden, Value: "yes"})
	}
	return c.form(f)
}

func environmentText(scope string) string {
	if scope == "*" {
		return "all"
	}
	return scope
}

func (c *request) lastUse(t *time.Time) Cell {
	if t == nil {
		return plain("never")
	}
	return Cell{HTML: c.Ago(*t)}
}

func setVariable(c *request) (string, error) {
	project, name := c.PathValue("project"), c.typed("name")
	environment := cmp.Or(c.typed("environment"), "*")
	if name == "" {
		return "", invalid("a variable needs a name, such as API_TOKEN")
	}
	masked, protected, file, raw, description := c.ticked("masked"), c.ticked("protected"), c.ticked("file"), !c.ticked("expand"), c.typed("description")
	in := api.VariableInput{Masked: &masked, Protected: &protected, File: &file, Raw: &raw, Description: &description}
	if value := c.text("value"); value != "" {
		in.Value = &value
	}
	if !c.ticked("known") {
		// The form of a new variable would take the flags of one that exists away.
		list, err := c.API.Variables(c.ctx(), project)
		if err != nil {
			return "", err
		}
		for _, v := range list {
			if v.Name == name && v.Environment == environment {
				return "", errs.E(errs.Conflict, "%s of environment %s is set already; to change it, choose its name in the list", name, environment)
			}
		}
	}
	v, err := c.API.SetVariable(c.ctx(), project, name, environment, in)
	return variablesPath(project) + "?" + url.Values{"set": {v.Name}, "environment": {v.Environment}}.Encode(), err
}

func removeVariable(c *request) (string, error) {
	project := c.PathValue("project")
	return variablesPath(project), c.API.RemoveVariable(c.ctx(), project, c.PostFormValue("name"), cmp.Or(c.PostFormValue("environment"), "*"))
}

func variableFlags(v api.Variable) []string {
	var out []string
	for _, f := range []struct {
		on   bool
		name string
	}{{v.Masked, "masked"}, {v.Hidden, "hidden"}, {v.Protected, "protected"}, {v.File, "file"}, {!v.Raw, "expands $"}} {
		if f.on {
			out = append(out, f.name)
		}
	}
	return out
}

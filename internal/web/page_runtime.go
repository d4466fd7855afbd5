package web

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
)

// Runtimes are listed on the page of the runners.
func runtimePages() []page {
	return []page{
		{pattern: "GET /runtimes/{runtime}", need: "read", show: showRuntime},
		{pattern: "POST /runtimes", need: "write", do: setRuntime, back: showRunners},
		{pattern: "POST /runtimes/{runtime}/remove", need: "write", do: removeRuntime, back: showRuntime},
	}
}

func runtimePath(name string) string { return "/runtimes/" + url.PathEscape(name) }

func (c *request) runtimeTable() (table, error) {
	t := table{ID: "runtimes", Title: "Runtimes", Columns: []string{"Runtime", "Executor", "Image", "Flows"}, Note: "Where the jobs of a flow run, under a name.",
		Empty: [2]string{"No runtimes: flows run as their jobs say.", command("runtime", "set", "NAME", "--executor", "docker", "--image", "IMAGE")}}
	list, err := c.API.Runtimes(c.ctx())
	for _, r := range list {
		t.Rows = append(t.Rows, []Cell{link(r.Name, runtimePath(r.Name)), plain(r.Executor), code(r.Image), plain(cmp.Or(strings.Join(r.Flows, ", "), "none"))})
	}
	if c.may("write") {
		t.Forms = []*form{c.form(form{ID: "runtime", Title: "Make a runtime", Submit: "Make the runtime", Path: "/runtimes", Command: command("runtime", "set", "NAME", "--executor", "docker", "--image", "IMAGE"),
			Text: "Pods of Kubernetes have more to set: refline runtime set.",
			Fields: []field{
				{Name: "name", Label: "Name", Placeholder: "python", Required: true},
				{Name: "executor", Label: "Executor", Kind: fieldChoice, Options: []option{{"docker", "docker"}, {"process", "process"}, {"kubernetes", "kubernetes"}}},
				{Name: "image", Label: "Image", Placeholder: "python:3.13", Max: 1000}, {Name: "tags", Label: "Tags", Hint: "that its runners have", Max: 2000},
				{Name: "pull", Label: "Pull the image", Kind: fieldChoice, Options: []option{{"", "as the runner does"}, {"always", "always"}, {"if-not-present", "if it is not present"}, {"never", "never"}}},
			}})}
	}
	return t, err
}

func showRuntime(c *request) (*View, error) {
	r, err := c.API.Runtime(c.ctx(), c.PathValue("runtime"))
	if err != nil {
		return nil, err
	}
	d := listData{Heading: r.Name, Crumbs: []Cell{link("Runners", "/runners"), link("Runtimes", "/runners#runtimes")}}
	for _, f := range runtimeFields(r) {
		d.Facts = append(d.Facts, fact{f[0], code(f[1])})
	}
	d.Facts = append(d.Facts, facts(fact{"version", plain(strconv.FormatInt(r.Version, 10))}, fact{"changed", Cell{HTML: c.Time(r.Updated)}}, fact{"by", plain(r.Actor)})...)
	ft := table{ID: "flows", Title: "Flows that use it", Columns: []string{"Flow", "Project"}, Empty: [2]string{"No flow uses it.", command("flow", "set", "FLOW", "--runtime", r.Name)}}
	flows, err := c.API.Flows(c.ctx(), "", "", false)
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		if f.Runtime == r.Name {
			ft.Rows = append(ft.Rows, []Cell{link(f.Name, flowPath(f.Project, f.Name)), link(f.Project, projectPath(f.Project))})
		}
	}
	versions, err := c.API.RuntimeHistory(c.ctx(), r.Name)
	if err != nil {
		return nil, err
	}
	d.Tables = []table{ft, c.runtimeHistory(versions)}
	if c.may("write") {
		d.Actions = []action{{Path: runtimePath(r.Name) + "/remove", Label: "Remove", Sure: "A runtime that a flow uses stays.", Yes: "Remove " + r.Name}}
	}
	return &View{Template: "list", Title: r.Name, Section: "/runners", Command: command("runtime", "show", r.Name), Data: d}, nil
}

// runtimeFields are what a runtime sets. Of variables it has the names: a value may be
// one that somebody should have kept as a secret.
func runtimeFields(r api.Runtime) [][2]string {
	var names []string
	for name := range r.Env {
		names = append(names, name)
	}
	slices.Sort(names)
	list := [][2]string{{"executor", r.Executor}, {"image", r.Image}, {"tags", strings.Join(r.Tags, ", ")}, {"pull", r.Pull}, {"variables", strings.Join(names, ", ")}}
	if k := r.Kubernetes; k != nil {
		list = append(list, [2]string{"pods", "set by refline runtime set; refline runtime check prints them"})
	}
	return slices.DeleteFunc(list, func(f [2]string) bool { return f[1] == "" })
}

// runtimeHistory shows what each version changed.
func (c *request) runtimeHistory(versions []api.Runtime) table {
	t := table{ID: "history", Title: "History", Columns: []string{"Version", "When", "By", "What it was"}, Empty: [2]string{"No versions.", ""}}
	for _, v := range versions {
		var words []string
		for _, f := range runtimeFields(v) {
			words = append(words, f[0]+" "+f[1])
		}
		t.Rows = append(t.Rows, []Cell{plain(strconv.FormatInt(v.Version, 10)), {HTML: c.Time(v.Updated)}, plain(v.Actor), plain(strings.Join(words, ", "))})
	}
	return t
}

func setRuntime(c *request) (string, error) {
	name := c.typed("name")
	list, err := c.API.Runtimes(c.ctx())
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if r.Name == name { // the form does not have all that it may set
			return "", invalid("there is a runtime %s already; change it: %s", name, command("runtime", "set", name))
		}
	}
	r, err := c.API.SetRuntime(c.ctx(), api.Runtime{Name: name, Executor: c.PostFormValue("executor"), Image: c.typed("image"), Tags: c.words("tags"), Pull: c.PostFormValue("pull")})
	return runtimePath(r.Name), err
}

func removeRuntime(c *request) (string, error) {
	return "/runners#runtimes", c.API.RemoveRuntime(c.ctx(), c.PathValue("runtime"))
}

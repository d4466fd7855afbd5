package web

import (
	"cmp"
	"net/url"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
)

func runnerPages() []page {
	return []page{
		{pattern: "GET /runners", need: "read", show: showRunners},
		{pattern: "GET /runners/{runner}", need: "read", show: showRunner},
		{pattern: "POST /runners/{runner}/drain", need: "admin", do: drainRunner, back: showRunner},
		{pattern: "POST /runners/{runner}/remove", need: "admin", do: removeRunner, back: showRunner},
	}
}

func runnerPath(name string) string { return "/runners/" + url.PathEscape(name) }

func showRunners(c *request) (*View, error) {
	d := listData{Heading: "Runners"}
	for _, of := range []func() (table, error){
		c.runnerTable,
		func() (table, error) { return c.tokenTable("runner") },
		c.runtimeTable,
		c.slotTable,
	} {
		t, err := of()
		if err != nil && (!errs.Is(err, errs.Denied) || t.ID != "runner-tokens") {
			return nil, err
		}
		if err != nil { // who may not see the tokens sees the rest
			t.Rows, t.Empty = nil, [2]string{err.Error(), ""}
		}
		d.Tables = append(d.Tables, t)
	}
	return &View{Template: "list", Title: "Runners", Section: "/runners", Command: command("runner", "list"), Data: d}, nil
}

func (c *request) runnerTable() (table, error) {
	t := table{ID: "runners", Title: "Runners", Columns: []string{"Runner", "State", "Does", "Tags", "Seen"}, Empty: [2]string{"No runner has registered.", command("runner", "--url", "URL", "--token-file", "FILE")}}
	list, err := c.API.Runners(c.ctx())
	for _, r := range list {
		t.Rows = append(t.Rows, []Cell{link(r.Name, runnerPath(r.Name)), plain(runnerState(r)), plain(cmp.Or(strings.Join(r.Jobs, ", "), "nothing")), plain(strings.Join(r.Tags, ", ")), c.seen(r)})
	}
	return t, err
}

func runnerState(r api.Runner) string {
	switch {
	case r.Draining && len(r.Jobs) == 0:
		return "drained: it takes no jobs"
	case r.Draining:
		return "draining"
	case r.Online:
		return "online"
	}
	return "away"
}

func (c *request) seen(r api.Runner) Cell {
	if r.Seen.IsZero() {
		return plain("never")
	}
	return Cell{HTML: c.Time(r.Seen)}
}

func showRunner(c *request) (*View, error) {
	r, err := c.API.Runner(c.ctx(), c.PathValue("runner"))
	if err != nil {
		return nil, err
	}
	scope := "jobs of all refs"
	if r.Protected {
		scope = "jobs of protected refs only"
	}
	d := listData{Heading: r.Name, Crumbs: []Cell{link("Runners", "/runners")}, Facts: facts(
		fact{"state", plain(runnerState(r))}, fact{"does", plain(cmp.Or(strings.Join(r.Jobs, "; "), "nothing now"))}, fact{"takes", plain(scope)},
		fact{"tags", plain(cmp.Or(strings.Join(r.Tags, ", "), "none: it takes jobs without tags"))}, fact{"executors", plain(strings.Join(r.Executors, ", "))},
		fact{"version", plain(r.Version)}, fact{"seen", c.seen(r)})}
	if r.Draining && r.Online {
		d.Facts = append(d.Facts, fact{"draining", plain("its jobs end, and it gets no more")})
	}
	if c.may("admin") {
		drain := action{Path: runnerPath(r.Name) + "/drain", Label: "Drain", Fields: [][2]string{{"on", "true"}}}
		if r.Draining {
			drain.Label, drain.Fields = "Give it jobs again", [][2]string{{"on", "false"}}
		}
		remove := action{Path: runnerPath(r.Name) + "/remove", Label: "Remove", Sure: "Its token is revoked: to come back it needs a new one.", Yes: "Remove " + r.Name}
		if r.Online {
			remove.Sure, remove.Fields = "It is online. Its jobs fail, and its token is revoked.", [][2]string{{"force", "true"}}
		}
		d.Actions = []action{drain, remove}
	}
	return &View{Template: "list", Title: runnerState(r) + ": " + r.Name, Section: "/runners", Command: command("runner", "show", r.Name), Data: d}, nil
}

func drainRunner(c *request) (string, error) {
	r, err := c.API.DrainRunner(c.ctx(), c.PathValue("runner"), c.PostFormValue("on") == "true")
	return runnerPath(r.Name), err
}

func removeRunner(c *request) (string, error) {
	return "/runners", c.API.RemoveRunner(c.ctx(), c.PathValue("runner"), c.PostFormValue("force") == "true")
}

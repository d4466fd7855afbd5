package web

import (
	"cmp"
	"fmt"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
)

func hookPages() []page {
	return []page{
		{pattern: "GET /p/{project}/-/hook", need: "read", show: showHook},
		{pattern: "POST /p/{project}/-/hook", need: "admin", reply: setHook, back: showHook},
		{pattern: "POST /p/{project}/-/hook/remove", need: "admin", do: removeHook, back: showHook},
	}
}

func hookPath(project string) string { return projectPath(project) + "/-/hook" }

func showHook(c *request) (*View, error) {
	p, err := c.API.Project(c.ctx(), c.PathValue("project"))
	if err != nil {
		return nil, err
	}
	d := listData{Heading: "Webhook", Crumbs: projectCrumbs(p.Name), Tabs: projectTabs(p.Name, "hook")}
	h, err := c.API.Hook(c.ctx(), p.Name)
	switch {
	case errs.Is(err, errs.NotFound):
		d.Facts = facts(fact{"state", plain("not set up: a forge reports no pushes of this project")}, fact{"pushes", plain(strings.TrimPrefix(pushText(p).Text, "make no pipelines: "))})
		if p.PollSeconds == 0 {
			d.Facts = d.Facts[:1]
		}
	case err != nil:
		return nil, err
	default:
		d.Facts, d.Steps = c.hookFacts(h), hookSteps(h, "shown when it was made; another one by the form below")
		if d.Tables, err = c.deliveryTable(p.Name); err != nil {
			return nil, err
		}
	}
	if c.may("admin") {
		d.Forms = []*form{c.hookForm(p, h)}
		if h.Path != "" {
			d.Actions = []action{{Path: hookPath(p.Name) + "/remove", Label: "Remove the webhook", Yes: "Remove it here",
				Sure: "Deliveries are refused from then on. Remove the webhook at the forge too."}}
		}
	}
	return &View{Template: "list", Title: "Webhook of " + p.Name, Section: "/projects", Command: command("project", "hook", p.Name, "--deliveries"), Data: d}, nil
}

func (c *request) hookFacts(h api.Hook) []fact {
	last := plain("nothing yet; send a test from the webhook's page at the forge")
	if h.Delivered != nil {
		last = Cell{HTML: c.Ago(*h.Delivered)}
	}
	list := facts(fact{"forge", Cell{Text: h.Forge, Sub: h.ForgeURL}}, fact{"address", code(cmp.Or(h.URL, h.Path))}, fact{"token for the forge", code(h.TokenVariable)},
		fact{"id at the forge", code(h.Hook)}, fact{"last delivery", last}, fact{"made", Cell{HTML: c.Time(h.Created)}})
	if h.PreviousUntil != nil {
		list = append(list, fact{"secret before", Cell{HTML: "accepted until " + c.Time(*h.PreviousUntil)}})
	}
	return list
}

// hookSteps are what is left to do at the forge; none if its API made the webhook.
func hookSteps(h api.Hook, secret string) []string {
	if h.Hook != "" {
		return nil
	}
	where, events := "Settings > Webhooks > Add webhook", "push, delete, pull request, issue comment"
	switch h.Forge {
	case "gitlab":
		where, events = "Settings > Webhooks > Add new webhook", "push, tag push, merge request, comment"
	case "github":
		events = "push, pull request, issue comment, repository"
	case "bitbucket":
		where, events = "Repository settings > Webhooks > Add webhook", "repository push; pull request created, updated, merged, declined, comment created"
	case "bitbucket-dc":
		where, events = "Repository settings > Webhooks > Create webhook", "repository push; pull request opened, source branch updated, modified, merged, declined, deleted, comment added"
	}
	address := "Enter the address " + h.URL
	if h.URL == "" {
		address = "Enter this server's address as the forge reaches it, with the path " + h.Path
	}
	return []string{"At the forge, open the repository: " + where + ".", address + ", with POST and application/json.", "Enter the secret: " + secret + ".", "Choose these events: " + events + ".", "Send a test: it appears in the deliveries below."}
}

func (c *request) hookForm(p api.Project, h api.Hook) *form {
	f := form{ID: "hook", Title: "Set the webhook up", Submit: "Set the webhook up", Path: hookPath(p.Name), Open: h.Path == "", Command: command("project", "hook", p.Name),
		Text: "With a token of the forge the server creates the webhook there by itself. Without one it makes a secret, and this page says what to enter."}
	if h.Path != "" {
		f.Title, f.Submit = "Change the webhook", "Change the webhook"
	}
	forges := []option{{"", "by the host of the repository"}}
	for _, name := range []string{"gitlab", "github", "gitea", "forgejo", "bitbucket", "bitbucket-dc"} {
		forges = append(forges, option{name, name})
	}
	f.Fields = []field{
		{Name: "forge", Label: "Forge", Kind: fieldChoice, Value: h.Forge, Options: forges},
		{Name: "forge_url", Label: "Address of the forge", Value: h.ForgeURL, Placeholder: "the host of the repository", Max: 2000},
		{Name: "address", Label: "Address of this server", Placeholder: cmp.Or(strings.TrimSuffix(h.URL, h.Path), "https://ci.example.com"), Hint: "as the forge reaches it", Max: 2000},
		{Name: "token", Label: "Token that may create webhooks", Kind: fieldSecret, Hint: "used once and not kept", Max: 4000},
		{Name: "token_variable", Label: "Or the variable with a token", Value: h.TokenVariable, Hint: "used for statuses and comments too"},
		{Name: "rotate", Label: "Replace the secret", Kind: fieldTick, Hint: "the one before is accepted for a day"},
	}
	return c.form(f)
}

// setHook shows the secret of a webhook that is left to make by hand, this once.
func setHook(c *request) (*View, error) {
	name, variable := c.PathValue("project"), c.typed("token_variable")
	in := api.HookInput{Forge: c.PostFormValue("forge"), ForgeURL: c.typed("forge_url"), Address: c.typed("address"), Rotate: c.ticked("rotate"), TokenVariable: &variable}
	if token := c.typed("token"); token != "" {
		in.Token = &token
	}
	h, err := c.API.SetHook(c.ctx(), name, in)
	if err != nil {
		return nil, err
	}
	v, err := showHook(c)
	if err != nil {
		return nil, err
	}
	d := v.Data.(listData)
	switch {
	case h.Secret != "":
		d.Notice = &notice{Text: "The secret of the webhook. It is shown this once:", Once: h.Secret, More: h.Note}
		d.Steps = hookSteps(h, "the one above")
	case h.Note != "":
		d.Notice = &notice{Text: "The webhook is not created at the forge: " + h.Note}
	default:
		d.Notice = &notice{Text: "The webhook is set up at " + h.Forge + "."}
	}
	v.Data = d
	return v, nil
}

func removeHook(c *request) (string, error) {
	name := c.PathValue("project")
	return hookPath(name), c.API.RemoveHook(c.ctx(), name)
}

func (c *request) deliveryTable(project string) ([]table, error) {
	t := table{ID: "deliveries", Title: "Last deliveries", Columns: []string{"Received", "Event", "Result", "Delivery"}, Empty: [2]string{"Nothing was delivered yet.", command("project", "hook", project, "--deliveries")}}
	list, err := c.API.Deliveries(c.ctx(), project, 30)
	for _, x := range list {
		t.Rows = append(t.Rows, []Cell{{HTML: c.Time(x.Received)}, plain(x.Name), deliveryResult(x), code(x.Delivery)})
	}
	return []table{t}, err
}

// deliveryResult says what became of a delivery, with a link to its first run.
func deliveryResult(d api.Delivery) Cell {
	var out Cell
	var words, why []string
	for _, r := range d.Results {
		first, _, _ := strings.Cut(r.Error, "\n")
		switch r.State {
		case "made":
			words, out.Path = append(words, fmt.Sprintf("run %d", r.Run)), cmp.Or(out.Path, runPath(r.Run))
		case "approval":
			words = append(words, "waits for an approval")
		case "failed":
			words, why, out.Look = append(words, "no run"), append(why, first), "failed"
		case "waiting":
			words, why = append(words, "to be made"), append(why, first)
		default:
			words = append(words, "no pipeline")
		}
	}
	switch {
	case len(words) > 0:
		out.Text, out.Sub = strings.Join(words, ", "), strings.TrimSpace(strings.Join(why, "; "))
	case d.Kind == "test":
		out.Text = "a test"
	case d.Read == nil:
		out.Text = "waits for a look at the repository"
	case d.Kind == "push" || d.Kind == "merge_request":
		out.Text = "nothing new at its ref"
	default:
		out.Text = "nothing follows from it"
	}
	return out
}

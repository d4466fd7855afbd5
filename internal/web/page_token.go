package web

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
)

// Tokens of programs and signed-in browsers are on the page of the settings, those of
// runners on the page of the runners. A token is shown once, in the answer to the form:
// it is in no address and no cache.
func tokenPages() []page {
	return []page{
		{pattern: "POST /settings/tokens", need: "admin", reply: func(c *request) (*View, error) { return addToken(c, false) }, back: showSettings},
		{pattern: "POST /settings/tokens/remove", need: "admin", do: removeToken, back: showSettings},
		{pattern: "POST /runners/tokens", need: "admin", reply: func(c *request) (*View, error) { return addToken(c, true) }, back: showRunners},
		{pattern: "POST /runners/tokens/remove", need: "admin", do: removeRunnerToken, back: showRunners},
	}
}

// scopes are what a token may do, from the least.
func scopes() []field {
	return []field{
		{Name: "scope-read", Label: "read", Hint: "see projects, flows, runs and logs", Checked: true}, {Name: "scope-run", Label: "run", Hint: "start and retry runs, without what is protected"},
		{Name: "scope-deploy", Label: "deploy", Hint: "the same, with what is protected"}, {Name: "scope-write", Label: "write", Hint: "change projects, flows, schedules, runtimes"},
		{Name: "scope-secret", Label: "secret", Hint: "set and remove variables and keys"}, {Name: "scope-admin", Label: "admin", Hint: "all of that, tokens, runners and the audit"},
	}
}

const sessionsShown = 20

// tokenTable lists the tokens of a kind: api with the owner's, session, or runner.
func (c *request) tokenTable(kind string) (table, error) {
	t := table{ID: kind + "-tokens", Title: "API tokens", Columns: []string{"Name", "May", "Made by", "Used", "Ends", ""}, Empty: [2]string{"No tokens.", command("token", "create", "NAME", "--scope", "read")}}
	switch kind {
	case "session":
		t.Title, t.Columns, t.Empty = "Signed-in browsers", []string{"Signed in as", "Since", "Used", "Ends", ""}, [2]string{"No browser is signed in.", command("server", "link")}
	case "runner":
		t.Title, t.Columns[1], t.Empty = "Runner tokens", "Takes", [2]string{"No tokens of runners.", command("runner", "token", "create", "NAME")}
	}
	list, err := c.API.Tokens(c.ctx())
	if err != nil {
		return t, err
	}
	slices.SortStableFunc(list, func(a, b api.Token) int { return b.Created.Compare(a.Created) })
	may := c.may("admin")
	for _, x := range list {
		if x.Kind != kind && (kind != "api" || x.Kind != "owner") {
			continue
		}
		row := c.tokenRow(x, may)
		if kind == "session" {
			row = []Cell{row[0], {HTML: c.Time(x.Created)}, row[3], row[4], row[5]}
			if len(t.Rows) == sessionsShown {
				t.Note = "The newest " + strconv.Itoa(sessionsShown) + "; all of them: " + command("token", "list")
				break
			}
		}
		t.Rows = append(t.Rows, row)
	}
	if may && kind != "session" {
		t.Forms = []*form{c.tokenForm(kind == "runner")}
	}
	return t, nil
}

func (c *request) tokenRow(x api.Token, may bool) []Cell {
	name, ends := Cell{Text: x.Name}, plain("when it is revoked")
	if x.Project != "" {
		name.Sub = "project " + x.Project
	}
	if x.Expires != nil {
		ends = Cell{HTML: c.Time(*x.Expires)}
	}
	rights := slices.Concat(x.Scopes, x.Tags)
	if x.Kind == "runner" && len(x.Tags) == 0 {
		rights = []string{"jobs without tags"}
	}
	if x.Kind == "owner" {
		rights = []string{"everything"}
	}
	if x.Protected {
		rights = append(rights, "protected refs only")
	}
	row := []Cell{name, plain(strings.Join(rights, ", ")), plain(x.CreatedBy), c.lastUse(x.Used), ends, {}}
	if may && x.Kind != "owner" {
		path, label, sure := "/settings/tokens/remove", "Revoke", "What uses it is refused at once."
		switch x.Kind {
		case "session":
			label, sure = "Sign out", "The browser has to sign in again."
		case "runner":
			path = "/runners/tokens/remove"
		}
		row[5].Act = &action{Path: path, Label: label, Fields: [][2]string{{"id", strconv.FormatInt(x.ID, 10)}}, Sure: sure, Yes: label + " " + x.Name}
	}
	return row
}

func (c *request) tokenForm(runner bool) *form {
	f := form{ID: "make-token", Title: "Make a token", Submit: "Make the token", Path: "/settings/tokens", Command: command("token", "create", "NAME", "--scope", "read"), Text: "The token is shown once, on the next page.",
		Fields: []field{{Name: "name", Label: "Name", Placeholder: "nightly", Required: true, Hint: "where it is used"}}}
	if runner {
		f.Path, f.Command, f.Fields[0].Placeholder = "/runners/tokens", command("runner", "token", "create", "NAME", "--tags", "TAGS"), "gpu-box"
		f.Fields = append(f.Fields, field{Name: "tags", Label: "Tags", Placeholder: "gpu, docker", Hint: "that the runner may have; * for any; without, it takes jobs without tags", Max: 2000},
			field{Name: "protected", Label: "Protected", Kind: fieldTick, Hint: "it takes jobs of protected refs only"})
		return c.form(f)
	}
	for _, s := range scopes() {
		s.Kind = fieldTick
		f.Fields = append(f.Fields, s)
	}
	f.Fields = append(f.Fields, field{Name: "project", Label: "Project", Placeholder: "all", Hint: "the only one that it sees", Max: 255},
		field{Name: "days", Label: "Days until it ends", Kind: fieldNumber, Value: "90", Hint: "at most 366"})
	return c.form(f)
}

func addToken(c *request, runner bool) (*View, error) {
	in := api.TokenInput{Name: c.typed("name"), Runner: runner, Protected: runner && c.ticked("protected")}
	if runner {
		in.Tags = c.words("tags")
	} else {
		days, err := c.number("days")
		if err != nil {
			return nil, err
		}
		if days < 1 || days > 366 {
			return nil, invalid("a token ends after 1 to 366 days, not %d", days)
		}
		in.Hours, in.Project = days*24, c.typed("project")
		for _, s := range scopes() {
			if c.ticked(s.Name) {
				in.Scopes = append(in.Scopes, s.Label)
			}
		}
		if len(in.Scopes) == 0 {
			return nil, invalid("say what the token may do: tick read, run, deploy, write, secret or admin")
		}
	}
	made, err := c.API.AddToken(c.ctx(), in)
	if err != nil {
		return nil, err
	}
	show := showSettings
	if runner {
		show = showRunners
	}
	v, err := show(c)
	if err != nil {
		return nil, err
	}
	d := v.Data.(listData)
	d.Notice = &notice{Text: "The token " + made.Name + ". It is shown this once:", Once: made.Text, More: "Keep it in a file that only its program can read."}
	if runner {
		d.Notice.Command = command("runner", "--url", "URL", "--token-file", "FILE")
	}
	v.Data = d
	return v, nil
}

func removeToken(c *request) (string, error) { return "/settings", c.revoke() }

func removeRunnerToken(c *request) (string, error) { return "/runners", c.revoke() }

func (c *request) revoke() error {
	id, err := strconv.ParseInt(c.PostFormValue("id"), 10, 64)
	if err != nil {
		return invalid("the form names no token; load the page again")
	}
	return c.API.RevokeToken(c.ctx(), id)
}

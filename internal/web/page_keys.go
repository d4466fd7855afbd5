package web

import (
	"net/url"
	"strings"

	"refline/internal/api"
)

// Deploy keys are on the page of the variables.
func keyPages() []page {
	return []page{
		{pattern: "POST /p/{project}/-/keys", need: "secret", do: makeKey, back: showVariables},
		{pattern: "POST /p/{project}/-/keys/remove", need: "secret", do: removeKey, back: showVariables},
		{pattern: "POST /settings/keys", need: "secret", do: makeKey, back: showVariables},
		{pattern: "POST /settings/keys/remove", need: "secret", do: removeKey, back: showVariables},
	}
}

func keysPath(project string) string {
	return strings.TrimSuffix(variablesPath(project), "variables") + "keys"
}

func (c *request) keyTable(project string) (table, error) {
	t := table{ID: "keys", Title: "Deploy keys", Columns: []string{"Name", "For", "Flags", "Public half", "Used", ""},
		Note: "The private half stays on the server: jobs sign with it and never see it.", Empty: [2]string{"No deploy keys.", ""}}
	if project != "" {
		t.Empty[1] = command("key", "new", "NAME", "--server", "--project", project)
	}
	list, err := c.API.Keys(c.ctx(), project)
	if err != nil {
		return t, err
	}
	may := c.may("secret")
	for _, k := range list {
		public := &fold{Label: "Show", Open: c.URL.Query().Get("key") == k.Name, Code: k.Public, Text: capital(k.Advice) + ".", Link: k.Page}
		if project != "" {
			public.Command = command("project", "set", project, "--key", k.Name)
		}
		row := []Cell{{Text: k.Name, Code: true, Sub: k.Fingerprint}, {Text: strings.Join(k.Hosts, ", "), Sub: strings.Join(k.Repos, ", ")},
			plain(strings.Join(keyFlags(k), ", ")), {Fold: public}, c.lastUse(k.Used), {}}
		if may {
			row[5].Act = &action{Path: keysPath(project) + "/remove", Label: "Remove", Fields: [][2]string{{"name", k.Name}},
				Sure: "What is reached with this key is reached no more. Remove the public half at the forge too.", Yes: "Remove " + k.Name}
		}
		t.Rows = append(t.Rows, row)
	}
	if may {
		f, err := c.keyForm(project)
		if err != nil {
			return t, err
		}
		t.Forms = []*form{f}
	}
	return t, nil
}

func (c *request) keyForm(project string) (*form, error) {
	f := form{ID: "make-key", Title: "Make a deploy key", Submit: "Make the key", Path: keysPath(project), Text: "The server makes the key. Its page then shows the public half and where to paste it."}
	repository := ""
	if project != "" {
		f.Command = command("key", "new", "NAME", "--server", "--project", project)
		p, err := c.API.Project(c.ctx(), project)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(p.URL, "ssh://") || strings.Contains(p.URL, "@") && !strings.Contains(p.URL, "://") {
			repository = p.URL
		}
	}
	f.Fields = []field{
		{Name: "name", Label: "Name", Placeholder: "deploy", Required: true},
		{Name: "repos", Label: "Repositories, a line each", Kind: fieldLines, Value: repository, Placeholder: "git@git.example.com:data/warehouse.git", Max: 4000},
		{Name: "known_hosts", Label: "Keys of their hosts", Kind: fieldLines, Placeholder: "git.example.com ssh-ed25519 AAAA…", Required: true, Max: 1 << 16, Hint: "ssh-keyscan HOST prints them: compare them with what the host publishes"},
		{Name: "type", Label: "Type", Kind: fieldChoice, Options: []option{{"ed25519", "ed25519"}, {"ecdsa", "ecdsa"}, {"rsa", "rsa"}}},
		{Name: "write", Label: "To push", Kind: fieldTick, Hint: "jobs of protected refs get it then, and no others"},
		{Name: "environment", Label: "Environment", Value: "*", Hint: "for jobs of this environment"},
	}
	return c.form(f), nil
}

func keyFlags(k api.DeployKey) []string {
	flags := []string{"read"}
	if k.Write {
		flags[0] = "push"
	}
	if k.Protected {
		flags = append(flags, "protected")
	}
	if k.Environment != "" && k.Environment != "*" {
		flags = append(flags, "environment "+k.Environment)
	}
	return flags
}

func makeKey(c *request) (string, error) {
	project := c.PathValue("project")
	in := api.DeployKeyInput{Name: c.typed("name"), Type: c.PostFormValue("type"), Write: c.ticked("write"), Environment: c.typed("environment"),
		Repos: c.words("repos"), KnownHosts: c.text("known_hosts")}
	k, err := c.API.AddKey(c.ctx(), project, in)
	return variablesPath(project) + "?" + url.Values{"key": {k.Name}}.Encode() + "#keys", err
}

func removeKey(c *request) (string, error) {
	project := c.PathValue("project")
	return variablesPath(project) + "#keys", c.API.RemoveKey(c.ctx(), project, c.PostFormValue("name"))
}

// capital is a sentence that begins as one.
func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

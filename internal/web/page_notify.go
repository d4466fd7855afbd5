package web

import (
	"cmp"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
)

// Notifications of all projects are on the page of the settings, those of a project on
// the page of its settings.
func notifyPages() []page {
	return []page{
		{pattern: "POST /settings/notifications", need: "admin", do: setNotification, back: showNotifications},
		{pattern: "POST /settings/notifications/remove", need: "admin", do: removeNotification, back: showNotifications},
		{pattern: "POST /settings/notifications/test", need: "admin", reply: testNotification, back: showNotifications},
		{pattern: "POST /p/{project}/-/notifications", need: "admin", do: setNotification, back: showNotifications},
		{pattern: "POST /p/{project}/-/notifications/remove", need: "admin", do: removeNotification, back: showNotifications},
		{pattern: "POST /p/{project}/-/notifications/test", need: "admin", reply: testNotification, back: showNotifications},
	}
}

func showNotifications(c *request) (*View, error) {
	if c.PathValue("project") == "" {
		return showSettings(c)
	}
	return showProjectSettings(c)
}

// notificationsPath is where the forms about notifications post to, and the page that
// shows them.
func notificationsPath(project string) (path, shown string) {
	if project == "" {
		return "/settings/notifications", "/settings#notifications"
	}
	return projectPath(project) + "/-/notifications", projectSettingsPath(project) + "#notifications"
}

func (c *request) notificationTable(project string) (table, error) {
	t := table{ID: "notifications", Title: "Notifications", Columns: []string{"Name", "To", "Of", "", ""},
		Empty: [2]string{"No notifications.", command(ofProject(project, "notify", "set", "NAME", "--webhook-url-file", "FILE")...)}}
	list, err := c.API.Notifications(c.ctx(), project)
	if err != nil {
		return t, err
	}
	may := c.may("admin")
	path, _ := notificationsPath(project)
	for _, n := range list {
		row := []Cell{{Text: n.Name}, {Text: n.Kind + " " + cmp.Or(n.Host, strings.Join(n.To, ", "))}, plain(strings.Join(n.Events, ", ")), {}, {}}
		if n.Signed {
			row[1].Sub = "signed"
		}
		if n.Project != project {
			row[0].Path, row[0].Sub = "/settings#notifications", "of all projects"
		} else if may {
			named := [][2]string{{"name", n.Name}}
			row[3].Act = &action{Path: path + "/test", Label: "Send a test", Fields: named, Plain: true}
			row[4].Act = &action{Path: path + "/remove", Label: "Remove", Fields: named, Sure: "Nothing is sent by it from then on.", Yes: "Remove " + n.Name}
		}
		t.Rows = append(t.Rows, row)
	}
	if may {
		t.Forms = []*form{c.form(form{ID: "notification", Title: "Set a notification", Submit: "Set the notification", Path: path, Command: command(ofProject(project, "notify", "set", "NAME", "--webhook-url-file", "FILE", "--on", "failure,recovery")...),
			Text: "What is left empty stays as it is. A new notification needs an address.",
			Fields: []field{
				{Name: "name", Label: "Name", Placeholder: "team", Required: true, Max: 100},
				{Name: "kind", Label: "By", Kind: fieldChoice, Options: []option{{"webhook", "webhook"}, {"slack", "chat, by an incoming webhook of Slack"}, {"email", "mail"}}},
				{Name: "address", Label: "Address", Kind: fieldSecret, Hint: "of the webhook or chat, shown nowhere after it is sent; or addresses of mail", Max: 4000},
				{Name: "secret", Label: "Secret", Kind: fieldSecret, Hint: "signs the messages to a webhook", Max: 4000},
				{Name: "failure", Label: "Failures", Kind: fieldTick, Checked: true}, {Name: "recovery", Label: "Recoveries", Kind: fieldTick, Checked: true},
				{Name: "waiting", Label: "Runs that wait for a person", Kind: fieldTick},
			}})}
	}
	return t, nil
}

func setNotification(c *request) (string, error) {
	project, in := c.PathValue("project"), api.NotificationInput{}
	_, shown := notificationsPath(project)
	for _, event := range []string{"failure", "recovery", "waiting"} {
		if c.ticked(event) {
			in.Events = append(in.Events, event)
		}
	}
	if len(in.Events) == 0 {
		return "", invalid("say what to send: failures, recoveries or runs that wait for a person")
	}
	if address := c.typed("address"); address != "" {
		switch c.PostFormValue("kind") {
		case "webhook":
			in.WebhookURL = &address
		case "slack":
			in.SlackURL = &address
		default:
			in.Email = c.words("address")
		}
	}
	if secret := c.typed("secret"); secret != "" {
		in.Secret = &secret
	}
	_, err := c.API.SetNotification(c.ctx(), project, c.typed("name"), in)
	return shown, err
}

func removeNotification(c *request) (string, error) {
	project := c.PathValue("project")
	_, shown := notificationsPath(project)
	return shown, c.API.RemoveNotification(c.ctx(), project, c.PostFormValue("name"))
}

// testNotification sends a sample and shows what came of it.
func testNotification(c *request) (*View, error) {
	project, name := c.PathValue("project"), c.PostFormValue("name")
	if err := c.API.TestNotification(c.ctx(), project, name); err != nil {
		return nil, errs.E(errs.KindOf(err), "the test of %s was not sent: %w", name, err)
	}
	v, err := showNotifications(c)
	if err != nil {
		return nil, err
	}
	d := v.Data.(listData)
	d.Notice = &notice{Text: "The test of " + name + " was sent and accepted.", Command: command(ofProject(project, "notify", "test", name)...)}
	v.Data = d
	return v, nil
}

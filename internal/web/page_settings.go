package web

import "refline/internal/errs"

func settingsPages() []page {
	return []page{{pattern: "GET /settings", need: "read", show: showSettings}}
}

// settingsTabs are the pages about the whole server.
func settingsTabs(current string) []tab {
	list := []tab{{Name: "Access and notifications", Path: "/settings"}, {Name: "Variables and keys", Path: "/settings/variables"}}
	for i := range list {
		list[i].Current = list[i].Path == current
	}
	return list
}

func showSettings(c *request) (*View, error) {
	d := listData{Heading: "Settings", Tabs: settingsTabs("/settings")}
	for _, of := range []func() (table, error){
		func() (table, error) { return c.tokenTable("api") },
		func() (table, error) { return c.tokenTable("session") },
		func() (table, error) { return c.notificationTable("") },
	} {
		t, err := of()
		if err != nil && !errs.Is(err, errs.Denied) {
			return nil, err
		}
		if err != nil { // who may not see it sees the rest, and that there is more
			t.Note, t.Empty, t.Forms = "", [2]string{err.Error(), ""}, nil
		}
		d.Tables = append(d.Tables, t)
	}
	return &View{Template: "list", Title: "Settings", Section: "/settings", Command: command("token", "list"), Data: d}, nil
}

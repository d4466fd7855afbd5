package web

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
)

// Schedules are on the page of their flow.
func schedulePages() []page {
	return []page{
		{pattern: "POST /p/{project}/-/flows/{flow}/schedules", need: "write", do: addSchedule, back: showFlow},
		{pattern: "POST /p/{project}/-/flows/{flow}/schedules/pause", need: "write", do: pauseSchedule, back: showFlow},
		{pattern: "POST /p/{project}/-/flows/{flow}/schedules/remove", need: "write", do: removeSchedule, back: showFlow},
	}
}

// scheduleTable lists when a flow runs by itself, with its next times and the form for
// another schedule.
func (c *request) scheduleTable(f api.Flow) table {
	path := flowPath(f.Project, f.Name) + "/schedules"
	t := table{ID: "schedules", Title: "Schedules", Columns: []string{"When", "Next", "Passed times", "By", "", ""}, Empty: [2]string{"It runs when somebody starts it.", command("schedule", "add", f.Name, "--cron", "0 6 * * *", "--project", f.Project)}}
	if f.Paused && len(f.Schedules) > 0 {
		t.Note = "The flow is paused: no schedule starts it."
	}
	may := c.may("write")
	for _, s := range f.Schedules {
		when := cmp.Or(s.Cron, "every "+duration(time.Duration(s.Every)*time.Second))
		row := []Cell{{Text: when, Code: s.Cron != "", Sub: s.Timezone}, c.nextTimes(s), plain(passedText(s.CatchUp)), plain(s.Actor), {}, {}}
		if may {
			id := [2]string{"id", strconv.FormatInt(s.ID, 10)}
			pause := &action{Path: path + "/pause", Label: "Pause", Fields: [][2]string{id, {"on", "true"}}, Plain: true}
			if s.Paused {
				pause.Label, pause.Fields[1][1] = "Resume", "false"
			}
			row[4].Act = pause
			row[5].Act = &action{Path: path + "/remove", Label: "Remove", Fields: [][2]string{id}, Sure: "The flow does not run by it any more. Its runs stay.", Yes: "Remove the schedule"}
		}
		t.Rows = append(t.Rows, row)
	}
	if may {
		t.Forms = []*form{c.scheduleForm(f, path)}
	}
	return t
}

// nextTimes are in the zone of the schedule, with the reader's as the title.
func (c *request) nextTimes(s api.Schedule) Cell {
	switch {
	case s.Paused:
		return plain("paused")
	case len(s.Next) == 0:
		return plain("never")
	}
	var later []string
	for _, at := range s.Next[1:] {
		later = append(later, at.Format("Mon 2 Jan, 15:04"))
	}
	return Cell{HTML: c.moment(s.Next[0], s.Next[0].Format("Mon 2 Jan, 15:04")), Sub: strings.Join(later, "; ")}
}

func passedText(catchUp string) string {
	switch catchUp {
	case "last":
		return "the last one runs"
	case "all":
		return "all run"
	}
	return "are left out"
}

func (c *request) scheduleForm(f api.Flow, path string) *form {
	return c.form(form{ID: "schedule", Title: "Add a schedule", Submit: "Add the schedule", Path: path, Command: command("schedule", "add", f.Name, "--cron", "0 6 * * *", "--timezone", "Europe/Berlin", "--project", f.Project),
		Fields: []field{
			{Name: "cron", Label: "Cron", Placeholder: "0 6 * * *", Hint: "minute, hour, day of month, month, day of week"},
			{Name: "every", Label: "Or every so many minutes", Kind: fieldNumber},
			{Name: "timezone", Label: "Time zone", Value: c.wishes.location.String(), Max: 64},
			{Name: "catch_up", Label: "Times that pass while the server is down or the schedule paused", Kind: fieldChoice, Options: []option{{"none", "are left out"}, {"last", "the last one runs"}, {"all", "all run"}}},
			{Name: "inputs", Label: "Inputs, a line each", Kind: fieldLines, Placeholder: "day=$REFLINE_LOGICAL_DAY", Hint: "above those of the flow", Max: 1 << 16},
		}})
}

func addSchedule(c *request) (string, error) {
	project, flow := c.PathValue("project"), c.PathValue("flow")
	minutes, err := c.number("every")
	if err != nil {
		return "", err
	}
	in := api.ScheduleInput{Cron: c.typed("cron"), Every: minutes * 60, Timezone: c.typed("timezone"), CatchUp: c.PostFormValue("catch_up")}
	for line := range strings.Lines(c.text("inputs")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return "", invalid("%q is not an input; write a line NAME=VALUE for each", line)
		}
		if in.Inputs == nil {
			in.Inputs = map[string]any{}
		}
		in.Inputs[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	_, err = c.API.AddSchedule(c.ctx(), project, flow, in)
	return flowPath(project, flow) + "#schedules", err
}

func (c *request) scheduleID() (int64, error) {
	id, err := strconv.ParseInt(c.PostFormValue("id"), 10, 64)
	if err != nil {
		return 0, invalid("the form names no schedule; load the page again")
	}
	return id, nil
}

func pauseSchedule(c *request) (string, error) {
	on := c.PostFormValue("on") == "true"
	id, err := c.scheduleID()
	if err == nil {
		_, err = c.API.SetSchedule(c.ctx(), id, api.ScheduleChange{Paused: &on})
	}
	return flowPath(c.PathValue("project"), c.PathValue("flow")) + "#schedules", err
}

func removeSchedule(c *request) (string, error) {
	id, err := c.scheduleID()
	if err == nil {
		err = c.API.RemoveSchedule(c.ctx(), id)
	}
	return flowPath(c.PathValue("project"), c.PathValue("flow")) + "#schedules", err
}

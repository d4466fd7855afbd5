package api

import (
	"context"
	"fmt"
	"net/url"
	"time"
)

// Schedule is when a flow runs by itself.
type Schedule struct {
	ID       int64          `json:"id"`
	Project  string         `json:"project"`
	Flow     string         `json:"flow"`
	Cron     string         `json:"cron,omitempty" doc:"five fields; or every_seconds"`
	Every    int64          `json:"every_seconds,omitempty"`
	Timezone string         `json:"timezone" doc:"of the cron expression and of the dates of runs"`
	CatchUp  string         `json:"catch_up" enum:"none,last,all" doc:"what becomes of times that passed while the server was down or the schedule paused"`
	Inputs   map[string]any `json:"inputs,omitempty" doc:"of its runs, above those of the flow"`
	Actor    string         `json:"actor,omitempty"`
	Paused   bool           `json:"paused,omitempty"`
	Next     []time.Time    `json:"next" doc:"the next times, in the time zone"`
}

// ScheduleInput makes a schedule. Cron or Every is given.
type ScheduleInput struct {
	Cron     string         `json:"cron,omitempty" doc:"five fields: minute, hour, day of month, month, day of week"`
	Every    int64          `json:"every_seconds,omitempty" minimum:"0"`
	Timezone string         `json:"timezone,omitempty" doc:"such as Europe/Berlin; default UTC"`
	CatchUp  string         `json:"catch_up,omitempty" enum:"none,last,all" doc:"default none"`
	Inputs   map[string]any `json:"inputs,omitempty" doc:"$REFLINE_LOGICAL_DATE and $REFLINE_LOGICAL_DAY in a value are the date of the run"`
}

// ScheduleChange changes a schedule. Fields that are absent stay as they are.
type ScheduleChange struct {
	Paused *bool `json:"paused,omitempty"`
}

// Backfill is a flow that runs for each date of a range.
type Backfill struct {
	ID       int64          `json:"id"`
	Project  string         `json:"project"`
	Flow     string         `json:"flow"`
	Cron     string         `json:"cron,omitempty" doc:"which dates of the range; or every_seconds"`
	Every    int64          `json:"every_seconds,omitempty"`
	Timezone string         `json:"timezone"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Parallel int            `json:"parallel"`
	Again    bool           `json:"again,omitempty"`
	Inputs   map[string]any `json:"inputs,omitempty"`
	Actor    string         `json:"actor,omitempty"`
	State    string         `json:"state" enum:"running,done,canceled"`
	Created  time.Time      `json:"created"`
	Total    int            `json:"total" doc:"dates from the first to the last"`
	Dates    *BackfillDates `json:"dates,omitempty"`
	Failures []DateFailure  `json:"failures,omitempty" doc:"dates without a run, with one backfill"`
}

// BackfillDates counts the dates of a backfill that were begun.
type BackfillDates struct {
	Waiting   int `json:"waiting"`
	Running   int `json:"running"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Canceled  int `json:"canceled"`
}

// DateFailure is a date whose run could not be made.
type DateFailure struct {
	Date  time.Time `json:"date"`
	Error string    `json:"error"`
}

// BackfillInput makes a backfill. Cron or Every says which dates there are.
type BackfillInput struct {
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to" doc:"the last date"`
	Cron     string         `json:"cron,omitempty"`
	Every    int64          `json:"every_seconds,omitempty" minimum:"0"`
	Timezone string         `json:"timezone,omitempty"`
	Parallel int            `json:"parallel,omitempty" minimum:"0" maximum:"100" doc:"runs at the same time; default 1"`
	Again    bool           `json:"again,omitempty" doc:"also dates for which the flow has run"`
	Inputs   map[string]any `json:"inputs,omitempty"`
}

// Slot is what a limited number of runs may have at a time.
type Slot struct {
	Name    string      `json:"name"`
	Max     int         `json:"max" doc:"places; 0 is any number"`
	Holders []SlotClaim `json:"holders"`
	Waiting []SlotClaim `json:"waiting"`
	Flows   []string    `json:"flows,omitempty" doc:"that take it"`
}

// SlotClaim is a run that has a slot or waits for it.
type SlotClaim struct {
	Run     int64  `json:"run"`
	Project string `json:"project"`
	Flow    string `json:"flow,omitempty"`
}

func schedulePath(id int64) string { return fmt.Sprintf("/api/v1/schedules/%d", id) }

func backfillPath(id int64) string { return fmt.Sprintf("/api/v1/backfills/%d", id) }

func slotPath(name string) string { return "/api/v1/slots/" + url.PathEscape(name) }

// AddSchedule adds a schedule to a flow.
func (c *Client) AddSchedule(ctx context.Context, project, flow string, in ScheduleInput) (n Schedule, err error) {
	err = c.call(ctx, "POST", flowPath(project, flow)+"/schedules", in, &n)
	return n, err
}

// Schedules lists the schedules of a flow, or of all flows for an empty name, each
// with its next times.
func (c *Client) Schedules(ctx context.Context, project, flow string, times int) (list []Schedule, err error) {
	path := "/api/v1/schedules"
	if flow != "" {
		path = flowPath(project, flow) + "/schedules"
	}
	q := url.Values{"times": {fmt.Sprint(times)}}
	if flow == "" && project != "" {
		q.Set("project", project)
	}
	err = c.call(ctx, "GET", path+query(q), nil, &list)
	return list, err
}

// SetSchedule changes a schedule.
func (c *Client) SetSchedule(ctx context.Context, id int64, in ScheduleChange) (n Schedule, err error) {
	err = c.call(ctx, "PATCH", schedulePath(id), in, &n)
	return n, err
}

// RemoveSchedule removes a schedule; its runs stay.
func (c *Client) RemoveSchedule(ctx context.Context, id int64) error {
	return c.call(ctx, "DELETE", schedulePath(id), nil, nil)
}

// AddBackfill begins a backfill of a flow.
func (c *Client) AddBackfill(ctx context.Context, project, flow string, in BackfillInput) (b Backfill, err error) {
	err = c.call(ctx, "POST", flowPath(project, flow)+"/backfills", in, &b)
	return b, err
}

// Backfills lists the last backfills of a flow, or of all flows for an empty name.
func (c *Client) Backfills(ctx context.Context, project, flow string) (list []Backfill, err error) {
	path := "/api/v1/backfills"
	if flow != "" {
		path = flowPath(project, flow) + "/backfills"
	}
	err = c.call(ctx, "GET", path, nil, &list)
	return list, err
}

// Backfill returns a backfill.
func (c *Client) Backfill(ctx context.Context, id int64) (b Backfill, err error) {
	err = c.call(ctx, "GET", backfillPath(id), nil, &b)
	return b, err
}

// CancelBackfill makes no more runs of a backfill; with runs, those under way are
// canceled too.
func (c *Client) CancelBackfill(ctx context.Context, id int64, runs bool) error {
	return c.call(ctx, "POST", backfillPath(id)+"/cancel", map[string]bool{"runs": runs}, nil)
}

// ResumeBackfill goes on with a canceled backfill.
func (c *Client) ResumeBackfill(ctx context.Context, id int64) error {
	return c.call(ctx, "POST", backfillPath(id)+"/resume", nil, nil)
}

// Slots lists the slots that were set or that flows take.
func (c *Client) Slots(ctx context.Context) (list []Slot, err error) {
	err = c.call(ctx, "GET", "/api/v1/slots", nil, &list)
	return list, err
}

// Slot returns a slot with who has it.
func (c *Client) Slot(ctx context.Context, name string) (s Slot, err error) {
	err = c.call(ctx, "GET", slotPath(name), nil, &s)
	return s, err
}

// SetSlot sets the places of a slot.
func (c *Client) SetSlot(ctx context.Context, name string, places int) (s Slot, err error) {
	err = c.call(ctx, "PUT", slotPath(name), map[string]int{"max": places}, &s)
	return s, err
}

// RemoveSlot removes a slot that no flow takes.
func (c *Client) RemoveSlot(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", slotPath(name), nil, nil)
}

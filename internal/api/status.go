package api

import (
	"context"
	"net/url"
	"time"
)

// Status is how a server does.
type Status struct {
	Version  string       `json:"version"`
	Go       string       `json:"go"`
	Platform string       `json:"platform"`
	Started  time.Time    `json:"started"`
	URL      string       `json:"url,omitempty" doc:"public URL"`
	Database Database     `json:"database"`
	Runs     RunCounts    `json:"runs"`
	Queue    []QueueCount `json:"queue" doc:"jobs and runs that wait, by reason"`
	Runners  []Runner     `json:"runners"`
	Disk     []DiskUse    `json:"disk"`
	Room     *DiskRoom    `json:"room,omitempty" doc:"free space of the data folder's disk"`
}

// DiskRoom is the free space of a disk.
type DiskRoom struct {
	Free int64 `json:"free"`
	Mark int64 `json:"mark" doc:"below it no job starts; 0: any is enough"`
	Low  bool  `json:"low" doc:"no job starts until there is more room"`
}

// Runner is a process that executes jobs.
type Runner struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Tags      []string  `json:"tags,omitempty"`
	Protected bool      `json:"protected,omitempty" doc:"takes jobs of protected refs only"`
	Draining  bool      `json:"draining,omitempty"`
	Version   string    `json:"version,omitempty" doc:"of its program"`
	System    string    `json:"system,omitempty" doc:"such as linux/amd64"`
	Executors []string  `json:"executors,omitempty"`
	Online    bool      `json:"online,omitempty"`
	Seen      time.Time `json:"seen,omitzero" doc:"when it was online last"`
	Jobs      []string  `json:"jobs,omitempty" doc:"that it runs now"`
}

// Database is where the state is.
type Database struct {
	Kind  string `json:"kind" enum:"sqlite,postgres"`
	Bytes int64  `json:"bytes,omitempty"`
}

// RunCounts counts runs that have not ended.
type RunCounts struct {
	Running int64 `json:"running"`
	Waiting int64 `json:"waiting" doc:"for slots, a runner or a resource group"`
	Manual  int64 `json:"manual" doc:"for a person"`
}

// QueueCount is how many wait for the same.
type QueueCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// DiskUse is how much something takes.
type DiskUse struct {
	Kind    string `json:"kind"`
	Bytes   int64  `json:"bytes"`
	Partial bool   `json:"partial,omitempty" doc:"there is more: counting took too long"`
}

// Check is what is wrong with the state of a server.
type Check struct {
	Broken []string `json:"broken" doc:"rules that do not hold, each with a run and job"`
}

// Status returns how the server does.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, "GET", "/api/v1/status", nil, &s)
	return s, err
}

// Check verifies the state of the server.
func (c *Client) Check(ctx context.Context) (k Check, err error) {
	err = c.call(ctx, "POST", "/api/v1/check", nil, &k)
	return k, err
}

// Runners lists the runners.
func (c *Client) Runners(ctx context.Context) (list []Runner, err error) {
	err = c.call(ctx, "GET", "/api/v1/runners", nil, &list)
	return list, err
}

// Runner returns a runner by its name.
func (c *Client) Runner(ctx context.Context, name string) (r Runner, err error) {
	err = c.call(ctx, "GET", "/api/v1/runners/"+url.PathEscape(name), nil, &r)
	return r, err
}

// DrainRunner says whether a runner takes more jobs.
func (c *Client) DrainRunner(ctx context.Context, name string, on bool) (r Runner, err error) {
	err = c.call(ctx, "POST", "/api/v1/runners/"+url.PathEscape(name)+"/drain", map[string]bool{"on": on}, &r)
	return r, err
}

// RemoveRunner removes a runner with its token. One that is online is refused
// unless force is set; its jobs then fail.
func (c *Client) RemoveRunner(ctx context.Context, name string, force bool) error {
	path := "/api/v1/runners/" + url.PathEscape(name)
	if force {
		path += "?force=true"
	}
	return c.call(ctx, "DELETE", path, nil, nil)
}

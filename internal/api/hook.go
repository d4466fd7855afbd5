package api

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// HookInput says how the webhook of a project is to be.
type HookInput struct {
	Forge         string  `json:"forge,omitempty" doc:"gitlab, github, gitea, forgejo, bitbucket or bitbucket-dc; empty: by the host of the repository"`
	ForgeURL      string  `json:"forge_url,omitempty" doc:"address of the forge; empty: the host of the repository"`
	Address       string  `json:"address,omitempty" doc:"address of this server as the forge reaches it; empty: its public URL"`
	Token         *string `json:"token,omitempty" doc:"token that may create webhooks; used once and not kept"`
	TokenVariable *string `json:"token_variable,omitempty" doc:"name of the variable with a token for webhooks, statuses and comments"`
	Secret        *string `json:"secret,omitempty" doc:"secret of the webhook; absent: one is made"`
	Rotate        bool    `json:"rotate,omitempty" doc:"replace the secret; the one before is accepted for a day"`
}

// Hook is the webhook of a project.
type Hook struct {
	Project       string     `json:"project"`
	Forge         string     `json:"forge"`
	ForgeURL      string     `json:"forge_url,omitempty"`
	Path          string     `json:"path" doc:"of its address on this server"`
	URL           string     `json:"url,omitempty" doc:"its address; empty when the server has no public URL"`
	TokenVariable string     `json:"token_variable,omitempty"`
	Secret        string     `json:"secret,omitempty" doc:"shown once, when it is made and the forge was not told by its API"`
	Hook          string     `json:"hook,omitempty" doc:"its id at the forge, when it was created by the API"`
	New           bool       `json:"new,omitempty" doc:"the secret is new"`
	Note          string     `json:"note,omitempty" doc:"why it was not created by the API of the forge"`
	PreviousUntil *time.Time `json:"previous_until,omitempty" doc:"until when the secret before is accepted"`
	Created       time.Time  `json:"created"`
	Delivered     *time.Time `json:"delivered,omitempty" doc:"last delivery, to the minute"`
}

// Delivery is what a forge sent.
type Delivery struct {
	ID       int64      `json:"id"`
	Delivery string     `json:"delivery" doc:"the forge's id"`
	Kind     string     `json:"kind"`
	Name     string     `json:"name" doc:"the forge's name of the event"`
	Received time.Time  `json:"received"`
	Read     *time.Time `json:"read,omitempty" doc:"when a look at the repository took it up"`
	Results  []Result   `json:"results,omitempty" doc:"the runs that followed from it"`
}

// Result is what became of a run that a delivery led to.
type Result struct {
	Run   int64  `json:"run,omitempty"`
	State string `json:"state" enum:"made,none,waiting,approval,failed"`
	Error string `json:"error,omitempty"`
}

// Approval is a pipeline of code from another repository that waits for a person.
type Approval struct {
	ID      int64     `json:"id"`
	Project string    `json:"project"`
	Request int64     `json:"merge_request"`
	Title   string    `json:"title,omitempty"`
	Source  string    `json:"source,omitempty" doc:"repository and branch that it comes from"`
	Commit  string    `json:"commit"`
	Actor   string    `json:"actor,omitempty" doc:"who pushed it"`
	Created time.Time `json:"created"`
}

// SetHook makes the webhook of a project, or changes it.
func (c *Client) SetHook(ctx context.Context, project string, in HookInput) (h Hook, err error) {
	err = c.call(ctx, "PUT", ofProject(project, "hook"), in, &h)
	return h, err
}

// Hook returns the webhook of a project, without its secret.
func (c *Client) Hook(ctx context.Context, project string) (h Hook, err error) {
	err = c.call(ctx, "GET", ofProject(project, "hook"), nil, &h)
	return h, err
}

// RemoveHook removes the webhook of a project on this server.
func (c *Client) RemoveHook(ctx context.Context, project string) error {
	return c.call(ctx, "DELETE", ofProject(project, "hook"), nil, nil)
}

// Deliveries lists what a forge sent for a project, newest first.
func (c *Client) Deliveries(ctx context.Context, project string, n int) (list []Delivery, err error) {
	err = c.call(ctx, "GET", ofProject(project, "deliveries")+query(url.Values{"limit": {strconv.Itoa(n)}}), nil, &list)
	return list, err
}

// Approvals lists the pipelines that wait for a person, of a project or of all.
func (c *Client) Approvals(ctx context.Context, project string) (list []Approval, err error) {
	q := url.Values{}
	if project != "" {
		q.Set("project", project)
	}
	err = c.call(ctx, "GET", "/api/v1/approvals"+query(q), nil, &list)
	return list, err
}

// Approve lets a pipeline of code from another repository be made, for one commit.
func (c *Client) Approve(ctx context.Context, id int64) error {
	return c.call(ctx, "POST", "/api/v1/approvals/"+strconv.FormatInt(id, 10)+"/approve", nil, nil)
}

package api

import (
	"context"
	"net/url"
	"time"
)

// Environment is where jobs of a project deploy to.
type Environment struct {
	Name        string       `json:"name"`
	Project     string       `json:"project"`
	State       string       `json:"state" enum:"available,stopped"`
	URL         string       `json:"url,omitempty"`
	Last        *Deployment  `json:"last,omitempty"`
	Updated     time.Time    `json:"updated"`
	Deployments []Deployment `json:"deployments,omitempty" doc:"the last ones, newest first; with one environment"`
}

// Deployment is a job that succeeded in an environment.
type Deployment struct {
	ID     int64     `json:"id"`
	Action string    `json:"action" enum:"start,stop"`
	Run    int64     `json:"run"`
	Job    string    `json:"job"`
	Ref    string    `json:"ref,omitempty"`
	Commit string    `json:"commit"`
	URL    string    `json:"url,omitempty"`
	Plan   string    `json:"plan,omitempty" doc:"digest of the plan that was deployed"`
	Actor  string    `json:"actor,omitempty"`
	Time   time.Time `json:"time"`
}

func environmentPath(project, name string) string {
	return "/api/v1/projects/" + url.PathEscape(project) + "/environments/" + url.PathEscape(name)
}

// Environments lists the environments of a project, or of all for "".
func (c *Client) Environments(ctx context.Context, project string) (list []Environment, err error) {
	q := url.Values{}
	if project != "" {
		q.Set("project", project)
	}
	err = c.call(ctx, "GET", "/api/v1/environments"+query(q), nil, &list)
	return list, err
}

// Environment returns an environment with its last deployments.
func (c *Client) Environment(ctx context.Context, project, name string) (e Environment, err error) {
	err = c.call(ctx, "GET", environmentPath(project, name), nil, &e)
	return e, err
}

// Redeploy runs the job of an earlier deployment again, at its commit.
func (c *Client) Redeploy(ctx context.Context, project, name string, deployment int64) (r Run, err error) {
	err = c.call(ctx, "POST", environmentPath(project, name)+"/redeploy", map[string]int64{"deployment": deployment}, &r)
	return r, err
}

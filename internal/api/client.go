package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"refline/internal/errs"
)

// Client speaks to one server.
type Client struct {
	base  string // without a slash at the end
	token string
	http  *http.Client
}

// NewClient checks the address of a server: http:// or https://, with a base path
// if it is behind a proxy. transport may be nil.
func NewClient(base, token string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errs.E(errs.Invalid, "%q is not the address of a server; it looks like https://refline.example.com", base)
	}
	if u.User != nil {
		return nil, errs.E(errs.Invalid, "the address of a server has no user or password; the token comes from refline login, REFLINE_TOKEN or a file")
	}
	u.RawQuery, u.Fragment = "", ""
	// No redirects: a token must not go to another host, and a server has none.
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: strings.TrimRight(u.String(), "/"), token: token, http: &http.Client{Transport: transport, CheckRedirect: refuse}}, nil
}

// URL is the address of the server.
func (c *Client) URL() string { return c.base }

const maxAnswer = 64 << 20

// call sends a request with in as JSON, if it is not nil, and reads out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "%s: the answer of the server cannot be read: %w", c.base, err)
	}
	return nil
}

// send returns a good answer, whose body is to be closed.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%w", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return nil, readProblem(resp, text)
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if _, ok := err.(*net.OpError); ok { //nolint:errorlint // the transport's own
		return errs.E(errs.Unavailable, "the server %s does not answer: %w; is it running (refline server), and is the address right?", c.base, err)
	}
	return errs.E(errs.Unavailable, "the server %s: %w", c.base, err)
}

func flowPath(project, name string) string {
	return "/api/v1/projects/" + url.PathEscape(project) + "/flows/" + url.PathEscape(name)
}

func query(values url.Values) string {
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// Projects lists all projects.
func (c *Client) Projects(ctx context.Context) (list []Project, err error) {
	err = c.call(ctx, "GET", "/api/v1/projects", nil, &list)
	return list, err
}

// Project returns a project by its name.
func (c *Client) Project(ctx context.Context, name string) (p Project, err error) {
	err = c.call(ctx, "GET", "/api/v1/projects/"+url.PathEscape(name), nil, &p)
	return p, err
}

// AddProject makes a project.
func (c *Client) AddProject(ctx context.Context, in ProjectInput) (p Project, err error) {
	err = c.call(ctx, "POST", "/api/v1/projects", in, &p)
	return p, err
}

// SetProject changes a project.
func (c *Client) SetProject(ctx context.Context, name string, in ProjectInput) (p Project, err error) {
	err = c.call(ctx, "PATCH", "/api/v1/projects/"+url.PathEscape(name), in, &p)
	return p, err
}

// RemoveProject removes a project without flows and runs.
func (c *Client) RemoveProject(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", "/api/v1/projects/"+url.PathEscape(name), nil, nil)
}

// CheckProject asks the server to look at the repository.
func (c *Client) CheckProject(ctx context.Context, name string) (k ProjectCheck, err error) {
	err = c.call(ctx, "POST", "/api/v1/projects/"+url.PathEscape(name)+"/check", nil, &k)
	return k, err
}

// RegisterFlow registers a flow, or changes the one of its name.
func (c *Client) RegisterFlow(ctx context.Context, in FlowInput) (r Registered, err error) {
	err = c.call(ctx, "POST", "/api/v1/flows", in, &r)
	return r, err
}

// Flows lists flows; project and name filter if they are not empty.
func (c *Client) Flows(ctx context.Context, project, name string, archived bool) (list []Flow, err error) {
	q := url.Values{}
	if project != "" {
		q.Set("project", project)
	}
	if name != "" {
		q.Set("name", name)
	}
	if archived {
		q.Set("archived", "true")
	}
	err = c.call(ctx, "GET", "/api/v1/flows"+query(q), nil, &list)
	return list, err
}

// Flow returns a flow with its storage details.
func (c *Client) Flow(ctx context.Context, project, name string) (f Flow, err error) {
	err = c.call(ctx, "GET", flowPath(project, name), nil, &f)
	return f, err
}

// SetFlow changes a flow.
func (c *Client) SetFlow(ctx context.Context, project, name string, in FlowChange) (f Flow, err error) {
	err = c.call(ctx, "PATCH", flowPath(project, name), in, &f)
	return f, err
}

// RemoveFlow removes a flow; its runs stay.
func (c *Client) RemoveFlow(ctx context.Context, project, name string) error {
	return c.call(ctx, "DELETE", flowPath(project, name), nil, nil)
}

// FlowHistory lists the versions of a flow, newest first.
func (c *Client) FlowHistory(ctx context.Context, project, name string) (list []FlowVersion, err error) {
	err = c.call(ctx, "GET", flowPath(project, name)+"/history", nil, &list)
	return list, err
}

// StartRun starts a run.
func (c *Client) StartRun(ctx context.Context, in RunInput) (r Run, err error) {
	err = c.call(ctx, "POST", "/api/v1/runs", in, &r)
	return r, err
}

// RunQuery says which runs are listed.
type RunQuery struct {
	Project, Flow, Ref string
	Statuses           []string
	Commit             string // begin of it
	Actor, Event       string
	Since, Until       time.Time
	Limit              int
	Cursor             string
}

// Runs lists runs, newest first.
func (c *Client) Runs(ctx context.Context, f RunQuery) (page Runs, err error) {
	q := url.Values{}
	for name, value := range map[string]string{"project": f.Project, "flow": f.Flow, "ref": f.Ref, "status": strings.Join(f.Statuses, ","), "cursor": f.Cursor, "commit": f.Commit, "actor": f.Actor, "event": f.Event} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			q.Set(name, at.UTC().Format(time.RFC3339))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", fmt.Sprint(f.Limit))
	}
	err = c.call(ctx, "GET", "/api/v1/runs"+query(q), nil, &page)
	return page, err
}

func runPath(run int64) string { return fmt.Sprintf("/api/v1/runs/%d", run) }

func jobPath(run int64, job string) string { return runPath(run) + "/jobs/" + url.PathEscape(job) }

// Run returns a run with its jobs.
func (c *Client) Run(ctx context.Context, id int64) (r Run, err error) {
	err = c.call(ctx, "GET", runPath(id), nil, &r)
	return r, err
}

// CancelRun cancels a run or, if job is not empty, one of its jobs.
func (c *Client) CancelRun(ctx context.Context, id int64, job string) error {
	return c.act(ctx, id, job, "cancel", nil)
}

// RetryRun runs failed and canceled jobs again or, if job is not empty, that one.
// With fromFailed tasks whose results are kept do not run again.
func (c *Client) RetryRun(ctx context.Context, id int64, job string, fromFailed bool) error {
	verb := "retry"
	if fromFailed {
		verb += "?from_failed=true"
	}
	return c.act(ctx, id, job, verb, nil)
}

// PlayJob starts a job that waits for a person. The digests are those of the plans
// that it is to deploy.
func (c *Client) PlayJob(ctx context.Context, id int64, job string, digests ...string) error {
	return c.act(ctx, id, job, "play", map[string][]string{"digests": digests})
}

func (c *Client) act(ctx context.Context, id int64, job, verb string, in any) error {
	path := runPath(id)
	if job != "" {
		path = jobPath(id, job)
	}
	return c.call(ctx, "POST", path+"/"+verb, in, nil)
}

// WaitRun returns the run when its version is above since, or as it is after
// about 20 seconds.
func (c *Client) WaitRun(ctx context.Context, id, since int64) (r Run, err error) {
	err = c.call(ctx, "GET", fmt.Sprintf("%s?since=%d", runPath(id), since), nil, &r)
	return r, err
}

// WaitRunEnd returns the run when it has ended or waits for a person, or as it is
// after about 20 seconds.
func (c *Client) WaitRunEnd(ctx context.Context, id int64) (r Run, err error) {
	err = c.call(ctx, "GET", runPath(id)+"?end=true", nil, &r)
	return r, err
}

// Log opens the log of a job's attempt, 0 for the last, from an offset. With
// follow it goes on until the attempt ends.
func (c *Client) Log(ctx context.Context, run int64, job string, attempt int, offset int64, follow bool) (io.ReadCloser, error) {
	q := url.Values{}
	q.Set("offset", fmt.Sprint(offset))
	if attempt > 0 {
		q.Set("attempt", fmt.Sprint(attempt))
	}
	if follow {
		q.Set("follow", "true")
	}
	resp, err := c.send(ctx, "GET", jobPath(run, job)+"/log"+query(q), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Runtimes lists all runtimes.
func (c *Client) Runtimes(ctx context.Context) (list []Runtime, err error) {
	err = c.call(ctx, "GET", "/api/v1/runtimes", nil, &list)
	return list, err
}

// Runtime returns a runtime with the flows that use it.
func (c *Client) Runtime(ctx context.Context, name string) (r Runtime, err error) {
	err = c.call(ctx, "GET", "/api/v1/runtimes/"+url.PathEscape(name), nil, &r)
	return r, err
}

// SetRuntime makes or replaces a runtime.
func (c *Client) SetRuntime(ctx context.Context, in Runtime) (r Runtime, err error) {
	err = c.call(ctx, "PUT", "/api/v1/runtimes/"+url.PathEscape(in.Name), in, &r)
	return r, err
}

// RemoveRuntime removes a runtime that no flow uses.
func (c *Client) RemoveRuntime(ctx context.Context, name string) error {
	return c.call(ctx, "DELETE", "/api/v1/runtimes/"+url.PathEscape(name), nil, nil)
}

// RuntimeHistory lists the versions of a runtime, newest first.
func (c *Client) RuntimeHistory(ctx context.Context, name string) (list []Runtime, err error) {
	err = c.call(ctx, "GET", "/api/v1/runtimes/"+url.PathEscape(name)+"/history", nil, &list)
	return list, err
}

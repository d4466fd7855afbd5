package api

import (
	"context"
	"io"
	"net/url"
	"time"
)

// Plan is a plan of a stack in the artifacts of a run's job.
type Plan struct {
	Run         int64          `json:"run"`
	Job         string         `json:"job" doc:"that made it"`
	Path        string         `json:"path" doc:"in the job's artifacts"`
	Digest      string         `json:"digest,omitempty"`
	Stack       string         `json:"stack,omitempty" doc:"as configured"`
	StackName   string         `json:"stack_name"`
	Environment string         `json:"environment,omitempty"`
	Account     string         `json:"account,omitempty"`
	Region      string         `json:"region,omitempty"`
	Commit      string         `json:"commit,omitempty"`
	New         bool           `json:"new,omitempty" doc:"the stack does not exist yet"`
	Empty       bool           `json:"empty,omitempty" doc:"nothing would change"`
	Summary     string         `json:"summary" doc:"the changes, counted"`
	Refusals    []string       `json:"refusals,omitempty" doc:"why it may not be deployed"`
	Problem     string         `json:"problem,omitempty" doc:"why its file cannot be read, with its name"`
	Created     time.Time      `json:"created,omitzero"`
	DeployJobs  []string       `json:"deploy_jobs,omitempty" doc:"manual jobs of the run that take it"`
	ReplacedBy  int64          `json:"replaced_by,omitempty" doc:"the later run that planned the stack again"`
	Void        string         `json:"void,omitempty" doc:"why it cannot be deployed any more: it was planned again, or names another commit"`
	Approvals   []PlanApproval `json:"approvals,omitempty"`
}

// PlanApproval says who had a job deploy a plan.
type PlanApproval struct {
	Job   string    `json:"job"`
	Actor string    `json:"actor"`
	At    time.Time `json:"at"`
}

// RunPlans lists the plans that the jobs of a run made.
func (c *Client) RunPlans(ctx context.Context, run int64) (list []Plan, err error) {
	err = c.call(ctx, "GET", runPath(run)+"/plans", nil, &list)
	return list, err
}

// FindPlans lists the plans whose digest begins with a text, the newest first.
func (c *Client) FindPlans(ctx context.Context, digest string) (list []Plan, err error) {
	err = c.call(ctx, "GET", "/api/v1/plans?digest="+url.QueryEscape(digest), nil, &list)
	return list, err
}

// PlanFile opens the file of a plan.
func (c *Client) PlanFile(ctx context.Context, run int64, digest string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, "GET", runPath(run)+"/plans/"+url.PathEscape(digest), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

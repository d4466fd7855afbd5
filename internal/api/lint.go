package api

import (
	"context"
	"net/url"
)

// Lint is what a server finds in a pipeline file at a ref.
type Lint struct {
	RefKind  string    `json:"ref_kind" enum:"branch,tag,commit"`
	Ref      string    `json:"ref"`
	Commit   string    `json:"commit,omitempty" doc:"absent when the file does not evaluate"`
	File     string    `json:"file"`
	Jobs     []string  `json:"jobs" doc:"of the pipeline that a person would start there"`
	Findings []Finding `json:"findings"`
}

// Branch is a branch of a project's repository with its last pipeline.
type Branch struct {
	Name   string `json:"name"`
	Commit string `json:"commit" doc:"where it was at the last look"`
	Last   *Run   `json:"last,omitempty" doc:"last run of its pipeline file"`
}

// Branches are those that the server saw at its last look.
type Branches struct {
	Branches []Branch `json:"branches" doc:"those with the newest runs first; at most 200"`
	Total    int      `json:"total"`
}

// Lint finds all mistakes of a pipeline file at a ref: "" for the default branch, and for
// the project's file.
func (c *Client) Lint(ctx context.Context, project, ref, file string) (l Lint, err error) {
	err = c.call(ctx, "GET", ofProject(project, "lint")+query(url.Values{"ref": {ref}, "file": {file}}), nil, &l)
	return l, err
}

// Branches lists the branches of a project's repository.
func (c *Client) Branches(ctx context.Context, project string) (b Branches, err error) {
	err = c.call(ctx, "GET", ofProject(project, "branches"), nil, &b)
	return b, err
}

package api

import (
	"context"
	"net/url"
)

// FlowInputs returns what a flow takes at a ref: that of the flow if ref is empty. With
// an empty kind ref is the name of a branch, else of a tag, else a commit.
func (c *Client) FlowInputs(ctx context.Context, project, flow, kind, ref string) (f FlowInputs, err error) {
	q := url.Values{}
	if kind != "" {
		q.Set("ref_kind", kind)
	}
	if ref != "" {
		q.Set("ref", ref)
	}
	err = c.call(ctx, "GET", flowPath(project, flow)+"/inputs"+query(q), nil, &f)
	return f, err
}

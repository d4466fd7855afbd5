package api

import (
	"context"
	"net/http"
	"net/url"
)

// Retention says how long the runs of a project are kept, with their logs and artifacts.
// Runs that have not ended stay.
type Retention struct {
	Seconds  int64 `json:"seconds" minimum:"0" doc:"since their end; 0 for ever"`
	Runs     int   `json:"runs" minimum:"0" maximum:"10000000" doc:"the newest; 0 for all"`
	LastGood bool  `json:"last_good" doc:"the last successful run of each flow and ref stays in any case"`
}

// SetRetention says how long the runs of a project are kept.
func (c *Client) SetRetention(ctx context.Context, project string, r Retention) (out Retention, err error) {
	err = c.call(ctx, http.MethodPut, "/api/v1/projects/"+url.PathEscape(project)+"/retention", r, &out)
	return out, err
}

package api

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"
)

// Artifacts are the files that an attempt of a job kept: those of one folder.
type Artifacts struct {
	Attempt int                 `json:"attempt"`
	Name    string              `json:"name,omitempty" doc:"as artifacts:name says"`
	Files   int                 `json:"files" doc:"of all folders"`
	Bytes   int64               `json:"bytes" doc:"of all files"`
	Stored  int64               `json:"stored" doc:"bytes of the archive"`
	Created time.Time           `json:"created"`
	Expires time.Time           `json:"expires,omitzero"`
	Kept    bool                `json:"kept,omitempty" doc:"it does not expire"`
	Folder  string              `json:"folder,omitempty" doc:"that is listed; the top one if it is absent"`
	Entries []ArtifactEntry     `json:"entries" doc:"of the folder, folders first, by name"`
	Next    string              `json:"next,omitempty" doc:"after of the next page; absent on the last"`
	Hidden  int                 `json:"hidden,omitempty" doc:"files that are left out because their names are not paths"`
	Reports map[string][]string `json:"reports,omitempty" doc:"paths of reports by their kind"`
}

// ArtifactEntry is a file, a link or a folder.
type ArtifactEntry struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	Folder bool   `json:"folder,omitempty"`
	Files  int    `json:"files,omitempty" doc:"in the folder and those below it"`
	Size   int64  `json:"size" doc:"bytes; of a folder those of its files"`
	Link   string `json:"link,omitempty" doc:"where a link leads"`
}

// ArtifactsPath is the address of an attempt's artifacts, 0 for the last attempt; what is
// "" for the list, "file" for one file and "archive" for all of them.
func ArtifactsPath(run int64, job string, attempt int, what string, values url.Values) string {
	if values == nil {
		values = url.Values{}
	}
	if attempt > 0 {
		values.Set("attempt", fmt.Sprint(attempt))
	}
	path := jobPath(run, job) + "/artifacts"
	if what != "" {
		path += "/" + what
	}
	return path + query(values)
}

// Artifacts lists a folder of what an attempt kept, from after a name on.
func (c *Client) Artifacts(ctx context.Context, run int64, job string, attempt int, folder, after string) (a Artifacts, err error) {
	err = c.call(ctx, "GET", ArtifactsPath(run, job, attempt, "", url.Values{"folder": {folder}, "after": {after}}), nil, &a)
	return a, err
}

// ArtifactFile opens a file of what an attempt kept.
func (c *Client) ArtifactFile(ctx context.Context, run int64, job string, attempt int, path string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, "GET", ArtifactsPath(run, job, attempt, "file", url.Values{"path": {path}}), nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

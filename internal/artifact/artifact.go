// Package artifact keeps files of a job for later jobs and for people: what
// artifacts: names, and reports.
//
// It promises that what is kept is whole: a copy that breaks off leaves nothing.
// It does not know which job takes the artifacts of another, nor for how long
// they are kept.
package artifact

import (
	"context"
	"io"
	"os"
	"time"

	"refline/internal/workspace"
)

// Store keeps the artifacts of jobs by key, one key for each attempt: one or
// more names with slashes between. The methods that read return NotFound for a
// key that keeps nothing, and for a file that is not there.
type Store interface {
	// Put keeps a collection and replaces what the key kept. On an error the key
	// keeps nothing.
	Put(ctx context.Context, key string, c *Collection) error
	// Info describes what is kept.
	Info(ctx context.Context, key string) (Info, error)
	// Restore copies the files, but not the reports, into a job's workspace.
	Restore(ctx context.Context, key string, into *os.Root) error
	// List gives the files and links, without reports, sorted by path.
	List(ctx context.Context, key string) ([]workspace.File, error)
	// Open opens a file by its path in the job's workspace. It follows links only
	// inside the artifacts.
	Open(ctx context.Context, key, path string) (io.ReadCloser, error)
	// OpenReport opens a report of a kind by its path in the job's workspace.
	OpenReport(ctx context.Context, key, kind, path string) (io.ReadCloser, error)
}

// Info describes the artifacts of one job. Files and Bytes do not count reports.
type Info struct {
	Name     string              `json:"name,omitempty"`
	ExpireIn string              `json:"expire_in,omitempty"` // as written
	Created  time.Time           `json:"created"`
	Files    int                 `json:"files"`
	Bytes    int64               `json:"bytes"`
	Reports  map[string][]string `json:"reports,omitempty"` // kind → paths in the workspace, sorted
}

package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"refline/internal/archive"
	"refline/internal/blob"
	"refline/internal/workspace"
)

// Archive is the artifacts of one job as [Remote] sent them, wherever they are
// kept. Single files and lists are read without the rest.
type Archive struct {
	Open blob.Opener
	Sum  blob.Sum

	limits archive.Limits
	index  *archive.Reader // once it was read
}

// NewArchive reads artifacts that are a blob.
func NewArchive(open blob.Opener, sum blob.Sum) *Archive {
	return &Archive{Open: open, Sum: sum, limits: archive.DefaultLimits}
}

func (a *Archive) reader(ctx context.Context) (*archive.Reader, error) {
	if a.index != nil {
		return a.index, nil
	}
	index, err := archive.Open(ctx, a.Open, a.Sum.Size, a.limits)
	a.index = index
	return index, err
}

// Info describes the artifacts.
func (a *Archive) Info(ctx context.Context) (Info, error) {
	var info Info
	index, err := a.reader(ctx)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(index.Info(), &info); err != nil {
		return info, fmt.Errorf("%w: %w", blob.ErrDamaged, err)
	}
	return info, nil
}

// Restore copies the files, but not the reports, into a job's workspace.
func (a *Archive) Restore(ctx context.Context, into *os.Root) error {
	in := blob.NewReader(ctx, a.Open, a.Sum)
	_, _, err := archive.Restore(ctx, in, filesDir, into, nil, a.limits)
	return errors.Join(err, in.Close())
}

// List gives the files and links, without reports, sorted by path.
func (a *Archive) List(ctx context.Context) ([]workspace.File, error) {
	index, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	return index.List(filesDir), nil
}

// OpenFile opens a file by its path in the job's workspace. It follows links
// only inside the artifacts.
func (a *Archive) OpenFile(ctx context.Context, path string) (io.ReadCloser, error) {
	return a.open(ctx, filesDir, path)
}

// OpenReport opens a report of a kind by its path in the job's workspace.
func (a *Archive) OpenReport(ctx context.Context, kind, path string) (io.ReadCloser, error) {
	return a.open(ctx, reportsDir+"/"+kind, path)
}

func (a *Archive) open(ctx context.Context, part, path string) (io.ReadCloser, error) {
	index, err := a.reader(ctx)
	if err != nil {
		return nil, err
	}
	return index.OpenFile(ctx, part, path)
}

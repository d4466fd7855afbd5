package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"slices"

	"refline/internal/archive"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
)

// Remote is the store of a runner that is not beside the server: each key has
// one archive, which a [blob.Transfer] moves.
type Remote struct {
	transfer blob.Transfer
	temp     string
	limits   archive.Limits
}

var _ Store = (*Remote)(nil)

// NewRemote returns a store that keeps what it sends in the folder temp for as
// long as it takes.
func NewRemote(transfer blob.Transfer, temp string) *Remote {
	return &Remote{transfer: transfer, temp: temp, limits: archive.DefaultLimits}
}

// Put implements [Store]. The same content is not sent twice.
func (r *Remote) Put(ctx context.Context, key string, c *Collection) (err error) {
	info, err := json.Marshal(c.Info)
	if err != nil {
		return err
	}
	var parts []archive.Part
	if c.Files != nil {
		parts = append(parts, archive.Part{Name: filesDir, Files: c.Files})
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Reports)) {
		parts = append(parts, archive.Part{Name: reportsDir + "/" + kind, Files: c.Reports[kind]})
	}
	packed, err := archive.Spool(ctx, r.temp, parts, info, r.limits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	return r.transfer.Upload(ctx, key, packed.Sum, packed)
}

// archive finds what a key keeps.
func (r *Remote) archive(ctx context.Context, key string) (*Archive, error) {
	sum, err := r.transfer.Info(ctx, key)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.E(errs.NotFound, "no artifacts of %s", key)
	}
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, part blob.Range) (io.ReadCloser, error) {
		return r.transfer.Open(ctx, key, sum, part)
	}
	return &Archive{Open: open, Sum: sum, limits: r.limits}, nil
}

// Info implements [Store].
func (r *Remote) Info(ctx context.Context, key string) (Info, error) {
	a, err := r.archive(ctx, key)
	if err != nil {
		return Info{}, err
	}
	return a.Info(ctx)
}

// Restore implements [Store].
func (r *Remote) Restore(ctx context.Context, key string, into *os.Root) error {
	a, err := r.archive(ctx, key)
	if err != nil {
		return err
	}
	return a.Restore(ctx, into)
}

// List implements [Store].
func (r *Remote) List(ctx context.Context, key string) ([]workspace.File, error) {
	a, err := r.archive(ctx, key)
	if err != nil {
		return nil, err
	}
	return a.List(ctx)
}

// Open implements [Store].
func (r *Remote) Open(ctx context.Context, key, path string) (io.ReadCloser, error) {
	a, err := r.archive(ctx, key)
	if err != nil {
		return nil, err
	}
	return a.OpenFile(ctx, path)
}

// OpenReport implements [Store].
func (r *Remote) OpenReport(ctx context.Context, key, kind, path string) (io.ReadCloser, error) {
	a, err := r.archive(ctx, key)
	if err != nil {
		return nil, err
	}
	return a.OpenReport(ctx, kind, path)
}

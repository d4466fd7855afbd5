package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"refline/internal/archive"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
)

// Remote is the store of a runner that is not beside the server: each cache is
// one archive, which a [blob.Transfer] moves. Its version is the archive's
// SHA-256.
type Remote struct {
	transfer blob.Transfer
	temp     string
	name     func(ID) string
	limits   archive.Limits
}

var _ Store = (*Remote)(nil)

// NewRemote returns a store that keeps what it sends in the folder temp for as
// long as it takes. name gives the transfer's key of a cache.
func NewRemote(transfer blob.Transfer, temp string, name func(ID) string) *Remote {
	return &Remote{transfer: transfer, temp: temp, name: name, limits: archive.DefaultLimits}
}

// Get implements [Store]. It writes into the workspace as it reads, and removes
// that again if the cache turns out to be damaged. If that replaced files of the
// workspace, the error is not ErrDamaged: the job cannot go on as if there were
// no cache.
func (r *Remote) Get(ctx context.Context, id ID, into *os.Root, seen map[string]workspace.Identity) (Entry, error) {
	for try := 1; ; try++ {
		sum, err := r.transfer.Info(ctx, r.name(id))
		if errs.Is(err, errs.NotFound) {
			return Entry{}, errs.E(errs.NotFound, "no cache is saved for %s", id.Key)
		}
		if err != nil {
			return Entry{}, err
		}
		e, err := r.get(ctx, id, sum, into, seen)
		switch damaged := errors.Is(err, blob.ErrDamaged); {
		case err == nil:
			return e, nil
		case damaged && errors.Is(err, workspace.ErrReplaced):
			return e, errors.Join(errs.E(errs.Conflict, "the cache is damaged and is forgotten: %v; run the job again", err), r.transfer.Discard(ctx, r.name(id), sum))
		case damaged:
			return e, errors.Join(fmt.Errorf("%w: %w", ErrDamaged, err), r.transfer.Discard(ctx, r.name(id), sum))
		case !errs.Is(err, errs.Conflict) || errors.Is(err, workspace.ErrReplaced) || try == 3:
			return e, err
		}
		// Saved anew in between.
	}
}

func (r *Remote) get(ctx context.Context, id ID, sum blob.Sum, into *os.Root, seen map[string]workspace.Identity) (Entry, error) {
	open := func(ctx context.Context, part blob.Range) (io.ReadCloser, error) {
		return r.transfer.Open(ctx, r.name(id), sum, part)
	}
	in := blob.NewReader(ctx, open, sum)
	files, bytes, err := archive.Restore(ctx, in, filesDir, into, seen, r.limits)
	if err = errors.Join(err, in.Close()); err != nil {
		return Entry{}, err
	}
	return Entry{Version: sum.SHA256, Files: files, Bytes: bytes}, nil
}

// Put implements [Store]. It packs nothing if no file was written since Get and
// the id still has that version, and sends nothing if the id has the same
// content.
func (r *Remote) Put(ctx context.Context, id ID, files *workspace.Selection, before Restored, _ bool) (saved bool, err error) {
	now, err := r.transfer.Info(ctx, r.name(id))
	if err != nil && !errs.Is(err, errs.NotFound) {
		return false, err
	}
	if now.SHA256 != "" && now.SHA256 == before.Version && files.Unchanged(before.Seen) {
		return false, nil
	}
	packed, err := archive.Spool(ctx, r.temp, []archive.Part{{Name: filesDir, Files: files}}, nil, r.limits)
	if err != nil {
		return false, err
	}
	defer func() {
		err = errors.Join(err, packed.Close())
		saved = saved && err == nil
	}()
	if now == packed.Sum {
		return false, nil
	}
	return true, r.transfer.Upload(ctx, r.name(id), packed.Sum, packed)
}

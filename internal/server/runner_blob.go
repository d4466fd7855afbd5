package server

import (
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/artifact"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// Files keeps artifacts and caches of attempts as blobs, whose rows are in the store.
// The key of an attempt's artifacts is its number; that of a cache begins with
// "cache/". An attempt writes its own artifacts, reads those of its project, and
// has the caches of its project that its ref may have.
type Files struct {
	Store *store.Store
	Blobs blob.Store
	Now   func() time.Time

	begun sync.Map // begunUpload → place, of uploads that go past the server
}

var _ AttemptFiles = (*Files)(nil)

type begunUpload struct {
	attempt int64
	key     string
	sum     blob.Sum
}

// uploadTime is how long a request for an upload or a download past the server is
// valid.
const uploadTime = time.Hour

// file is what a key means for an attempt.
type file struct {
	project int64
	run     store.Run
	pos     int
	attempt int64         // of artifacts; 0 for a cache
	cache   store.CacheID // otherwise
	own     bool          // the attempt may write it
}

func (f *Files) find(ctx context.Context, l store.Lease, key string) (file, error) {
	run, err := f.Store.Run(ctx, l.Run)
	if err != nil {
		return file{}, err
	}
	out := file{project: run.Project, run: run, pos: l.Pos, own: true}
	if name, ok := strings.CutPrefix(key, "cache/"); ok && name != "" {
		out.cache = store.CacheID{Project: run.Project, Protected: run.Protected, Name: name}
		return out, nil
	}
	if out.attempt, err = strconv.ParseInt(key, 10, 64); err != nil || out.attempt <= 0 {
		return out, errs.E(errs.Invalid, "%q is neither the number of an attempt nor the name of a cache", key)
	}
	out.own = out.attempt == l.ID
	return out, nil
}

// content returns what a key has.
func (f *Files) content(ctx context.Context, x file) (store.Content, error) {
	if x.attempt == 0 {
		c, err := f.Store.Cache(ctx, x.cache)
		return c.Content, err
	}
	a, err := f.Store.Artifacts(ctx, x.attempt)
	if err == nil && a.Project != x.project {
		err = errs.E(errs.NotFound, "attempt %d keeps no artifacts", x.attempt) // nor does it say that others do
	}
	return a.Content, err
}

// Info implements [AttemptFiles].
func (f *Files) Info(ctx context.Context, l store.Lease, key string) (blob.Sum, error) {
	x, err := f.find(ctx, l, key)
	if err != nil {
		return blob.Sum{}, err
	}
	c, err := f.content(ctx, x)
	if err == nil && x.attempt == 0 {
		err = f.Store.Update(ctx, func(tx *store.Tx) error { return tx.TouchCache(ctx, x.cache, f.Now()) })
	}
	return blob.Sum{Size: c.Bytes, SHA256: c.SHA256}, err
}

// writes finds a key that the attempt may write.
func (f *Files) writes(ctx context.Context, l store.Lease, key string) (file, error) {
	x, err := f.find(ctx, l, key)
	if err == nil && !x.own {
		err = errs.E(errs.Denied, "attempt %d may not write what attempt %d keeps", l.ID, x.attempt)
	}
	return x, err
}

// Begin implements [AttemptFiles]. Content that the project has already is not
// sent again.
func (f *Files) Begin(ctx context.Context, l store.Lease, key string, sum blob.Sum) (have bool, to *blob.Request, err error) {
	x, err := f.writes(ctx, l, key)
	if err != nil {
		return false, nil, err
	}
	known, err := f.known(ctx, x, sum)
	if err == nil {
		if err = f.name(ctx, x, known.Place, sum); !errs.Is(err, errs.Conflict) {
			return err == nil, nil, err
		}
	} else if !errs.Is(err, errs.NotFound) {
		return false, nil, err
	}
	place, err := f.place(ctx, x, sum)
	if err != nil {
		return false, nil, err
	}
	to, err = f.Blobs.Upload(ctx, place, sum, uploadTime)
	if err == nil && to != nil {
		f.begun.Store(begunUpload{l.ID, key, sum}, place)
	}
	return false, to, err
}

func (f *Files) known(ctx context.Context, x file, sum blob.Sum) (store.Content, error) {
	if x.attempt == 0 {
		return f.Store.FindCache(ctx, x.project, x.cache.Protected, sum.SHA256, sum.Size)
	}
	return f.Store.FindArtifacts(ctx, x.project, sum.SHA256, sum.Size)
}

func (x file) kind() store.BlobKind {
	if x.attempt == 0 {
		return store.BlobCache
	}
	return store.BlobArtifact
}

// place announces a new blob.
func (f *Files) place(ctx context.Context, x file, sum blob.Sum) (string, error) {
	ids, err := f.Store.NewIDs(ctx, "blob", 1)
	if err != nil {
		return "", err
	}
	place := store.NewPlace(x.kind(), x.project, sum.SHA256, ids[0])
	return place, f.Store.Update(ctx, func(tx *store.Tx) error { return tx.BeginBlob(ctx, x.kind(), place, sum.Size, f.Now()) })
}

// Put implements [AttemptFiles].
func (f *Files) Put(ctx context.Context, l store.Lease, key string, sum blob.Sum, content io.Reader) error {
	x, err := f.writes(ctx, l, key)
	if err != nil {
		return err
	}
	place, err := f.place(ctx, x, sum)
	if err != nil {
		return err
	}
	if err := f.Blobs.Put(ctx, place, sum, content); err != nil {
		return err
	}
	return f.name(ctx, x, place, sum)
}

// Commit implements [AttemptFiles].
func (f *Files) Commit(ctx context.Context, l store.Lease, key string, sum blob.Sum) error {
	x, err := f.writes(ctx, l, key)
	if err != nil {
		return err
	}
	place, ok := f.begun.Load(begunUpload{l.ID, key, sum})
	if !ok {
		if c, err := f.content(ctx, x); err == nil && c.SHA256 == sum.SHA256 && c.Bytes == sum.Size {
			return nil // the answer to an earlier call was lost
		}
		return errs.E(errs.Unavailable, "the upload of %s is not known here any more: begin it again", key)
	}
	info, err := f.Blobs.Stat(ctx, place.(string))
	switch {
	case err != nil:
		return err
	case info.Size != sum.Size || info.SHA256 != "" && info.SHA256 != sum.SHA256:
		return errs.E(errs.Invalid, "the content that was sent for %s is not the one that was announced", key)
	}
	if err := f.name(ctx, x, place.(string), sum); err != nil {
		return err
	}
	f.begun.Delete(begunUpload{l.ID, key, sum})
	return nil
}

// name gives a key the blob of a place.
func (f *Files) name(ctx context.Context, x file, place string, sum blob.Sum) error {
	now := f.Now()
	content := store.Content{Place: place, Bytes: sum.Size, SHA256: sum.SHA256}
	if x.attempt == 0 {
		return f.Store.Update(ctx, func(tx *store.Tx) error {
			return tx.PutCache(ctx, store.Cache{CacheID: x.cache, Content: content, Created: now, Used: now})
		})
	}
	info, err := artifact.NewArchive(blob.OpenerOf(f.Blobs, place), sum).Info(ctx)
	if err != nil {
		return errs.E(errs.Invalid, "the artifacts of attempt %d cannot be read: %w", x.attempt, err)
	}
	row := store.Artifacts{
		Attempt: x.attempt, Project: x.project, Run: x.run.ID, Pos: x.pos, Name: info.Name, Content: content,
		Files: info.Files, FileBytes: info.Bytes, Reports: info.Reports, Created: now,
	}
	if info.ExpireIn != "" {
		d, err := pipeline.ParseDuration(info.ExpireIn)
		if err != nil {
			return errs.E(errs.Invalid, "artifacts:expire_in of attempt %d: %w", x.attempt, err)
		}
		if d > 0 { // never is 0
			row.Expires = now.Add(d)
		}
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error { return tx.PutArtifacts(ctx, row) })
}

// Open implements [AttemptFiles].
func (f *Files) Open(ctx context.Context, l store.Lease, key string, sum blob.Sum, part blob.Range) (io.ReadCloser, *blob.Request, error) {
	x, err := f.find(ctx, l, key)
	if err != nil {
		return nil, nil, err
	}
	c, err := f.content(ctx, x)
	switch {
	case err != nil:
		return nil, nil, err
	case c.SHA256 != sum.SHA256 || c.Bytes != sum.Size:
		return nil, nil, errs.E(errs.Conflict, "%s has another content by now", key)
	}
	if to, err := f.Blobs.Download(ctx, c.Place, uploadTime); err != nil || to != nil {
		return nil, to, err
	}
	body, err := f.Blobs.Open(ctx, c.Place, part)
	return body, nil, err
}

// Discard implements [AttemptFiles]. Artifacts stay: that they are damaged is for a
// person to see.
func (f *Files) Discard(ctx context.Context, l store.Lease, key string, sum blob.Sum) error {
	x, err := f.find(ctx, l, key)
	if err != nil || x.attempt != 0 {
		return err
	}
	c, err := f.content(ctx, x)
	if errs.Is(err, errs.NotFound) || err == nil && c.SHA256 != sum.SHA256 {
		return nil
	}
	if err != nil {
		return err
	}
	if err := blob.Verify(ctx, f.Blobs, c.Place, sum); err == nil || !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.NotFound) {
		return err
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveCache(ctx, x.cache, sum.SHA256, f.Now()) })
}

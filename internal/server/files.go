package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/artifact"
	"refline/internal/blob"
	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/logfile"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// presignedFor is how long a runner may use a place outside of the server.
const presignedFor = 6 * time.Hour

// Files keeps artifacts and caches of attempts in the blob store.
type Files struct {
	Store *store.Store
	Blobs blob.Store
	Logs  *logfile.Dir // nil: they are not kept here
	Now   func() time.Time
	// begun are the places that runners send content to; after a restart of the
	// server they begin again.
	begun sync.Map // fileUpload → place
}

type fileUpload struct {
	attempt int64
	key     string
	sum     blob.Sum
}

var _ AttemptFiles = (*Files)(nil)

const (
	artifactPrefix = "artifact/"
	cachePrefix    = "cache/"
)

func artifactKey(attempt int64) string { return artifactPrefix + strconv.FormatInt(attempt, 10) }

// fileKey is what a key of a runner means for an attempt.
type fileKey struct {
	attempt int64 // whose artifacts; 0 for a cache
	cache   store.CacheID
	results int64     // whose kept results cache is, 0 for a cache
	run     store.Run // of the attempt that asks
}

func (f *Files) key(ctx context.Context, l store.Lease, key string) (fileKey, error) {
	var k fileKey
	var err error
	if k.run, err = f.Store.Run(ctx, l.Run); err != nil {
		return k, err
	}
	if name, ok := strings.CutPrefix(key, cachePrefix); ok && name != "" {
		if strings.HasPrefix(name, resultsPrefix) { // else it could take the place of results that a retry unpickles
			name = cachePrefix + name
		}
		k.cache = store.CacheID{Project: k.run.Project, Protected: k.run.Protected, Name: name}
		if k.run.Source == pipeline.TriggerMergeRequest || k.run.Parent != 0 {
			err = f.keepApart(ctx, &k)
		}
		return k, err
	}
	if name, ok := strings.CutPrefix(key, resultsPrefix); ok {
		return f.resultsOf(ctx, l, k.run, name)
	}
	name, ok := strings.CutPrefix(key, artifactPrefix)
	if k.attempt, err = strconv.ParseInt(name, 10, 64); !ok || err != nil || k.attempt < 1 {
		return k, errs.E(errs.Invalid, "%q names neither artifacts nor a cache", key)
	}
	return k, nil
}

// keepApart gives the code of other repositories caches of their own: what it
// writes must not get into the project's jobs.
func (f *Files) keepApart(ctx context.Context, k *fileKey) error {
	body, err := f.Store.RunFacts(ctx, k.run.ID)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	var facts definition.RunFacts
	if err == nil {
		err = json.Unmarshal(body, &facts)
	}
	if facts.Trust.Fork {
		k.cache.Name = "fork/" + k.cache.Name
	}
	return err
}

// content finds what a key has, if the attempt may read it.
func (f *Files) content(ctx context.Context, l store.Lease, key string) (store.Content, error) {
	k, err := f.key(ctx, l, key)
	if err != nil {
		return store.Content{}, err
	}
	if k.attempt == 0 {
		c, err := f.Store.Cache(ctx, k.cache)
		return c.Content, err
	}
	a, err := f.Store.Artifacts(ctx, k.attempt)
	if err != nil {
		return store.Content{}, err
	}
	if a.Run != k.run.ID && a.Run != k.run.Parent {
		return store.Content{}, errs.E(errs.Denied, "attempt %d may not read the artifacts of run %d", l.ID, a.Run)
	}
	return a.Content, nil
}

// exactly is content with the sum that is meant.
func (f *Files) exactly(ctx context.Context, l store.Lease, key string, sum blob.Sum) (store.Content, error) {
	c, err := f.content(ctx, l, key)
	if err == nil && (c.SHA256 != sum.SHA256 || c.Bytes != sum.Size) {
		err = errs.E(errs.Conflict, "%s has another content by now", key)
	}
	return c, err
}

// Info implements [AttemptFiles].
func (f *Files) Info(ctx context.Context, l store.Lease, key string) (blob.Sum, error) {
	k, err := f.key(ctx, l, key)
	if err != nil {
		return blob.Sum{}, err
	}
	c, err := f.content(ctx, l, key)
	if err == nil && k.attempt == 0 {
		err = f.Store.Update(ctx, func(tx *store.Tx) error { return tx.TouchCache(ctx, k.cache, f.Now()) })
	}
	return blob.Sum{Size: c.Bytes, SHA256: c.SHA256}, err
}

// mayWrite returns the key if the attempt may give it content.
func (f *Files) mayWrite(ctx context.Context, l store.Lease, key string) (fileKey, error) {
	k, err := f.key(ctx, l, key)
	if err == nil && k.attempt != 0 && k.attempt != l.ID {
		err = errs.E(errs.Denied, "attempt %d may not write the artifacts of attempt %d", l.ID, k.attempt)
	}
	if err == nil && k.results != 0 && k.results != l.ID {
		err = errs.E(errs.Denied, "attempt %d may not write the results of attempt %d", l.ID, k.results)
	}
	return k, err
}

// Begin implements [AttemptFiles].
func (f *Files) Begin(ctx context.Context, l store.Lease, key string, sum blob.Sum) (have bool, to *blob.Request, err error) {
	k, err := f.mayWrite(ctx, l, key)
	if err != nil {
		return false, nil, err
	}
	there, err := f.find(ctx, k, sum)
	switch {
	case err == nil:
		if err = f.name(ctx, l, k, there); err == nil {
			return true, nil, nil
		}
		if !errs.Is(err, errs.Conflict) { // it is being removed: it has to come again
			return false, nil, err
		}
	case !errs.Is(err, errs.NotFound):
		return false, nil, err
	}
	place, err := f.begin(ctx, k, sum)
	if err != nil {
		return false, nil, err
	}
	if to, err = f.Blobs.Upload(ctx, place, sum, presignedFor); err != nil || to == nil {
		return false, nil, err
	}
	f.begun.Store(fileUpload{l.ID, key, sum}, place)
	return false, to, nil
}

// find looks for the same content in the project.
func (f *Files) find(ctx context.Context, k fileKey, sum blob.Sum) (store.Content, error) {
	if k.attempt == 0 {
		return f.Store.FindCache(ctx, k.cache.Project, k.cache.Protected, sum.SHA256, sum.Size)
	}
	return f.Store.FindArtifacts(ctx, k.run.Project, sum.SHA256, sum.Size)
}

// begin announces a blob, so that it goes if nothing comes to name it.
func (f *Files) begin(ctx context.Context, k fileKey, sum blob.Sum) (place string, err error) {
	ids, err := f.Store.NewIDs(ctx, "blob", 1)
	if err != nil {
		return "", err
	}
	kind := store.BlobArtifact
	if k.attempt == 0 {
		kind = store.BlobCache
	}
	place = store.NewPlace(kind, k.run.Project, sum.SHA256, ids[0])
	return place, f.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.BeginBlob(ctx, kind, place, sum.Size, f.Now())
	})
}

// Put implements [AttemptFiles].
func (f *Files) Put(ctx context.Context, l store.Lease, key string, sum blob.Sum, content io.Reader) error {
	k, err := f.mayWrite(ctx, l, key)
	if err != nil {
		return err
	}
	place, err := f.begin(ctx, k, sum)
	if err != nil {
		return err
	}
	if err := f.Blobs.Put(ctx, place, sum, content); err != nil {
		return err
	}
	return f.name(ctx, l, k, store.Content{Place: place, Bytes: sum.Size, SHA256: sum.SHA256})
}

// Commit implements [AttemptFiles].
func (f *Files) Commit(ctx context.Context, l store.Lease, key string, sum blob.Sum) error {
	k, err := f.mayWrite(ctx, l, key)
	if err != nil {
		return err
	}
	place, ok := f.begun.LoadAndDelete(fileUpload{l.ID, key, sum})
	if !ok {
		if c, err := f.exactly(ctx, l, key, sum); err == nil && c.Place != "" {
			return nil // the answer to an earlier call was lost
		}
		return errs.E(errs.Unavailable, "the upload of %s is not known here: begin it again", key) // so the runner does
	}
	info, err := f.Blobs.Stat(ctx, place.(string))
	if err != nil {
		return err
	}
	if info.Size != sum.Size || info.SHA256 != "" && info.SHA256 != sum.SHA256 {
		return errs.E(errs.Invalid, "the content of %s in the store is not the one that was announced: it has %d bytes, %d were announced", key, info.Size, sum.Size)
	}
	return f.name(ctx, l, k, store.Content{Place: place.(string), Bytes: sum.Size, SHA256: sum.SHA256})
}

// name gives a key its content.
func (f *Files) name(ctx context.Context, l store.Lease, k fileKey, c store.Content) error {
	now := f.Now()
	if k.attempt == 0 {
		return f.Store.Update(ctx, func(tx *store.Tx) error {
			return tx.PutCache(ctx, store.Cache{CacheID: k.cache, Content: c, Created: now})
		})
	}
	archive := f.archive(c)
	info, err := archive.Info(ctx)
	var plans []store.Plan
	if err == nil {
		plans, err = plansIn(ctx, archive, k.run, l.ID, l.Pos)
	}
	if err != nil {
		return fmt.Errorf("the archive of attempt %d: %w", l.ID, err)
	}
	a := store.Artifacts{
		Attempt: l.ID, Project: k.run.Project, Run: k.run.ID, Pos: l.Pos, Name: info.Name, Content: c,
		Files: info.Files, FileBytes: info.Bytes, Reports: info.Reports, Created: now,
	}
	a.Expires, a.Keep = expiry(info.ExpireIn, now)
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.PutArtifacts(ctx, a); err != nil {
			return err
		}
		return tx.PutPlans(ctx, plans)
	})
}

// defaultExpiry is how long artifacts stay that do not say it, as on GitLab.
const defaultExpiry = 30 * 24 * time.Hour

func expiry(text string, now time.Time) (at time.Time, keep bool) {
	if text == "never" {
		return time.Time{}, true
	}
	d, err := pipeline.ParseDuration(text)
	if text == "" || err != nil || d <= 0 {
		d = defaultExpiry
	}
	return now.Add(d), false
}

// archive reads artifacts in the blob store.
func (f *Files) archive(c store.Content) *artifact.Archive {
	return artifact.NewArchive(blob.OpenerOf(f.Blobs, c.Place), blob.Sum{Size: c.Bytes, SHA256: c.SHA256})
}

// Open implements [AttemptFiles].
func (f *Files) Open(ctx context.Context, l store.Lease, key string, sum blob.Sum, part blob.Range) (io.ReadCloser, *blob.Request, error) {
	c, err := f.exactly(ctx, l, key, sum)
	if err != nil {
		return nil, nil, err
	}
	if to, err := f.Blobs.Download(ctx, c.Place, presignedFor); err != nil || to != nil {
		return nil, to, err
	}
	body, err := f.Blobs.Open(ctx, c.Place, part)
	return body, nil, err
}

// Discard implements [AttemptFiles].
func (f *Files) Discard(ctx context.Context, l store.Lease, key string, sum blob.Sum) error {
	k, err := f.key(ctx, l, key)
	if err != nil {
		return err
	}
	c, err := f.exactly(ctx, l, key, sum)
	if err != nil || k.attempt != 0 {
		return err // artifacts are evidence: a damaged one stays and is reported
	}
	if err := blob.Verify(ctx, f.Blobs, c.Place, sum); err == nil || errs.Is(err, errs.Unavailable) {
		return err
	}
	return f.Store.Update(ctx, func(tx *store.Tx) error { return tx.RemoveCache(ctx, k.cache, sum.SHA256, f.Now()) })
}

// openArtifact opens a file of the artifacts of a run's job, for child pipelines.
func (s *Server) openArtifact(ctx context.Context, run store.Run, job, path string) (io.ReadCloser, error) {
	c, err := s.compiledRun(ctx, run)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.RunJobs(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if c.Pipeline.Jobs[row.Pos].Name != job || row.AttemptID == 0 {
			continue
		}
		a, err := s.store.Artifacts(ctx, row.AttemptID)
		if errs.Is(err, errs.NotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		return s.files.archive(a.Content).OpenFile(ctx, path)
	}
	return nil, errs.E(errs.NotFound, "job %s of run %d kept no artifacts", job, run.ID)
}

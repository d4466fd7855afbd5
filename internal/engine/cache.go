package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"refline/internal/pipeline"
)

// CacheRequest says which cache of a job is meant and how its paths are read.
type CacheRequest struct {
	Project string         // whose caches: keys of different projects do not meet
	Cache   pipeline.Cache // policy with its variables expanded
	Keys    CacheKeys      // from ResolveCacheKey

	Workspace  string
	ProjectDir string              // how the job sees Workspace; empty for the same path
	Expand     func(string) string // of variables in paths; nil: none
	Base       *Tree               // tells what is tracked, for cache:untracked
	Failed     bool                // Save only: the job's result, for cache:when
	// Move lets Save take the files out of the workspace instead of copying
	// them: for the last one that reads it.
	Move bool
}

// CacheReport tells what was done. Notes and Warnings are lines for the job's
// log.
type CacheReport struct {
	Key      string // that was found or saved; empty when none was
	Files    int
	Bytes    int64
	Notes    []string
	Warnings []string

	restored *restoredCache
}

// restoredCache remembers the files of a cache as they were put into a
// workspace, so that those nobody touched need not be read again.
type restoredCache struct {
	entry string
	files map[string]identity
	until time.Time // files changed later than this may have changed unseen
}

// tickLength bounds how coarse a file system's clock is: a change within it
// may leave the same time.
const tickLength = 20 * time.Millisecond

// Restore puts the cache into the workspace: the one of the key, else of the
// first fallback key that has one. None is not an error; neither is one that
// cannot be read, which is then forgotten. The report is given to Save.
func (c *Caches) Restore(ctx context.Context, req CacheRequest) (CacheReport, error) {
	var report CacheReport
	if req.Cache.Policy == "push" {
		return report, nil
	}
	for _, key := range append([]string{req.Keys.Key}, req.Keys.Fallback...) {
		found, err := c.restore(ctx, req, key, &report)
		if err != nil {
			return report, fmt.Errorf("cache %s: %w", key, err)
		}
		if found {
			return report, nil
		}
	}
	report.Notes = append(report.Notes, fmt.Sprintf("cache: nothing saved for %s yet", req.Keys.Key))
	return report, nil
}

func (c *Caches) restore(ctx context.Context, req CacheRequest, key string, report *CacheReport) (found bool, err error) {
	e, err := c.open(req.Project, key)
	if err != nil || e == nil {
		return false, err
	}
	defer e.close()
	if err := e.verify(); err != nil {
		report.Warnings = append(report.Warnings, fmt.Sprintf("cache: %s is damaged and not used: %v", key, err))
		return false, c.forget(e.note)
	}
	restored := &restoredCache{entry: e.note.Entry}
	if req.Cache.Policy != "pull" {
		restored.files = make(map[string]identity, e.note.Files)
	}
	err = unstow(ctx, e.tree, req.Workspace, restored.files)
	if err != nil {
		return false, err
	}
	restored.until = time.Now().Add(-tickLength)
	c.touch(e.note)
	report.Key, report.Files, report.Bytes, report.restored = key, e.note.Files, e.note.Bytes, restored
	report.Notes = append(report.Notes, fmt.Sprintf("cache: restored %s (%s, %s)", key, howMany(e.note.Files, "file"), humanBytes(e.note.Bytes)))
	return true, nil
}

// Save keeps the cache for later runs. before is what Restore reported for the
// same cache of the same job (or the zero value). An error is no reason to
// fail the job, and leaves no half cache.
func (c *Caches) Save(ctx context.Context, req CacheRequest, before CacheReport) (CacheReport, error) {
	var report CacheReport
	if req.Cache.Policy == "pull" || !keepWhen(req.Cache.When, req.Failed) {
		return report, nil
	}
	want := wanted{paths: req.Cache.Paths, expand: req.Expand, projectDir: req.ProjectDir}
	if req.Cache.Untracked && req.Base != nil {
		want.untracked = func(path string) bool { return !req.Base.Has(path) }
	}
	sel, err := choose(ctx, req.Workspace, want)
	if err != nil {
		return report, fmt.Errorf("cache %s: %w", req.Keys.Key, err)
	}
	defer sel.close()
	for _, line := range sel.warnings {
		report.Warnings = append(report.Warnings, "cache: "+line)
	}
	if len(sel.top.inside) == 0 {
		report.Notes = append(report.Notes, fmt.Sprintf("cache: no files to save for %s", req.Keys.Key))
		return report, nil
	}
	what, err := c.save(ctx, req, sel, before.restored)
	if err == nil {
		err = c.tidy(req.Project, req.Keys.Key)
	}
	if err != nil {
		return report, fmt.Errorf("cache %s: %w", req.Keys.Key, err)
	}
	report.Key, report.Files, report.Bytes = req.Keys.Key, sel.files, sel.bytes
	report.Notes = append(report.Notes, fmt.Sprintf("cache: %s %s (%s, %s)", what, req.Keys.Key, howMany(sel.files, "file"), humanBytes(sel.bytes)))
	return report, nil
}

// save makes a new entry unless the current one is the same.
func (c *Caches) save(ctx context.Context, req CacheRequest, sel *selection, restored *restoredCache) (what string, err error) {
	old, err := c.open(req.Project, req.Keys.Key)
	if err != nil {
		return "", err
	}
	st := stowing{sel: sel, move: req.Move && !sel.viaLink}
	if old != nil {
		defer old.close()
		if old.verify() == nil {
			same, all := old.compare(ctx, sel, restored)
			if all {
				c.touch(old.note)
				return "unchanged,", nil
			}
			if st.old, err = openFolder(old.files()); err != nil {
				return "", err
			}
			defer st.old.close()
			st.same = func(path string, _ *fileNode) bool { return same[path] }
		}
	}
	note := cacheNote{Project: req.Project, Key: req.Keys.Key, Files: sel.files, Bytes: sel.bytes, Saved: time.Now().UTC()}
	return "saved", c.add(note, func(dir string) error { return st.run(ctx, dir) })
}

// compare finds the files that the entry has too, with the same content, time
// and permissions. all means that there is nothing else on either side.
func (e *cacheEntry) compare(ctx context.Context, sel *selection, restored *restoredCache) (same map[string]bool, all bool) {
	if restored == nil || restored.entry != e.note.Entry {
		restored = &restoredCache{}
	}
	same = map[string]bool{}
	entries := 0
	for _, d := range e.tree.dirs {
		p := sel.at(d.path)
		if p == nil || p.kind != isDir {
			continue
		}
		entries++
		for i := range d.files {
			n := &d.files[i]
			q := p.inside[n.name]
			full := joinPath(d.path, n.name)
			if q == nil || ctx.Err() != nil || !e.equal(sel, full, n, &q.fileNode, restored) {
				continue
			}
			same[full] = true
		}
	}
	all = len(same) == e.tree.files && len(same) == sel.files && entries == len(e.tree.dirs) && entries == sel.top.dirs()
	return same, all
}

func (e *cacheEntry) equal(sel *selection, full string, n, q *fileNode, restored *restoredCache) bool {
	if n.kind != q.kind || n.size != q.size || n.target != q.target {
		return false
	}
	if n.kind == isLink {
		return true
	}
	if n.mode != q.mode || n.mtime != q.mtime {
		return false
	}
	if id := restored.files[full]; id != (identity{}) && id == q.id && q.id.ctime < restored.until.UnixNano() {
		return true
	}
	return sameContent(filepath.Join(e.files(), filepath.FromSlash(full)), sel.root, full)
}

// at gives the pick at a path, nil when it is not selected.
func (s *selection) at(dir string) *pick {
	if dir == "." {
		return &s.top
	}
	above := s.at(filepath.ToSlash(filepath.Dir(dir)))
	if above == nil {
		return nil
	}
	return above.inside[filepath.Base(dir)]
}

// dirs counts the directories of a pick, itself included.
func (p *pick) dirs() int {
	n := 1
	for _, q := range p.inside {
		if q.kind == isDir {
			n += q.dirs()
		}
	}
	return n
}

// humanBytes gives a size as people read it.
func humanBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, "KMGTP"
	for value >= unit && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, names[0])
}

// notThere reports whether err says that a file does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }

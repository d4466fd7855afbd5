// Package cache keeps folders of dependencies from one run to later ones, under
// GitLab's rules: keys and fallbacks, policies, and when a job saves.
//
// It promises that a job gets a cache whole and for itself alone, or not at all.
// It does not promise that a cache is there: a job must run without one.
package cache

import (
	"context"
	"errors"
	"fmt"
	"os"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// Store keeps caches by project and key.
type Store interface {
	// Get puts the files of a cache into a workspace. If seen is not nil, it gets
	// the identity of every file, for Put. Errors: NotFound if nothing is saved,
	// ErrDamaged for a cache that was not whole and is forgotten.
	Get(ctx context.Context, id ID, into *os.Root, seen map[string]workspace.Identity) (Entry, error)
	// Put saves files and replaces what the id keeps, unless that is the same:
	// then saved is false. before is what Get put into the same workspace, or the
	// zero value. With move the files may be taken out of the workspace. On an
	// error the id keeps what it kept.
	Put(ctx context.Context, id ID, files *workspace.Selection, before Restored, move bool) (saved bool, err error)
}

// ID names a cache: keys of different projects do not meet.
type ID struct {
	Project string
	Key     string
}

// Entry describes what a store has for an id.
type Entry struct {
	Version string // changes with the content
	Files   int
	Bytes   int64
}

// Restored is a cache as Get put it into a workspace.
type Restored struct {
	Entry
	Seen workspace.Seen
}

// ErrDamaged is the error for a cache that cannot be used.
var ErrDamaged = errs.E(errs.Conflict, "the cache is damaged")

// Request says which cache of a job is meant and how its paths are read.
type Request struct {
	Project string
	Cache   pipeline.Cache // policy with its variables expanded
	Keys    Keys           // from ResolveKeys

	Workspace  string
	ProjectDir string              // how the job sees Workspace; empty for the same path
	Expand     func(string) string // of variables in paths; nil: none
	Base       *workspace.Tree     // the files of the repository, for cache:untracked
	Failed     bool                // Save only: the job's result, for cache:when
	// Move lets Save take the files out of the workspace: for the last one that
	// reads it.
	Move bool
}

// Report says what was done. Notes and Warnings are lines for the job's log.
type Report struct {
	Key      string // that was found or saved; empty if none was
	Files    int
	Bytes    int64
	Notes    []string
	Warnings []string

	restored Restored
}

// Restore puts a cache into the workspace: the one of the key, else of the first
// fallback key that has one. It is not an error if there is none, or if one is
// damaged. The report is given to Save.
func Restore(ctx context.Context, store Store, req Request) (Report, error) {
	var report Report
	if req.Cache.Policy == "push" {
		return report, nil
	}
	into, err := os.OpenRoot(req.Workspace)
	if err != nil {
		return report, fmt.Errorf("cache %s: %w", req.Keys.Key, err)
	}
	defer into.Close()
	for _, key := range append([]string{req.Keys.Key}, req.Keys.Fallback...) {
		var seen map[string]workspace.Identity
		if req.Cache.Policy != "pull" {
			seen = map[string]workspace.Identity{}
		}
		entry, err := store.Get(ctx, ID{req.Project, key}, into, seen)
		switch {
		case errors.Is(err, ErrDamaged):
			report.Warnings = append(report.Warnings, fmt.Sprintf("cache: %s is not used: %v", key, err))
		case errs.Is(err, errs.NotFound):
		case err != nil:
			return report, fmt.Errorf("cache %s: %w", key, err)
		default:
			report.Key, report.Files, report.Bytes = key, entry.Files, entry.Bytes
			report.restored = Restored{entry, workspace.SeenNow(seen)}
			report.Notes = append(report.Notes, fmt.Sprintf("cache: restored %s (%s, %s)", key, howMany(entry.Files, "file"), humanBytes(entry.Bytes)))
			return report, nil
		}
	}
	report.Notes = append(report.Notes, fmt.Sprintf("cache: nothing saved for %s yet", req.Keys.Key))
	return report, nil
}

// Saves reports whether Save would keep anything.
func (req *Request) Saves() bool {
	return req.Cache.Policy != "pull" && req.Cache.When.Keeps(req.Failed)
}

// Save keeps the cache for later runs. before is what Restore reported for the
// same cache of the same job (or the zero value). An error is not a reason to
// fail the job, and leaves no partial cache.
func Save(ctx context.Context, store Store, req Request, before Report) (Report, error) {
	var report Report
	if !req.Saves() {
		return report, nil
	}
	want := workspace.Wanted{Paths: req.Cache.Paths, Expand: req.Expand, ProjectDir: req.ProjectDir}
	if req.Cache.Untracked && req.Base != nil {
		want.Untracked = func(path string) bool { return !req.Base.Has(path) }
	}
	sel, err := workspace.Select(ctx, req.Workspace, want)
	if err != nil {
		return report, fmt.Errorf("cache %s: %w", req.Keys.Key, err)
	}
	defer sel.Close()
	for _, line := range sel.Warnings {
		report.Warnings = append(report.Warnings, "cache: "+line)
	}
	if sel.Empty() {
		report.Notes = append(report.Notes, fmt.Sprintf("cache: no files to save for %s", req.Keys.Key))
		return report, nil
	}
	saved, err := store.Put(ctx, ID{req.Project, req.Keys.Key}, sel, before.restored, req.Move)
	if err != nil {
		return report, fmt.Errorf("cache %s: %w", req.Keys.Key, err)
	}
	what := "unchanged,"
	if saved {
		what = "saved"
	}
	report.Key = req.Keys.Key
	report.Files, report.Bytes = sel.Size()
	report.Notes = append(report.Notes, fmt.Sprintf("cache: %s %s (%s, %s)", what, req.Keys.Key, howMany(report.Files, "file"), humanBytes(report.Bytes)))
	return report, nil
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

// howMany gives "1 file", "2 files".
func howMany(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

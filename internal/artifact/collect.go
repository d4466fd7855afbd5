package artifact

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// Request says what to keep of a job's workspace.
type Request struct {
	Workspace string
	// ProjectDir is how the job sees Workspace (CI_PROJECT_DIR); empty if it sees
	// the same path.
	ProjectDir string
	Artifacts  *pipeline.Artifacts // nil: nothing
	Failed     bool                // the job's result, for artifacts:when
	Base       *workspace.Tree     // the files of the repository, for artifacts:untracked
	Expand     func(string) string // of variables in paths; nil: none
	// Move lets the files be taken out of the workspace, which is to be thrown
	// away: a store that can then copies nothing.
	Move bool
}

// Collection is what is to be kept of one job, still in its workspace.
type Collection struct {
	Info    Info
	Files   *workspace.Selection            // nil: reports alone
	Reports map[string]*workspace.Selection // by kind; each is to be copied before Files is moved
	Move    bool

	// Notes and Warnings are lines for the job's log.
	Notes    []string
	Warnings []string
}

// Empty reports whether there is nothing to keep.
func (c *Collection) Empty() bool { return c.Files == nil && len(c.Reports) == 0 }

// Close releases the workspace.
func (c *Collection) Close() {
	if c.Files != nil {
		c.Files.Close()
	}
	for _, sel := range c.Reports {
		sel.Close()
	}
}

// Collect finds a job's artifacts in its workspace. Reports are kept whatever
// the job's result, the rest by artifacts:when. A pattern that finds nothing is
// a warning.
func Collect(ctx context.Context, req Request) (*Collection, error) {
	c := &Collection{Move: req.Move, Info: Info{Created: time.Now().UTC()}, Reports: map[string]*workspace.Selection{}}
	if req.Artifacts == nil {
		return c, nil
	}
	c.Info.Name, c.Info.ExpireIn = req.Artifacts.Name, req.Artifacts.ExpireIn
	if req.Expand != nil {
		c.Info.Name = req.Expand(c.Info.Name)
	}
	err := req.reports(ctx, c)
	if err == nil {
		err = req.files(ctx, c)
	}
	if err != nil {
		c.Close()
		return c, fmt.Errorf("artifacts: %w", err)
	}
	return c, nil
}

func (req *Request) files(ctx context.Context, c *Collection) error {
	a := req.Artifacts
	if !a.When.Keeps(req.Failed) || len(a.Paths) == 0 && !a.Untracked {
		return nil
	}
	want := req.want(a.Paths)
	want.Exclude = a.Exclude
	if a.Untracked && req.Base != nil {
		want.Untracked = func(path string) bool { return !req.Base.Has(path) }
	}
	sel, err := workspace.Select(ctx, req.Workspace, want)
	if err != nil {
		return err
	}
	c.log(sel, "")
	if sel.Empty() {
		sel.Close()
		c.Warnings = append(c.Warnings, "artifacts: no files to keep")
		return nil
	}
	c.Files = sel
	c.Info.Files, c.Info.Bytes = sel.Size()
	return nil
}

func (req *Request) reports(ctx context.Context, c *Collection) error {
	for _, kind := range slices.Sorted(maps.Keys(req.Artifacts.Reports)) {
		if strings.ContainsAny(kind, `/\`) || !filepath.IsLocal(kind) {
			return errs.E(errs.Invalid, "%q is not a kind of report", kind)
		}
		sel, err := workspace.Select(ctx, req.Workspace, req.want(req.Artifacts.Reports[kind]))
		if err != nil {
			return err
		}
		c.log(sel, "reports:"+kind+": ")
		if files, _ := sel.Size(); files == 0 {
			sel.Close()
			continue
		}
		c.Reports[kind] = sel
		if c.Info.Reports == nil {
			c.Info.Reports = map[string][]string{}
		}
		c.Info.Reports[kind] = sel.Paths()
	}
	return nil
}

func (req *Request) want(paths []string) workspace.Wanted {
	return workspace.Wanted{Paths: paths, Expand: req.Expand, ProjectDir: req.ProjectDir}
}

// log takes over what is to be said about a selection.
func (c *Collection) log(sel *workspace.Selection, prefix string) {
	for _, line := range sel.Notes {
		c.Notes = append(c.Notes, "artifacts: "+prefix+line)
	}
	for _, line := range sel.Warnings {
		c.Warnings = append(c.Warnings, "artifacts: "+prefix+line)
	}
}

// Keep collects a job's artifacts and puts them into a store. Without anything
// to keep, the store is left alone. On an error nothing is kept.
func Keep(ctx context.Context, store Store, key string, req Request) (c *Collection, err error) {
	c, err = Collect(ctx, req)
	if err != nil {
		return c, err
	}
	defer c.Close()
	if c.Empty() {
		return c, nil
	}
	if err := store.Put(ctx, key, c); err != nil {
		return c, fmt.Errorf("artifacts: %w", err)
	}
	return c, nil
}

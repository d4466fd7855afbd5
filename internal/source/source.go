// Package source reads the files that a pipeline is made of: of a working tree
// ([WorkingTree]), of one commit of a repository ([Commit]), and, for includes,
// of other projects, URLs, templates and components. It also gives the facts
// that decide a pipeline (commit, ref, message, default branch) and the files
// that a push or merge request changes.
//
// A source only reads; it makes no checkout. Who needs one makes it from what
// the source gives: [WorkingTree.Listing] for a working tree, [Commit.Remote]
// and [Commit.Resolved] for a commit. A scheduler that has a remote and a
// resolved commit calls [NewCommit]; credentials stay with whoever opens remotes
// ([Includes.Remote]).
package source

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
)

// Files reads the files of a project.
type Files interface {
	// Loader reads the project's files and those of other projects. self is
	// what the project is called: an include that names it at the commit that
	// is compiled is read here and not from the remote.
	Loader(self gitlabci.Facts) gitlabci.Loader
	// Exists reports whether the project has a regular file at path. An error is
	// one of the place: a damaged repository does not lack the file.
	Exists(ctx context.Context, path string) (bool, error)
}

// History gives what git knows about the project.
type History interface {
	// Facts are those of the commit and ref; the trigger is not among them.
	Facts(ctx context.Context) (gitlabci.Facts, error)
	// Changed gives the files that a push or merge request changes.
	Changed(ctx context.Context, f gitlabci.Facts) gitlabci.Changed
	// MergeBase is the commit at which the compiled one left a branch, or the
	// branch's own without a common history.
	MergeBase(ctx context.Context, branch string) (string, error)
	// LastCommit is the commit that last changed a path, "" if none did.
	LastCommit(ctx context.Context, path string) (string, error)
}

// Labels name a source for people.
type Labels interface {
	Name() string // the folder, or the repository's URL
	At() string   // ref and commit: "main 398076a"
}

// Project is all of it. Who opened it closes it.
type Project interface {
	Files
	History
	Labels
}

// Options are what a source needs beside the project itself.
type Options struct {
	Includes Includes
	// Before is the commit that a push replaced, as far as the caller knows it;
	// zeros for a new branch.
	Before string
	// Notice takes what a person who waits wants to know; may be nil.
	Notice func(text string)

	// For a commit: what the repository is a clone of ("" for its own URL), and
	// how many commits of history were fetched at least (0 is all).
	Origin string
	Depth  int
}

func (o Options) notice(format string, args ...any) {
	if o.Notice != nil {
		o.Notice(fmt.Sprintf(format, args...))
	}
}

var (
	_ Project = (*WorkingTree)(nil)
	_ Project = (*Commit)(nil)
)

// files are the project's own.
type files interface {
	readFile(ctx context.Context, path string) ([]byte, error)
	listFiles(ctx context.Context) ([]string, error)
}

// loader reads the project's own files and those of other projects.
type loader struct {
	own    files
	others *otherProjects
	self   ownProject
}

// Read implements [gitlabci.Loader].
func (l loader) Read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	if paths, is := l.self.names(src); is {
		return l.readFirst(ctx, paths)
	}
	if src.Kind != gitlabci.SourceLocal || src.Project != "" {
		return l.others.read(ctx, src)
	}
	path, err := localPath(src.Path)
	if err != nil {
		return nil, src, err
	}
	data, err := l.own.readFile(ctx, path)
	return data, src, err
}

// readFirst reads the first of the paths that the project has.
func (l loader) readFirst(ctx context.Context, paths []string) (data []byte, found gitlabci.Source, err error) {
	for _, path := range paths {
		data, found, err = l.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: path})
		if !errs.Is(err, errs.NotFound) {
			break
		}
	}
	return data, found, err
}

// List implements [gitlabci.Loader].
func (l loader) List(ctx context.Context, src gitlabci.Source) ([]string, error) {
	if src.Kind != gitlabci.SourceLocal || src.Project != "" {
		return l.others.list(ctx, src)
	}
	return l.own.listFiles(ctx)
}

func localPath(p string) (string, error) {
	p = strings.TrimPrefix(p, "/")
	if !filepath.IsLocal(filepath.FromSlash(p)) {
		return "", errs.E(errs.Invalid, "%q leaves the repository", p)
	}
	return p, nil
}

func entryPaths(entries []git.Entry) []string {
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = e.Path
	}
	return paths
}

func short(sha string) string { return sha[:min(7, len(sha))] }

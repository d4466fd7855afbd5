package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/termview"
	"refline/internal/workspace"
)

// worktreeCheckout copies the working tree.
type worktreeCheckout struct {
	e       *env
	from    *source.WorkingTree
	made    bool // a tree; more of them are of the same repository
	changed int
	objects []string
}

// openWorkingTree reads the working tree as if the ref that the options or the
// environment name were checked out. file is the file that is run, "" for the
// default one.
func openWorkingTree(ctx context.Context, e *env, o *pipelineOptions, file string) (*source.WorkingTree, error) {
	w, err := o.openProject(ctx, e, file)
	if err != nil {
		return nil, err
	}
	if state, err := e.stateDir(); err == nil {
		w.Skip(state)
	}
	if cache, err := e.cacheDir(); err == nil {
		w.Skip(cache)
	}
	ref := git.DefaultRef(e.getenv, w.Branch)
	switch {
	case o.tag != "":
		ref = git.Ref{Kind: git.KindTag, Name: o.tag}
	case o.branch != "":
		ref = git.Ref{Kind: git.KindBranch, Name: o.branch}
	case o.ref != "":
		ref = git.Ref{Kind: git.KindBranch, Name: o.ref}
	}
	if ref == (git.Ref{}) && w.SHA != "" {
		ref = detachedRef(e, w.SHA)
	}
	in := o.includes
	in.home = homeOf(w.RemoteURL)
	return source.NewWorkingTree(ctx, w, ref, o.sourceOptions(e, in)), nil
}

// detachedRef is the ref of a working tree whose HEAD is not a branch, as in a CI
// job: the one that CI's own variables name.
func detachedRef(e *env, sha string) git.Ref {
	for _, v := range []struct {
		name string
		kind git.Kind
	}{{"CI_COMMIT_TAG", git.KindTag}, {"CI_COMMIT_BRANCH", git.KindBranch}, {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", git.KindBranch}} {
		if name := e.getenv(v.name); name != "" {
			e.notef("HEAD is detached at %.7s; taken for %s %s, from %s (another: --branch, --tag)", sha, v.kind, name, v.name)
			return git.Ref{Kind: v.kind, Name: name}
		}
	}
	e.notef("HEAD is detached at %.7s: the pipeline has no branch; --branch NAME or --tag NAME pretends one", sha)
	return git.Ref{}
}

// openProject finds the working tree to work in: that of the current folder, else
// that of the file, else the file's own folder.
func (o *pipelineOptions) openProject(ctx context.Context, e *env, file string) (*git.Worktree, error) {
	w, err := git.Open(ctx, cmp.Or(o.dir, e.dir), e.environ())
	if err != nil || w.InRepository() || file == "" {
		return w, err
	}
	path := e.path(file)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return w, nil // reported when it is read
	}
	return git.Open(ctx, filepath.Dir(path), e.environ())
}

// tree copies the files that git knows or would add, with a .git of its own.
func (c *worktreeCheckout) tree(ctx context.Context, dir string, o checkoutOptions) (*workspace.Tree, error) {
	files, err := c.from.Listing(ctx, o.submodules, c.e.environ())
	if err != nil {
		return nil, err
	}
	first := !c.made
	if c.made = true; first {
		c.changed = files.Changed
	}
	if !o.noFiles {
		c.noteSubmodules(files, o.submodules)
	}
	w := c.from.Git()
	paths := files.Paths
	if o.noFiles {
		paths = nil
	}
	tree, err := workspace.SnapshotTree(ctx, dir, w.Root, paths)
	if err != nil {
		return nil, err
	}
	if n := git.LFSPointers(w.Root, paths); n > 0 {
		c.e.notef("%s: pointers in the jobs, not the content; git lfs pull fetches it", plural(n, "LFS file"))
	}
	c.noteLeftOut(append(files.Unreadable, tree.LeftOut()...))
	if !w.InRepository() {
		return tree, nil
	}
	objects, err := w.Snapshot(ctx, dir+".dot")
	if err != nil {
		return nil, fmt.Errorf("the workspace's .git: %w", err)
	}
	if first {
		c.objects = objects
	}
	defer os.RemoveAll(dir + ".dot")
	return tree, tree.AddDir(ctx, ".git", filepath.Join(dir+".dot", ".git"))
}

// noteLeftOut names what jobs do not see since it may not be read.
func (c *worktreeCheckout) noteLeftOut(paths []string) {
	if len(paths) == 0 {
		return
	}
	const most = 5
	names := termview.Plain(strings.Join(paths[:min(most, len(paths))], ", "))
	if len(paths) > most {
		names += fmt.Sprintf(" and %d more", len(paths)-most)
	}
	c.e.notef("jobs do not see what you may not read: %s; make it readable (chmod -R u+rX, or chown), or name it in .gitignore", names)
}

// noteSubmodules says which folders of submodules are empty in the jobs.
func (c *worktreeCheckout) noteSubmodules(files source.Listing, asked git.Submodules) {
	if asked == git.SubmodulesNone && files.Submodules > 0 {
		c.e.notef("%s: empty in the jobs; --submodules or GIT_SUBMODULE_STRATEGY takes them along", plural(files.Submodules, "submodule"))
	}
	for _, folder := range files.Missing {
		c.e.notef("submodule %s is not checked out; git submodule update --init --recursive does it", folder)
	}
}

func (c *worktreeCheckout) borrowed() []string   { return c.objects }
func (c *worktreeCheckout) changedFiles() int    { return c.changed }
func (c *worktreeCheckout) ready() time.Duration { return 0 }
func (c *worktreeCheckout) close()               { c.from.Close() }

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/workspace"
)

// repositoryCheckout checks a commit out once; workspaces are clones of it.
type repositoryCheckout struct {
	e     *env
	from  *source.Commit
	began time.Time
	took  time.Duration
	base  string // the checkout that workspaces are cloned from
	plain bool   // base may be given back as a spare
}

// openRepository turns the ref into a commit, once, and brings it here.
func openRepository(ctx context.Context, e *env, o *pipelineOptions) (*source.Commit, error) {
	url := o.repo
	if local, ok := localRepository(e, url); ok {
		url = local
	}
	in := o.includes
	in.home = homeOf(url)
	remote, err := openRemote(e, url, in.access(e, url))
	if err != nil {
		return nil, err
	}
	// A folder is most often a clone: its server is that of its origin.
	origin := remote.Origin(ctx)
	if origin != remote.URL() {
		in.home = homeOf(origin)
		if remote, err = openRemote(e, url, in.access(e, url)); err != nil {
			return nil, err
		}
	}
	ref, err := repositoryRef(ctx, e, remote, o)
	if err != nil {
		return nil, err
	}
	resolved, err := o.update(ctx, remote, ref)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, fromEnvironment(o, ref))
	}
	opts := o.sourceOptions(e, in)
	opts.Origin = origin
	return source.NewCommit(ctx, remote, resolved, opts), nil
}

// update brings the commit of a ref here, or the pinned one under the ref's name.
func (o *pipelineOptions) update(ctx context.Context, remote *git.Remote, ref git.Ref) (git.Resolved, error) {
	if o.pinned == "" {
		return remote.Update(ctx, ref, o.depth)
	}
	resolved, err := remote.Update(ctx, git.Ref{Kind: git.KindCommit, Name: o.pinned}, o.depth)
	if ref == (git.Ref{}) && o.pinnedRef != "" {
		ref = git.Ref{Kind: git.KindBranch, Name: o.pinnedRef}
	}
	if ref.Kind == git.KindBranch || ref.Kind == git.KindTag {
		resolved.Kind, resolved.Name = ref.Kind, ref.Name
	}
	return resolved, err
}

// fromEnvironment says where a ref comes from that the user did not write.
func fromEnvironment(o *pipelineOptions, ref git.Ref) string {
	switch {
	case o.branch+o.tag+o.commit+o.ref != "":
		return ""
	case ref.Kind == git.KindTag:
		return " (the tag is from BUILD_TAG; name another: --branch, --tag)"
	case ref.Kind == git.KindBranch:
		return " (the branch is from GIT_BRANCH, or the one you are on; name another: --branch, --tag)"
	}
	return ""
}

// localRepository gives the absolute path of a folder of this computer.
func localRepository(e *env, repo string) (string, bool) {
	if source.IsURL(repo) {
		return "", false
	}
	path := e.path(repo)
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, false
	}
	if w, err := git.Open(context.Background(), path, e.environ()); err == nil && w.InRepository() {
		return w.Root, true // a folder below the top means its repository
	}
	return path, true
}

// repositoryRef is what the options name; without them what the environment
// does, else the branch that is checked out here if it is the same repository.
func repositoryRef(ctx context.Context, e *env, remote *git.Remote, o *pipelineOptions) (git.Ref, error) {
	switch {
	case o.branch != "":
		return git.Ref{Kind: git.KindBranch, Name: o.branch}, nil
	case o.tag != "":
		return git.Ref{Kind: git.KindTag, Name: o.tag}, nil
	case o.commit != "":
		return git.Ref{Kind: git.KindCommit, Name: localRevision(ctx, e, o)}, nil
	case o.ref != "":
		branch := git.Ref{Kind: git.KindBranch, Name: o.ref}
		_, err := remote.Resolve(ctx, branch)
		if !errs.Is(err, errs.NotFound) {
			return branch, err
		}
		tag := git.Ref{Kind: git.KindTag, Name: o.ref}
		if _, terr := remote.Resolve(ctx, tag); terr == nil {
			return tag, nil
		}
		return branch, err
	}
	current := ""
	if w, err := git.Open(ctx, e.dir, e.environ()); err == nil {
		if w.Root == remote.URL() || w.RemoteURL == remote.URL() {
			current = w.Branch
		}
	}
	return git.DefaultRef(e.getenv, current), nil
}

// localRevision is the commit that a revision means in a repository of this
// computer (HEAD~1, main@{yesterday}); what it does not know stays as it is.
func localRevision(ctx context.Context, e *env, o *pipelineOptions) string {
	path, ok := localRepository(e, o.repo)
	if !ok {
		return o.commit
	}
	w, err := git.Open(ctx, path, e.environ())
	if err != nil || !w.InRepository() {
		return o.commit
	}
	reader := w.Reader(ctx)
	defer reader.Close()
	c, err := reader.Commit(o.commit)
	if err != nil {
		return o.commit
	}
	return c.SHA
}

// tree checks the commit out.
func (c *repositoryCheckout) tree(ctx context.Context, dir string, o checkoutOptions) (*workspace.Tree, error) {
	first := c.base == ""
	if first {
		c.base, c.plain = dir, !o.lfs && o.submodules == git.SubmodulesNone && len(o.sparse) == 0 && !o.noFiles
	}
	opts := git.CheckoutOptions{LFS: o.lfs, Sparse: o.sparse, Depth: o.depth, Submodules: o.submodules}
	if err := c.from.Remote().Checkout(ctx, c.from.Resolved(), dir, opts); err != nil {
		return nil, err
	}
	if first {
		c.took = time.Since(c.began)
	}
	if o.noFiles {
		return workspace.NewTree(dir), keepOnlyGit(dir)
	}
	c.noteLeftOut(dir, o)
	return workspace.NewTree(dir), nil
}

// keepOnlyGit empties a checkout but for its .git.
func keepOnlyGit(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.Name() != ".git" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// noteLeftOut reports what jobs may expect and do not get.
func (c *repositoryCheckout) noteLeftOut(dir string, o checkoutOptions) {
	if _, err := os.Lstat(filepath.Join(dir, ".gitmodules")); err != nil && (o.lfs || !git.HasAttributes(dir)) {
		return // most repositories; the list of files takes a process
	}
	entries, err := c.from.Entries()
	if err != nil {
		return // the checkout is there, so this does not stop the run
	}
	modules, paths := 0, make([]string, len(entries))
	for i, entry := range entries {
		paths[i] = entry.Path
		if entry.IsSubmodule() {
			modules++
		}
	}
	if modules > 0 && o.submodules == git.SubmodulesNone {
		c.e.notef("%s: empty in the jobs; --submodules or GIT_SUBMODULE_STRATEGY takes them along", plural(modules, "submodule"))
	}
	if o.lfs {
		return
	}
	if n := git.LFSPointers(dir, paths); n > 0 {
		c.e.notef("%s: pointers in the jobs, not the content; --lfs fetches it", plural(n, "LFS file"))
	}
}

func (c *repositoryCheckout) borrowed() []string   { return c.from.Remote().Borrowed() }
func (c *repositoryCheckout) changedFiles() int    { return 0 }
func (c *repositoryCheckout) ready() time.Duration { return c.took }

// close gives the checkout back, so that the next run finds it ready made.
func (c *repositoryCheckout) close() {
	c.from.Close()
	if c.base == "" || !c.plain {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// Not being able to is no loss: the next run makes its own.
	_ = c.from.Remote().Recycle(ctx, c.from.Resolved(), c.base)
}

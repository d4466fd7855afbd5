package checkout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/termview"
	"refline/internal/workspace"
)

// commit checks a commit out once; workspaces are clones of it.
type commit struct {
	place Place
	from  *source.Commit
	began time.Time
	took  time.Duration
	base  string // the checkout that workspaces are cloned from
	plain bool   // base may be given back as a spare
}

// OpenCommit turns the ref of a repository (URL or folder) into a commit, once, and
// brings it here with at least depth commits of history; 0 is all.
func OpenCommit(ctx context.Context, p Place, repo string, named Ref, depth int) (*source.Commit, Checkout, error) {
	began, url := time.Now(), repo
	if local, ok := LocalRepository(p, url); ok {
		url = local
	}
	home := url
	remote, err := p.Remote(url, home)
	if err != nil {
		return nil, nil, err
	}
	// A folder is most often a clone: its server is that of its origin.
	origin := remote.Origin(ctx)
	if origin != remote.URL() {
		home = origin
		if remote, err = p.Remote(url, home); err != nil {
			return nil, nil, err
		}
	}
	ref, err := p.commitRef(ctx, remote, repo, named)
	if err != nil {
		return nil, nil, err
	}
	resolved, err := named.update(ctx, remote, ref, depth)
	if err != nil {
		return nil, nil, fmt.Errorf("%w%s", err, named.fromEnvironment(ref))
	}
	opts := p.Source(home)
	opts.Origin = origin
	c := source.NewCommit(ctx, remote, resolved, opts)
	return c, &commit{place: p, from: c, began: began}, nil
}

// update brings the commit of a ref here, or the pinned one under the ref's name.
func (n Ref) update(ctx context.Context, remote *git.Remote, ref git.Ref, depth int) (git.Resolved, error) {
	if n.Pinned == "" {
		return remote.Update(ctx, ref, depth)
	}
	resolved, err := remote.Update(ctx, git.Ref{Kind: git.KindCommit, Name: n.Pinned}, depth)
	if ref == (git.Ref{}) && n.PinnedName != "" {
		ref = git.Ref{Kind: git.KindBranch, Name: n.PinnedName}
	}
	if ref.Kind == git.KindBranch || ref.Kind == git.KindTag {
		resolved.Kind, resolved.Name = ref.Kind, ref.Name
	}
	return resolved, err
}

// fromEnvironment says where a ref comes from that the user did not write.
func (n Ref) fromEnvironment(ref git.Ref) string {
	switch {
	case n.Branch+n.Tag+n.Commit+n.Name != "":
		return ""
	case ref.Kind == git.KindTag:
		return " (the tag is from BUILD_TAG; name another: --branch, --tag)"
	case ref.Kind == git.KindBranch:
		return " (the branch is from GIT_BRANCH, or the one you are on; name another: --branch, --tag)"
	}
	return ""
}

// LocalRepository gives the absolute path of a folder of this computer.
func LocalRepository(p Place, repo string) (string, bool) {
	if source.IsURL(repo) {
		return "", false
	}
	path := p.path(repo)
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, false
	}
	if w, err := git.Open(context.Background(), path, p.Environ()); err == nil && w.InRepository() {
		return w.Root, true // a folder below the top means its repository
	}
	return path, true
}

// commitRef is what the options name; without them what the environment
// does, else the branch that is checked out here if it is the same repository.
func (p Place) commitRef(ctx context.Context, remote *git.Remote, repo string, n Ref) (git.Ref, error) {
	switch {
	case n.Branch != "":
		return git.Ref{Kind: git.KindBranch, Name: n.Branch}, nil
	case n.Tag != "":
		return git.Ref{Kind: git.KindTag, Name: n.Tag}, nil
	case n.Commit != "":
		return git.Ref{Kind: git.KindCommit, Name: p.LocalRevision(ctx, repo, n.Commit)}, nil
	case n.Name != "":
		branch := git.Ref{Kind: git.KindBranch, Name: n.Name}
		_, err := remote.Resolve(ctx, branch)
		if !errs.Is(err, errs.NotFound) {
			return branch, err
		}
		tag := git.Ref{Kind: git.KindTag, Name: n.Name}
		if _, terr := remote.Resolve(ctx, tag); terr == nil {
			return tag, nil
		}
		return branch, err
	}
	current := ""
	if w, err := git.Open(ctx, p.Dir, p.Environ()); err == nil {
		if w.Root == remote.URL() || w.RemoteURL == remote.URL() {
			current = w.Branch
		}
	}
	return git.DefaultRef(p.Getenv, current), nil
}

// LocalRevision is the commit that a revision means in a repository of this
// computer (HEAD~1, main@{yesterday}). A revision that it does not know is returned
// as it is.
func (p Place) LocalRevision(ctx context.Context, repo, revision string) string {
	path, ok := LocalRepository(p, repo)
	if !ok {
		return revision
	}
	w, err := git.Open(ctx, path, p.Environ())
	if err != nil || !w.InRepository() {
		return revision
	}
	reader := w.Reader(ctx)
	defer reader.Close()
	c, err := reader.Commit(revision)
	if err != nil {
		return revision
	}
	return c.SHA
}

// Tree checks the commit out.
func (c *commit) Tree(ctx context.Context, dir string, o Options) (*workspace.Tree, error) {
	first := c.base == ""
	if first {
		c.base, c.plain = dir, !o.LFS && o.Submodules == git.SubmodulesNone && len(o.Sparse) == 0 && !o.NoFiles
	}
	opts := git.CheckoutOptions{LFS: o.LFS, Sparse: o.Sparse, Depth: o.Depth, Submodules: o.Submodules, SubmodulePaths: o.SubmodulePaths, ForceHTTPS: o.ForceHTTPS}
	if err := c.from.Remote().Checkout(ctx, c.from.Resolved(), dir, opts); err != nil {
		return nil, err
	}
	if first {
		c.took = time.Since(c.began)
	}
	if o.NoFiles {
		return workspace.NewTree(dir), workspace.KeepOnlyGit(dir)
	}
	c.noteLeftOut(dir, o)
	return workspace.NewTree(dir), nil
}

// noteLeftOut reports what jobs may expect and do not get.
func (c *commit) noteLeftOut(dir string, o Options) {
	if _, err := os.Lstat(filepath.Join(dir, ".gitmodules")); err != nil && (o.LFS || !git.HasAttributes(dir)) {
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
	if modules > 0 && o.Submodules == git.SubmodulesNone {
		c.place.notef("%s: empty in the jobs; --submodules or GIT_SUBMODULE_STRATEGY takes them along", termview.Count(modules, "submodule"))
	}
	if o.LFS {
		return
	}
	if n := git.LFSPointers(dir, paths); n > 0 {
		c.place.notef("%s: pointers in the jobs, not the content; --lfs fetches it", termview.Count(n, "LFS file"))
	}
}

func (c *commit) Borrowed() []string   { return c.from.Remote().Borrowed() }
func (c *commit) ChangedFiles() int    { return 0 }
func (c *commit) Ready() time.Duration { return c.took }

// Close gives the checkout back, so that the next run finds it ready made.
func (c *commit) Close() {
	c.from.Close()
	if c.base == "" || !c.plain {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// A failure costs nothing: the next run makes its own.
	_ = c.from.Remote().Recycle(ctx, c.from.Resolved(), c.base)
}

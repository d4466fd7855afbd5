package checkout

import (
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

// worktree copies the working tree.
type worktree struct {
	place   Place
	from    *source.WorkingTree
	made    bool // a tree; more of them are of the same repository
	changed int
	objects []string
}

// OpenWorkingTree reads the working tree w as if the ref that is named, or that the
// environment names, were checked out.
func OpenWorkingTree(ctx context.Context, p Place, w *git.Worktree, named Ref) (*source.WorkingTree, Checkout) {
	ref := git.DefaultRef(p.Getenv, w.Branch)
	switch {
	case named.Tag != "":
		ref = git.Ref{Kind: git.KindTag, Name: named.Tag}
	case named.Branch != "":
		ref = git.Ref{Kind: git.KindBranch, Name: named.Branch}
	case named.Name != "":
		ref = git.Ref{Kind: git.KindBranch, Name: named.Name}
	}
	if ref == (git.Ref{}) && w.SHA != "" {
		ref = p.detachedRef(w.SHA)
	}
	t := source.NewWorkingTree(ctx, w, ref, p.Source(w.RemoteURL))
	return t, &worktree{place: p, from: t}
}

// detachedRef is the ref of a working tree whose HEAD is not a branch, as in a CI
// job: the one that CI's own variables name.
func (p Place) detachedRef(sha string) git.Ref {
	for _, v := range []struct {
		name string
		kind git.Kind
	}{{"CI_COMMIT_TAG", git.KindTag}, {"CI_COMMIT_BRANCH", git.KindBranch}, {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", git.KindBranch}} {
		if name := p.Getenv(v.name); name != "" {
			p.notef("HEAD is detached at %.7s; taken for %s %s, from %s (another: --branch, --tag)", sha, v.kind, name, v.name)
			return git.Ref{Kind: v.kind, Name: name}
		}
	}
	p.notef("HEAD is detached at %.7s: the pipeline has no branch; --branch NAME or --tag NAME pretends one", sha)
	return git.Ref{}
}

// FindWorkingTree finds the working tree to work in: that of dir, else that of the
// file, else the file's own folder. file is "" for the default one.
func FindWorkingTree(ctx context.Context, p Place, dir, file string) (*git.Worktree, error) {
	w, err := git.Open(ctx, dir, p.Environ())
	if err != nil || w.InRepository() || file == "" {
		return w, err
	}
	path := p.path(file)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return w, nil // reported when it is read
	}
	return git.Open(ctx, filepath.Dir(path), p.Environ())
}

// Tree copies the files that git knows or would add, with a .git of its own.
func (c *worktree) Tree(ctx context.Context, dir string, o Options) (*workspace.Tree, error) {
	files, err := c.from.Listing(ctx, o.Submodules, o.SubmodulePaths, c.place.Environ())
	if err != nil {
		return nil, err
	}
	first := !c.made
	if c.made = true; first {
		c.changed = files.Changed
	}
	if !o.NoFiles {
		c.noteSubmodules(files, o.Submodules)
	}
	w := c.from.Git()
	paths := files.Paths
	if o.NoFiles {
		paths = nil
	}
	tree, err := workspace.SnapshotTree(ctx, dir, w.Root, paths)
	if err != nil {
		return nil, err
	}
	if n := git.LFSPointers(w.Root, paths); n > 0 {
		c.place.notef("%s: pointers in the jobs, not the content; git lfs pull fetches it", termview.Count(n, "LFS file"))
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
func (c *worktree) noteLeftOut(paths []string) {
	if len(paths) == 0 {
		return
	}
	const most = 5
	names := termview.Plain(strings.Join(paths[:min(most, len(paths))], ", "))
	if len(paths) > most {
		names += fmt.Sprintf(" and %d more", len(paths)-most)
	}
	c.place.notef("jobs do not see what you may not read: %s; make it readable (chmod -R u+rX, or chown), or name it in .gitignore", names)
}

// noteSubmodules says which folders of submodules are empty in the jobs.
func (c *worktree) noteSubmodules(files source.Listing, asked git.Submodules) {
	if asked == git.SubmodulesNone && files.Submodules > 0 {
		c.place.notef("%s: empty in the jobs; --submodules or GIT_SUBMODULE_STRATEGY takes them along", termview.Count(files.Submodules, "submodule"))
	}
	for _, folder := range files.Missing {
		c.place.notef("submodule %s is not checked out; git submodule update --init --recursive does it", folder)
	}
}

func (c *worktree) Borrowed() []string   { return c.objects }
func (c *worktree) ChangedFiles() int    { return c.changed }
func (c *worktree) Ready() time.Duration { return 0 }
func (c *worktree) Close()               { c.from.Close() }

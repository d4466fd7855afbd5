package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// workingTree is the code of the folder one stands in, uncommitted changes
// included.
type workingTree struct {
	*git.Worktree
	otherProjects
	e        *env
	files    func() (git.Files, error)
	shown    string // ref and commit, set by facts
	nChanged int
	objects  []string
}

func newWorkingTree(ctx context.Context, e *env, w *git.Worktree, s includeSources) *workingTree {
	t := &workingTree{Worktree: w, e: e, otherProjects: otherProjects{e: e, sources: s, origin: w.RemoteURL}}
	t.files = sync.OnceValues(func() (git.Files, error) { return w.Files(ctx) })
	return t
}

// Read reads a file of the project from the disk, others from where they are.
func (t *workingTree) Read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	if own, is := t.own(src); is {
		return readOwn(ctx, t, own)
	}
	if src.Kind != gitlabci.SourceLocal || src.Project != "" {
		return t.read(ctx, src)
	}
	path, err := localPath(src.Path)
	if err != nil {
		return nil, src, err
	}
	root, err := os.OpenRoot(t.Root)
	if err != nil {
		return nil, src, err
	}
	defer root.Close()
	// A pipe in the place of a file would hold up everything.
	if info, err := root.Stat(filepath.FromSlash(path)); err == nil && !info.Mode().IsRegular() {
		return nil, src, errs.E(errs.Invalid, "%s is no regular file", path)
	}
	data, err := root.ReadFile(filepath.FromSlash(path))
	if err != nil {
		if os.IsNotExist(err) {
			return nil, src, errs.E(errs.NotFound, "no file %s in %s", path, t.Root)
		}
		return nil, src, errs.E(errs.Invalid, "%s: %w", path, unwrapPath(err))
	}
	return data, src, nil
}

func localPath(p string) (string, error) {
	p = strings.TrimPrefix(p, "/")
	if !filepath.IsLocal(filepath.FromSlash(p)) {
		return "", errs.E(errs.Invalid, "%q leaves the repository", p)
	}
	return p, nil
}

// List gives the paths of the project for globs and rules:exists.
func (t *workingTree) List(ctx context.Context, src gitlabci.Source) ([]string, error) {
	if src.Kind == gitlabci.SourceLocal && src.Project == "" {
		f, err := t.files()
		return f.Paths, err
	}
	return t.list(ctx, src)
}

func (t *workingTree) exists(_ context.Context, path string) bool {
	info, err := os.Stat(filepath.Join(t.Root, filepath.FromSlash(path)))
	return err == nil && info.Mode().IsRegular()
}

func (t *workingTree) facts(ctx context.Context, o *pipelineOptions, e *env) (gitlabci.Facts, error) {
	f := gitlabci.Facts{
		SHA: t.SHA, Remote: t.RemoteURL, Folder: filepath.Base(t.Root), DefaultBranch: t.DefaultBranch,
	}
	if head, err := t.Head(ctx); err == nil {
		f.Message, f.Author, f.Committed = head.Message, head.Author.String(), head.Committer.Time
		f.UserName, f.UserEmail = head.Author.Name, head.Author.Email
		if len(head.Parents) > 0 {
			f.BeforeSHA = head.Parents[0]
		}
	} else if !errs.Is(err, errs.NotFound) {
		return f, err
	}
	if f.DefaultBranch == "" {
		f.DefaultBranch = "main"
		if t.Branch == "master" {
			f.DefaultBranch = "master"
		}
	}
	switch ref := t.pretended(o); ref.Kind {
	case git.KindTag:
		f.Tag = ref.Name
	case git.KindBranch:
		f.Branch = ref.Name
	}
	f.Protected = f.Branch != "" && f.Branch == f.DefaultBranch
	t.describe(f)
	return f, nil
}

// pretended is the ref that the options or the environment name, else the
// branch one is on.
func (t *workingTree) pretended(o *pipelineOptions) git.Ref {
	switch {
	case o.tag != "":
		return git.Ref{Kind: git.KindTag, Name: o.tag}
	case o.branch != "":
		return git.Ref{Kind: git.KindBranch, Name: o.branch}
	case o.ref != "":
		return git.Ref{Kind: git.KindBranch, Name: o.ref}
	}
	return git.DefaultRef(t.e.getenv, t.Branch)
}

func (t *workingTree) describe(f gitlabci.Facts) {
	var parts []string
	if f.Tag != "" {
		parts = append(parts, f.Tag)
	} else if f.Branch != "" {
		parts = append(parts, f.Branch)
	}
	if f.SHA != "" {
		parts = append(parts, short(f.SHA))
	} else {
		parts = append(parts, "no commit yet")
	}
	t.shown = strings.Join(parts, " ")
}

// changed are the files that a push now would change: what is committed but not
// pushed, and what is not committed. On a branch that the remote does not know
// there is no diff to look at, as on GitLab.
func (t *workingTree) changed(ctx context.Context, f gitlabci.Facts) gitlabci.Changed {
	var c gitlabci.Changed
	if t.SHA == "" {
		return c
	}
	c.CompareTo = func(ref string) ([]string, error) { return t.compare(ctx, ref) }
	if f.Trigger != pipeline.TriggerPush && f.Trigger != pipeline.TriggerMergeRequest || f.Tag != "" {
		return c
	}
	c.Load = func() ([]string, bool, error) {
		base := "@{upstream}"
		if f.Trigger == pipeline.TriggerMergeRequest {
			base = f.DefaultBranch
		}
		files, err := t.Changed(ctx, base)
		if errs.Is(err, errs.NotFound) {
			return nil, false, nil
		}
		return files, err == nil, err
	}
	return c
}

func (t *workingTree) lastCommit(ctx context.Context, path string) string {
	return t.LastCommit(ctx, path)
}

// compare finds a branch here or, where it was never checked out, at the remote.
func (t *workingTree) compare(ctx context.Context, ref string) ([]string, error) {
	files, err := t.Changed(ctx, ref)
	if !errs.Is(err, errs.NotFound) || t.RemoteName == "" {
		return files, err
	}
	branch := strings.TrimPrefix(ref, "refs/heads/")
	if files, rerr := t.Changed(ctx, "refs/remotes/"+t.RemoteName+"/"+branch); rerr == nil {
		return files, nil
	}
	return nil, err
}

// tree copies the files that git knows or would add, with a .git of its own.
func (t *workingTree) tree(ctx context.Context, dir string, o *runOptions) (*workspace.Tree, error) {
	files, err := t.files()
	if err != nil {
		return nil, err
	}
	t.nChanged = len(files.Changed)
	paths := append(slices.Clone(files.Paths), files.Submodules...)
	if len(files.Submodules) > 0 {
		more, err := t.submodules(ctx, files.Submodules, o)
		if err != nil {
			return nil, err
		}
		paths = append(paths, more...)
	}
	tree, err := workspace.SnapshotTree(ctx, dir, t.Root, paths)
	if err != nil {
		return nil, err
	}
	t.tellLeftOut(append(files.Unreadable, tree.LeftOut()...))
	if !t.InRepository() {
		return tree, nil
	}
	if t.objects, err = t.Snapshot(ctx, dir+".dot"); err != nil {
		return nil, fmt.Errorf("the workspace's .git: %w", err)
	}
	defer os.RemoveAll(dir + ".dot")
	return tree, tree.AddDir(ctx, ".git", filepath.Join(dir+".dot", ".git"))
}

// tellLeftOut names what jobs do not see since it may not be read.
func (t *workingTree) tellLeftOut(paths []string) {
	if len(paths) == 0 {
		return
	}
	const most = 5
	names := strings.Join(paths[:min(most, len(paths))], ", ")
	if len(paths) > most {
		names += fmt.Sprintf(" and %d more", len(paths)-most)
	}
	t.e.notef("jobs do not see what you may not read: %s; make it readable (chmod -R u+rX, or chown), or name it in .gitignore", names)
}

// submodules lists the files of submodules that are checked out, when they are
// asked for; else it says that jobs see empty folders.
func (t *workingTree) submodules(ctx context.Context, folders []string, o *runOptions) ([]string, error) {
	if !o.submodules {
		t.e.notef("%s: empty in the jobs; --submodules or GIT_SUBMODULE_STRATEGY takes them along", plural(len(folders), "submodule"))
		return nil, nil
	}
	var out []string
	for _, folder := range folders {
		w, err := git.Open(ctx, filepath.Join(t.Root, filepath.FromSlash(folder)), t.e.environ())
		if err != nil || realPath(w.Root) != realPath(filepath.Join(t.Root, filepath.FromSlash(folder))) {
			t.e.notef("submodule %s is not checked out; git submodule update --init --recursive does it", folder)
			continue
		}
		files, err := w.Files(ctx)
		if err != nil {
			return nil, err
		}
		for _, p := range files.Paths {
			out = append(out, folder+"/"+p)
		}
		inner := make([]string, len(files.Submodules))
		for i, s := range files.Submodules {
			inner[i] = folder + "/" + s
		}
		if len(inner) > 0 && !o.topModules {
			more, err := t.submodules(ctx, inner, o)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
	}
	return out, nil
}

func (t *workingTree) borrowed() []string { return t.objects }

func (t *workingTree) project() string   { return t.Root }
func (t *workingTree) changedFiles() int { return t.nChanged }

func (t *workingTree) what() string {
	if t.nChanged == 0 {
		return t.shown
	}
	return t.shown + " + " + plural(t.nChanged, "changed file")
}

func (t *workingTree) ready() time.Duration { return 0 }

func (t *workingTree) close() { t.otherProjects.close() }

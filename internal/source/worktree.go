package source

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// WorkingTree is the code of the folder the user is in, uncommitted changes
// included.
type WorkingTree struct {
	tree    *git.Worktree
	ref     git.Ref
	options Options
	others  *otherProjects
	files   func() (git.Files, error)
}

// NewWorkingTree reads from w as if ref were checked out; git.Ref{} means none.
func NewWorkingTree(ctx context.Context, w *git.Worktree, ref git.Ref, o Options) *WorkingTree {
	return &WorkingTree{
		tree: w, ref: ref, options: o, others: newOtherProjects(o.Includes, w.RemoteURL),
		files: sync.OnceValues(func() (git.Files, error) { return w.Files(ctx) }),
	}
}

// Git is the working tree that is read.
func (t *WorkingTree) Git() *git.Worktree { return t.tree }

// Loader implements [Files].
func (t *WorkingTree) Loader(self gitlabci.Facts) gitlabci.Loader {
	return loader{own: t, others: t.others, self: nameOf(self)}
}

func (t *WorkingTree) readFile(_ context.Context, path string) ([]byte, error) {
	root, err := os.OpenRoot(t.tree.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if info, err := root.Lstat(filepath.FromSlash(path)); err == nil && info.Mode()&fs.ModeSymlink != 0 && t.tree.InRepository() && gitlabci.IsPipelineFile(path) {
		// As in a commit, and on GitLab, a link is a file that holds its target.
		target, err := root.Readlink(filepath.FromSlash(path))
		return []byte(filepath.ToSlash(target)), err
	}
	// A pipe in the place of a file would hold up everything.
	if info, err := root.Stat(filepath.FromSlash(path)); err == nil && !info.Mode().IsRegular() {
		return nil, errs.E(errs.Invalid, "%s is not a regular file", path)
	}
	if err := brokenLink(root, path); err != nil {
		return nil, err
	}
	data, err := root.ReadFile(filepath.FromSlash(path))
	if err != nil {
		if os.IsNotExist(err) {
			return nil, errs.E(errs.NotFound, "no file %s in %s", path, t.tree.Root)
		}
		if strings.Contains(err.Error(), "path escapes from parent") {
			return nil, errs.E(errs.Invalid, "%s is behind a symbolic link of a folder that is outside of the project", path)
		}
		return nil, errs.E(errs.Invalid, "%s: %w", path, withoutPath(err))
	}
	return data, nil
}

// brokenLink is the error for a symbolic link that leads to no file of the
// project; nil for all else.
func brokenLink(root *os.Root, path string) error {
	name := filepath.FromSlash(path)
	target, err := root.Readlink(name)
	if err != nil {
		return nil
	}
	_, err = root.Stat(name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errs.E(errs.Invalid, "%s is a symbolic link to %s, which is not there", path, target)
	case errors.Is(err, syscall.ELOOP):
		return errs.E(errs.Invalid, "%s is a symbolic link that leads in a circle", path)
	}
	return errs.E(errs.Invalid, "%s is a symbolic link to %s, which is outside of the project; put the file itself there", path, target)
}

// withoutPath drops the path that os puts into its errors.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func (t *WorkingTree) listFiles(context.Context) ([]string, error) {
	f, err := t.files()
	return f.Paths, err
}

// Prefetch lists the files in the background: a run needs them, and git lists
// them while the pipeline is compiled.
func (t *WorkingTree) Prefetch() { go func() { _, _ = t.files() }() }

// Exists implements [Files].
func (t *WorkingTree) Exists(_ context.Context, path string) (bool, error) {
	name := filepath.Join(t.tree.Root, filepath.FromSlash(path))
	info, err := os.Stat(name)
	switch {
	case err == nil:
		return info.Mode().IsRegular(), nil
	case os.IsPermission(err):
		return false, errs.E(errs.Denied, "look for %s: %w", path, err)
	}
	// A link that leads nowhere is there, and an error once it is read.
	info, err = os.Lstat(name)
	return err == nil && info.Mode()&fs.ModeSymlink != 0, nil
}

// Facts implements [History].
func (t *WorkingTree) Facts(ctx context.Context) (gitlabci.Facts, error) {
	f := gitlabci.Facts{
		SHA: t.tree.SHA, Remote: t.tree.RemoteURL, Folder: filepath.Base(t.tree.Root), DefaultBranch: t.tree.DefaultBranch,
	}
	if head, err := t.tree.Head(ctx); err == nil {
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
		if t.tree.Branch == "master" {
			f.DefaultBranch = "master"
		}
	}
	setRef(&f, t.ref.Kind, t.ref.Name)
	if t.tree.RemoteName != "" && f.Branch != "" {
		// A push now would replace what the remote has.
		if at := t.tree.Upstream(ctx, f.Branch).Commit; at != t.tree.SHA {
			f.BeforeSHA = at
		}
	}
	f.BeforeSHA = cmp.Or(t.options.Before, f.BeforeSHA)
	return f, nil
}

// setRef writes a ref into the facts.
func setRef(f *gitlabci.Facts, kind git.Kind, name string) {
	switch kind {
	case git.KindTag:
		f.Tag = name
	case git.KindBranch:
		f.Branch = name
	}
	f.Protected = f.Branch != "" && f.Branch == f.DefaultBranch
}

// Changed gives the files that a push now would change: what is committed but
// not pushed, and what is not committed. On a branch that the remote does not
// know there is no diff to look at, as on GitLab.
func (t *WorkingTree) Changed(ctx context.Context, f gitlabci.Facts) gitlabci.Changed {
	var c gitlabci.Changed
	if t.tree.SHA == "" {
		return c
	}
	c.CompareTo = func(ref string) ([]string, error) { return t.compare(ctx, ref) }
	if f.Trigger != pipeline.TriggerPush && f.Trigger != pipeline.TriggerMergeRequest || f.Tag != "" {
		return c
	}
	c.Load = func() ([]string, bool, error) {
		if f.Trigger == pipeline.TriggerMergeRequest {
			return known(t.compare(ctx, f.Target()))
		}
		base := cmp.Or(t.options.Before, t.tree.Upstream(ctx, f.Branch).Name)
		if isNone(base) {
			return nil, false, nil
		}
		return known(t.tree.Changed(ctx, base))
	}
	return c
}

// compare finds a branch here or, if it was never checked out, at the remote.
func (t *WorkingTree) compare(ctx context.Context, ref string) ([]string, error) {
	files, err := t.tree.Changed(ctx, ref)
	if !errs.Is(err, errs.NotFound) || t.tree.RemoteName == "" {
		return files, err
	}
	branch := strings.TrimPrefix(ref, "refs/heads/")
	if files, rerr := t.tree.Changed(ctx, "refs/remotes/"+t.tree.RemoteName+"/"+branch); rerr == nil {
		return files, nil
	}
	return nil, err
}

// MergeBase implements [History].
func (t *WorkingTree) MergeBase(ctx context.Context, branch string) (string, error) {
	base, err := t.tree.MergeBase(ctx, branch)
	if errs.Is(err, errs.NotFound) && t.tree.RemoteName != "" {
		return t.tree.MergeBase(ctx, "refs/remotes/"+t.tree.RemoteName+"/"+branch)
	}
	return base, err
}

// LastCommit implements [History].
func (t *WorkingTree) LastCommit(ctx context.Context, path string) (string, error) {
	return t.tree.LastCommit(ctx, path), nil
}

// Name implements [Labels].
func (t *WorkingTree) Name() string { return t.tree.Root }

// Pretence says that a pipeline is made as if on a ref, with other code.
type Pretence struct {
	Code   string // the branch that is checked out; "HEAD" for none
	Commit string // that the ref has in this repository; "" for a ref that is not there
}

// Pretence reports whether the ref is another one than what is checked out, so
// that its name goes with a commit that is not its own. It is nil if not.
func (t *WorkingTree) Pretence(ctx context.Context) *Pretence {
	if t.ref.Name == "" || t.tree.SHA == "" || t.ref.Kind == git.KindBranch && t.ref.Name == t.tree.Branch {
		return nil
	}
	p := &Pretence{Code: cmp.Or(t.tree.Branch, "HEAD")}
	reader := t.tree.Reader(ctx)
	defer reader.Close()
	revisions := []string{"refs/heads/" + t.ref.Name, "refs/remotes/" + t.tree.RemoteName + "/" + t.ref.Name}
	if t.ref.Kind == git.KindTag {
		revisions = []string{"refs/tags/" + t.ref.Name}
	}
	for _, rev := range revisions {
		if c, err := reader.Commit(rev); err == nil {
			if p.Commit = c.SHA; p.Commit == t.tree.SHA {
				return nil
			}
			break
		}
	}
	return p
}

// At implements [Labels].
func (t *WorkingTree) At() string {
	commit := "no commit yet"
	if t.tree.SHA != "" {
		commit = short(t.tree.SHA)
	}
	return strings.TrimSpace(t.ref.Name + " " + commit)
}

// Close ends what reads other projects.
func (t *WorkingTree) Close() { t.others.close() }

// Listing is what a checkout of a working tree consists of.
type Listing struct {
	Paths      []string // files, links and the folders of submodules, from the root with slashes
	Unreadable []string // what the user may not read, so that it is not in Paths
	Changed    int      // files that differ from HEAD
	Submodules int      // that the working tree has at its top
	Missing    []string // submodules that are wanted but not checked out
}

// Listing lists the files that git knows or would add, with those of the submodules
// with the paths that are checked out, as deep as asked for. environ is the user's environment.
func (t *WorkingTree) Listing(ctx context.Context, submodules git.Submodules, paths git.SubmodulePaths, environ []string) (Listing, error) {
	files, err := t.files()
	if err != nil {
		return Listing{}, err
	}
	l := Listing{
		Paths: append(slices.Clone(files.Paths), files.Submodules...), Unreadable: files.Unreadable,
		Changed: len(files.Changed), Submodules: len(files.Submodules),
	}
	if submodules != git.SubmodulesNone {
		err = t.addSubmodules(ctx, &l, slices.DeleteFunc(slices.Clone(files.Submodules), func(p string) bool { return !paths.Has(p) }), submodules == git.SubmodulesRecursive, environ)
	}
	return l, err
}

func (t *WorkingTree) addSubmodules(ctx context.Context, l *Listing, folders []string, recursive bool, environ []string) error {
	for _, folder := range folders {
		dir := filepath.Join(t.tree.Root, filepath.FromSlash(folder))
		w, err := git.Open(ctx, dir, environ)
		if err != nil || git.RealPath(w.Root) != git.RealPath(dir) {
			l.Missing = append(l.Missing, folder)
			continue
		}
		files, err := w.Files(ctx)
		if err != nil {
			return err
		}
		for _, p := range files.Paths {
			l.Paths = append(l.Paths, folder+"/"+p)
		}
		inner := make([]string, len(files.Submodules))
		for i, s := range files.Submodules {
			inner[i] = folder + "/" + s
		}
		if recursive {
			if err := t.addSubmodules(ctx, l, inner, recursive, environ); err != nil {
				return err
			}
		}
	}
	return nil
}

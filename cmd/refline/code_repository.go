package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
)

// repository is the code of one commit of a repository elsewhere.
type repository struct {
	otherProjects
	e        *env
	remote   *git.Remote
	resolved git.Resolved
	began    time.Time
	reader   *git.Reader
	entries  func() ([]git.Entry, error)
	base     string // the checkout that workspaces are cloned from
	plain    bool   // base may be given back as a spare
	took     time.Duration
}

// userAccess is how the person who runs this program reaches repositories:
// with their own git and ssh configuration, a token from the environment, and
// the run's deploy key for the hosts that it is for.
func userAccess(e *env, sources includeSources, repo string) git.Access {
	a := git.Access{
		Trust: git.User, AllowFile: true, CAFile: sources.caFile, Environ: sources.keys.environ(e.environ(), repo),
		Username: e.getenv("REFLINE_GIT_USERNAME"),
		Notice:   func(text string) { e.notef("%s", text) },
	}
	if e.getenv("REFLINE_GIT_TOKEN") != "" {
		a.Password = func() string { return e.getenv("REFLINE_GIT_TOKEN") }
	}
	if t := sources.tokens.For(repo); t != nil {
		a.Username, a.Password = t.User, t.Text.RevealString
	}
	return a
}

func mirrorDir(e *env) (string, error) {
	dir, err := e.cacheDir()
	return filepath.Join(dir, "git"), err
}

// openRepository turns the ref into a commit, once, and brings it here.
func openRepository(ctx context.Context, e *env, o *pipelineOptions) (*repository, error) {
	r := &repository{e: e, began: time.Now()}
	cache, err := mirrorDir(e)
	if err != nil {
		return nil, err
	}
	url := o.repo
	if local, ok := localRepository(e, url); ok {
		url = local
	}
	if r.remote, err = git.NewRemote(url, cache, userAccess(e, o.includes, url)); err != nil {
		return nil, err
	}
	ref, err := r.ref(ctx, o)
	if err != nil {
		return nil, err
	}
	if r.resolved, err = r.remote.Update(ctx, ref, o.depth); err != nil {
		return nil, fmt.Errorf("%w%s", err, fromEnvironment(o, ref))
	}
	r.reader = r.remote.Reader(ctx)
	r.entries = sync.OnceValues(func() ([]git.Entry, error) { return r.reader.List(r.resolved.Commit) })
	r.otherProjects = otherProjects{e: e, sources: o.includes, origin: r.remote.URL()}
	return r, nil
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
	if isURL(repo) {
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

// ref is what the options name; without them what the environment does, else
// the branch one is on where the repository is the one that one stands in.
func (r *repository) ref(ctx context.Context, o *pipelineOptions) (git.Ref, error) {
	switch {
	case o.branch != "":
		return git.Ref{Kind: git.KindBranch, Name: o.branch}, nil
	case o.tag != "":
		return git.Ref{Kind: git.KindTag, Name: o.tag}, nil
	case o.commit != "":
		return git.Ref{Kind: git.KindCommit, Name: o.commit}, nil
	case o.ref != "":
		branch := git.Ref{Kind: git.KindBranch, Name: o.ref}
		_, err := r.remote.Resolve(ctx, branch)
		if !errs.Is(err, errs.NotFound) {
			return branch, err
		}
		tag := git.Ref{Kind: git.KindTag, Name: o.ref}
		if _, terr := r.remote.Resolve(ctx, tag); terr == nil {
			return tag, nil
		}
		return branch, err
	}
	current := ""
	if w, err := git.Open(ctx, r.e.dir, r.e.environ()); err == nil {
		if w.Root == r.remote.URL() || w.RemoteURL == r.remote.URL() {
			current = w.Branch
		}
	}
	return git.DefaultRef(r.e.getenv, current), nil
}

// Read reads a file of the commit.
func (r *repository) Read(ctx context.Context, src gitlabci.Source) ([]byte, gitlabci.Source, error) {
	if own, is := r.own(src); is {
		return readOwn(ctx, r, own)
	}
	if src.Kind != gitlabci.Local || src.Project != "" {
		return r.read(ctx, src)
	}
	path, err := localPath(src.Path)
	if err != nil {
		return nil, src, err
	}
	data, err := r.reader.ReadFile(r.resolved.Commit, path)
	return data, src, err
}

// List gives the paths of the commit.
func (r *repository) List(ctx context.Context, src gitlabci.Source) ([]string, error) {
	if src.Kind != gitlabci.Local || src.Project != "" {
		return r.list(ctx, src)
	}
	entries, err := r.entries()
	return entryPaths(entries), err
}

func entryPaths(entries []git.Entry) []string {
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = e.Path
	}
	return paths
}

func (r *repository) exists(_ context.Context, path string) bool {
	_, err := r.reader.ReadFile(r.resolved.Commit, path)
	return err == nil
}

func (r *repository) facts(ctx context.Context, _ *pipelineOptions, _ *env) (gitlabci.Facts, error) {
	c, err := r.reader.Commit(r.resolved.Commit)
	if err != nil {
		return gitlabci.Facts{}, err
	}
	f := gitlabci.Facts{
		SHA: r.resolved.Commit, Message: c.Message, Author: c.Author.String(), Committed: c.Committer.Time,
		UserName: c.Author.Name, UserEmail: c.Author.Email,
		Remote: r.remote.URL(), Folder: strings.TrimSuffix(filepath.Base(r.remote.URL()), ".git"),
	}
	if f.DefaultBranch, err = r.remote.DefaultBranch(ctx); err != nil {
		return f, err
	}
	if len(c.Parents) > 0 {
		f.BeforeSHA = c.Parents[0]
	}
	switch r.resolved.Kind {
	case git.KindTag:
		f.Tag = r.resolved.Name
	case git.KindBranch:
		f.Branch = r.resolved.Name
	}
	f.Protected = f.Branch != "" && f.Branch == f.DefaultBranch
	return f, nil
}

// changed knows no diff: what the last push was cannot be told from a
// repository alone.
func (r *repository) changed(context.Context, gitlabci.Facts) gitlabci.Changed {
	return gitlabci.Changed{}
}

// lastCommit looks through all history, of which a run with --depth may have to
// fetch the rest first.
func (r *repository) lastCommit(ctx context.Context, path string) string {
	if err := r.remote.Fetch(ctx, r.resolved, 0); err != nil {
		r.e.notef("the history of %s: %v", path, err)
		return ""
	}
	return r.remote.LastCommit(ctx, r.resolved.Commit, path)
}

// tree checks the commit out once; workspaces are clones of it.
func (r *repository) tree(ctx context.Context, dir string, o *runOptions) (*engine.Tree, error) {
	opts := git.CheckoutOptions{LFS: o.lfs, Sparse: o.sparse, Depth: o.depth}
	switch {
	case o.topModules:
		opts.Submodules = git.SubmodulesNormal
	case o.submodules:
		opts.Submodules = git.SubmodulesRecursive
	}
	r.base, r.plain = dir, !o.lfs && !o.submodules && len(o.sparse) == 0
	if err := r.remote.Checkout(ctx, r.resolved, dir, opts); err != nil {
		return nil, err
	}
	r.took = time.Since(r.began)
	return engine.NewTree(dir), nil
}

func (r *repository) borrowed() []string { return r.remote.Borrowed() }
func (r *repository) changedFiles() int  { return 0 }

// project is the repository as people name it.
func (r *repository) project() string { return r.remote.URL() }

// what is "data/flows.git · tag v1.4.0 → 9b1d0e4".
func (r *repository) what() string {
	parts := strings.FieldsFunc(r.remote.URL(), func(c rune) bool { return c == '/' || c == ':' })
	where := strings.Join(parts[max(0, len(parts)-2):], "/")
	name := strings.TrimSpace(string(r.resolved.Kind) + " " + r.resolved.Name)
	return fmt.Sprintf("%s · %s → %s", where, name, short(r.resolved.Commit))
}

func (r *repository) ready() time.Duration { return r.took }

// close gives the checkout back, so that the next run finds it ready made.
func (r *repository) close() {
	if r.reader != nil {
		r.reader.Close()
	}
	r.otherProjects.close()
	if r.base == "" || !r.plain {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// Not being able to is no loss: the next run makes its own.
	_ = r.remote.GiveBack(ctx, r.resolved, r.base)
}

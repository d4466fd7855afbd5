package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"refline/internal/errs"
)

// Worktree is the working tree of a folder. It can also be used in a repository
// without a commit and outside of any repository.
type Worktree struct {
	Root          string // top of the working tree; the folder itself outside a repository
	GitDir        string // "" outside a repository
	SHA           string // commit at HEAD; "" before the first one and outside
	Branch        string // "" when HEAD is detached and outside
	RemoteName    string // where Branch comes from, else origin, else the only remote; "" for none
	RemoteURL     string // without credentials
	DefaultBranch string // of the remote, as far as this repository knows it
	Shallow       bool

	place  place
	config config
	env    []string
	skip   []string // paths from Root, with slashes

	mu   sync.Mutex
	head *Head
}

// Head is the commit at HEAD and the tags that point at it.
type Head struct {
	Commit
	Tags []string // short names, sorted
}

// Open describes the working tree that holds dir. environ is the environment of
// the user, nil for that of this process. It reads files and starts no process,
// except where the repository's configuration includes other files.
//
// Inside a bare repository or a .git folder the kind is Invalid.
func Open(ctx context.Context, dir string, environ []string) (*Worktree, error) {
	env := userEnvironment(environ)
	p, ok, err := discover(dir, func(name string) string { return lookup(orEnviron(environ), name) })
	if err != nil {
		return nil, err
	}
	if !ok {
		root, err := filepath.Abs(dir)
		if err != nil {
			return nil, errs.E(errs.Invalid, "%w", err)
		}
		return &Worktree{Root: root, env: env}, nil
	}
	w := &Worktree{Root: p.root, GitDir: p.dir, place: p, env: env}
	if w.config, err = readConfig(ctx, p, env); err != nil {
		return nil, errs.E(errs.Invalid, "the configuration of %s: %w", p.root, err)
	}
	if top := w.config["core.worktree"]; top != "" {
		w.Root = resolve(p.dir, top)
		w.place.root = w.Root
	}
	if w.config["core.bare"] == "true" && p.dir == p.common {
		return nil, errs.E(errs.Invalid, "%s is configured as a bare repository; run it with --repo", p.root)
	}
	if err := w.readHead(ctx); err != nil {
		return nil, err
	}
	w.readRemote(ctx)
	_, err = os.Stat(filepath.Join(p.common, "shallow"))
	w.Shallow = err == nil
	return w, nil
}

func orEnviron(environ []string) []string {
	if environ == nil {
		return os.Environ()
	}
	return environ
}

// InRepository is false for a folder that no repository holds.
func (w *Worktree) InRepository() bool { return w.GitDir != "" }

// refsInFiles is false for a ref storage that only git can read.
func (w *Worktree) refsInFiles() bool {
	storage := w.config["extensions.refstorage"]
	return storage == "" || storage == "files"
}

func (w *Worktree) readHead(ctx context.Context) error {
	if !w.refsInFiles() {
		branch, _ := w.git("symbolic-ref", "-q", "HEAD").output(ctx)
		id, _ := w.git("rev-parse", "-q", "--verify", "HEAD").output(ctx)
		w.Branch = strings.TrimPrefix(strings.TrimSpace(string(branch)), "refs/heads/")
		w.SHA = strings.TrimSpace(string(id))
		return nil
	}
	ref, id, err := readHEAD(w.GitDir)
	switch {
	case err != nil:
		return errs.E(errs.Invalid, "HEAD of %s: %w", w.Root, err)
	case ref == "" && !isObjectID(id):
		return errs.E(errs.Invalid, "HEAD of %s is damaged: it holds %.60q instead of a branch or a commit; repair it: git symbolic-ref HEAD refs/heads/BRANCH", w.Root, id)
	case ref == "":
		w.SHA = id
		return nil
	}
	if short, ok := strings.CutPrefix(ref, "refs/"); !ok || badRefName(short) != "" {
		return errs.E(errs.Invalid, "HEAD of %s is damaged: %.60q is not the name of a branch; repair it: git symbolic-ref HEAD refs/heads/BRANCH", w.Root, ref)
	}
	w.Branch = strings.TrimPrefix(ref, "refs/heads/")
	w.SHA, err = w.followRef(ref)
	return err
}

// followRef returns the object that a ref names, "" if there is no such ref.
func (w *Worktree) followRef(name string) (string, error) {
	for range 5 { // as deep as git follows symbolic refs
		text, err := os.ReadFile(filepath.Join(w.place.common, filepath.FromSlash(name)))
		line := strings.TrimSpace(string(text))
		target, symbolic := strings.CutPrefix(line, "ref:")
		switch {
		case err == nil && symbolic && badRefName(strings.TrimSpace(target)) == "":
			name = strings.TrimSpace(target)
			continue
		case err == nil && !isObjectID(line):
			return "", errs.E(errs.Invalid, "%s of %s is damaged: it holds %.60q instead of a commit; git reflog shows where it was, git update-ref %s COMMIT repairs it", name, w.Root, line, name)
		}
		id, err := readRef(w.place.common, name)
		if err != nil {
			return "", errs.E(errs.Invalid, "%s of %s: %w", name, w.Root, err)
		}
		return id, nil
	}
	return "", errs.E(errs.Invalid, "%s of %s: too many symbolic refs one after the other", name, w.Root)
}

func (w *Worktree) readRemote(ctx context.Context) {
	w.RemoteName = w.config["branch."+w.Branch+".remote"]
	if w.RemoteName == "." {
		w.RemoteName = ""
	}
	if w.RemoteName == "" {
		only := ""
		for key := range w.config {
			if name, ok := strings.CutPrefix(key, "remote."); ok && strings.HasSuffix(name, ".url") {
				name = strings.TrimSuffix(name, ".url")
				if name == "origin" || only == "" {
					only = name
				} else if only != "origin" {
					only = "\x00" // several, none of them the usual one
				}
			}
		}
		w.RemoteName = strings.TrimPrefix(only, "\x00")
	}
	if w.RemoteName == "" {
		return
	}
	w.RemoteURL = withoutUserinfo(w.config["remote."+w.RemoteName+".url"])
	if w.RemoteURL == "" { // branch.x.remote may itself be a URL
		w.RemoteURL = withoutUserinfo(w.RemoteName)
	}
	prefix := "refs/remotes/" + w.RemoteName + "/"
	if !w.refsInFiles() {
		target, _ := w.git("symbolic-ref", "-q", prefix+"HEAD").output(ctx)
		if branch, ok := strings.CutPrefix(strings.TrimSpace(string(target)), prefix); ok {
			w.DefaultBranch = branch
		}
		return
	}
	if text, err := os.ReadFile(filepath.Join(w.place.common, filepath.FromSlash(prefix), "HEAD")); err == nil {
		if branch, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "ref: "+prefix); ok {
			w.DefaultBranch = branch
		}
	}
}

// Upstream is where the remote has a branch, as far as this repository knows:
// the full name of the remote-tracking ref and its commit, both "" if the remote
// is not known to have the branch.
func (w *Worktree) Upstream(ctx context.Context, branch string) Upstream {
	remote := or(w.config["branch."+branch+".remote"], w.RemoteName)
	if branch == "" || remote == "" || remote == "." {
		return Upstream{}
	}
	name := "refs/remotes/" + remote + "/" + strings.TrimPrefix(or(w.config["branch."+branch+".merge"], branch), "refs/heads/")
	var commit string
	if w.refsInFiles() {
		commit, _ = readRef(w.place.common, name)
	} else if out, err := w.git("rev-parse", "-q", "--verify", name).output(ctx); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	if commit == "" {
		return Upstream{}
	}
	return Upstream{Name: name, Commit: commit}
}

// Upstream is a remote-tracking ref.
type Upstream struct {
	Name   string // refs/remotes/…
	Commit string
}

// git prepares a command in the working tree. The user's ignore rules apply;
// what the repository's configuration could start does not.
func (w *Worktree) git(args ...string) process {
	return process{args: args, dir: w.Root, env: w.env, config: hardened()}
}

// Head returns the commit at HEAD. Before the first commit, and outside a
// repository, the kind is NotFound. It takes at most one process, and none when
// the objects in question are not packed.
func (w *Worktree) Head(ctx context.Context) (Head, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head != nil {
		return *w.head, nil
	}
	if w.SHA == "" {
		return Head{}, errs.E(errs.NotFound, "%s has no commit yet", w.Root)
	}
	r := w.Reader(ctx)
	defer r.Close()
	kind, body, err := w.object(r, w.SHA)
	if err != nil {
		return Head{}, err
	}
	if kind != "commit" {
		return Head{}, errs.E(errs.Invalid, "%s: HEAD names %s, which is not a commit in it; run git fsck", w.Root, w.SHA)
	}
	var h Head
	if h.Commit, err = parseCommit(w.SHA, body); err != nil {
		return Head{}, err
	}
	if h.Tags, err = w.tagsAt(ctx, r); err != nil {
		return Head{}, err
	}
	w.head = &h
	return h, nil
}

func (w *Worktree) object(r *Reader, id string) (kind string, body []byte, err error) {
	if kind, body, ok := readLoose(filepath.Join(w.place.common, "objects"), id); ok {
		return kind, body, nil
	}
	kind, _, body, err = r.object(id)
	return kind, body, err
}

func (w *Worktree) refs(ctx context.Context, prefixes ...string) ([]refEntry, error) {
	if w.refsInFiles() {
		return listRefs(w.place.common, prefixes...)
	}
	return askRefs(ctx, w.place, w.env, prefixes...)
}

// tagsAt lists the tags that point at HEAD, directly or through tag objects.
func (w *Worktree) tagsAt(ctx context.Context, r *Reader) ([]string, error) {
	refs, err := w.refs(ctx, "refs/tags/")
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, t := range refs {
		if t.peeled == "" && t.id != w.SHA {
			unknown = append(unknown, t.id)
		}
	}
	peeled, err := w.peelAll(ctx, r, unknown)
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, t := range refs {
		if t.id == w.SHA || t.peeled == w.SHA || peeled[t.id] == w.SHA {
			tags = append(tags, strings.TrimPrefix(t.name, "refs/tags/"))
		}
	}
	return tags, nil
}

// peelByHand is how many tags may be looked into before a process is cheaper.
const peelByHand = 32

// peelAll follows tag objects to the objects that they tag.
func (w *Worktree) peelAll(ctx context.Context, r *Reader, ids []string) (map[string]string, error) {
	peeled := map[string]string{}
	if len(ids) <= peelByHand {
		for _, id := range ids {
			target, err := w.peel(r, id)
			if err != nil {
				return nil, err
			}
			peeled[id] = target
		}
		return peeled, nil
	}
	p := w.git("--git-dir="+w.GitDir, "cat-file", "--batch-check=%(objectname)")
	p.stdin = strings.Join(ids, "^{}\n") + "^{}\n"
	out, err := p.output(ctx)
	if err != nil {
		return nil, w.explain(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if i < len(ids) {
			peeled[ids[i]] = line
		}
	}
	return peeled, nil
}

// peel follows tag objects to what they tag.
func (w *Worktree) peel(r *Reader, id string) (string, error) {
	for range 8 {
		kind, body, err := w.object(r, id)
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(body), "\n")
		next, ok := strings.CutPrefix(line, "object ")
		if kind != "tag" || !ok {
			return id, nil
		}
		id = next
	}
	return id, nil
}

// Reader reads the repository's objects until ctx ends or it is closed.
func (w *Worktree) Reader(ctx context.Context) *Reader {
	return newReader(ctx, w.GitDir, w.Root, w.env)
}

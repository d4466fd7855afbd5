package git

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// CheckoutOptions ask for more, or less, than the files of the commit. Sparse
// paths save writing files, not transferring them. The mirror is not a partial
// clone, because git in a job would then have to fetch missing objects without
// credentials.
type CheckoutOptions struct {
	Depth      int        // commits of history at least; 0 is all
	Submodules Submodules // none unless asked
	LFS        bool       // replace LFS pointers by their files
	Sparse     []string   // only these paths, and the files at the top; nil is everything
	// SubmodulePaths say which submodules; with ForceHTTPS those of this repository's
	// server that are named by ssh come by https.
	SubmodulePaths SubmodulePaths
	ForceHTTPS     bool
	Standalone     bool // copy the objects instead of borrowing them from the mirror
}

// Submodules says how deep to follow, in the words of GIT_SUBMODULE_STRATEGY.
type Submodules string

// The strategies.
const (
	SubmodulesNone      Submodules = ""
	SubmodulesNormal    Submodules = "normal"
	SubmodulesRecursive Submodules = "recursive"
)

// SubmodulePaths are path specifications separated by blanks, in the words of
// GIT_SUBMODULE_PATHS: submodules to take, and after ":(exclude)", ":!" or ":^" those to
// leave out. None means all.
type SubmodulePaths string

// Has reports whether a submodule at the top of a repository is one of them.
func (s SubmodulePaths) Has(name string) bool {
	named, included := false, false
	for spec := range strings.FieldsSeq(string(s)) {
		excluded := false
		for _, mark := range []string{":(exclude)", ":!", ":^"} {
			if rest, ok := strings.CutPrefix(spec, mark); ok {
				spec, excluded = rest, true
				break
			}
		}
		spec = strings.TrimSuffix(strings.TrimPrefix(spec, "./"), "/")
		glob, _ := path.Match(spec, name)
		is := spec == "." || spec == name || glob || strings.HasPrefix(name, spec+"/")
		if excluded && is {
			return false
		}
		named = named || !excluded
		included = included || is
	}
	return included || !named
}

// Checkout fetches the commit if needed and makes dst, which must not exist or be
// empty, its exact tree with a fresh .git: HEAD detached, origin/BRANCH or
// the tag set, no hooks, objects borrowed from the mirror (see Borrowed) unless
// it is to be standalone.
//
// A checkout of the pool is moved to the commit and renamed to dst if dst is on
// the cache's file system; then only files that differ are written. After an
// error dst does not exist.
func (r *Remote) Checkout(ctx context.Context, c Resolved, dst string, o CheckoutOptions) (err error) {
	dst, err = filepath.Abs(dst)
	if err != nil {
		return errs.E(errs.Invalid, "%w", err)
	}
	if err := os.Remove(dst); err != nil && !os.IsNotExist(err) {
		return errs.E(errs.Conflict, "%s exists and is not an empty folder", dst)
	}
	if err := r.Fetch(ctx, c, o.Depth); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dst)
		}
	}()
	before, _ := os.Stat(r.mirror())
	if err := r.populate(ctx, c, dst, o); err != nil {
		if errs.Is(err, errs.Internal) {
			if full := probeDisk(dst, filepath.Dir(dst), r.mirror()); full != nil {
				return full
			}
		}
		if err = r.heal(ctx, c, o.Depth, before, err); err != nil {
			return err
		}
		_ = os.RemoveAll(dst)
		if err = r.populate(ctx, c, dst, o); err != nil {
			return err
		}
	}
	if err := r.checkSparse(ctx, c, o.Sparse); err != nil {
		return err
	}
	if o.LFS {
		if err := r.pullLFS(ctx, c, dst, o.Standalone); err != nil {
			return err
		}
	}
	if o.Submodules != SubmodulesNone {
		return r.checkoutSubmodules(ctx, c, dst, o)
	}
	return nil
}

// heal handles a local command that failed on the mirror. If another process has
// replaced the mirror since before was taken, it fetches what is missing. Otherwise
// the mirror is damaged, and it is rebuilt. It returns the error if neither helps.
func (r *Remote) heal(ctx context.Context, c Resolved, depth int, before os.FileInfo, why error) error {
	if ctx.Err() != nil || errs.KindOf(why) != errs.Internal {
		return why
	}
	held, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer held.Close()
	if now, err := os.Stat(r.mirror()); err != nil || before == nil || !os.SameFile(before, now) {
		if _, ok := r.record(c, depth); ok {
			return nil
		}
		return r.fetchLocked(ctx, c, depth, held)
	}
	return r.rebuild(ctx, c, depth, held, why)
}

// populate makes the tree of c in dst, from the pool if it has a checkout.
func (r *Remote) populate(ctx context.Context, c Resolved, dst string, o CheckoutOptions) error {
	rec, ok := r.record(c, o.Depth)
	if !ok {
		return errs.E(errs.Internal, "the record of %s is gone", c.describe())
	}
	if o.Standalone {
		return r.standalone(ctx, c, rec, dst, o)
	}
	if len(o.Sparse) == 0 {
		if done, err := r.fromPool(ctx, c, rec, dst); done || err != nil {
			return err
		}
	}
	return r.fresh(ctx, c, rec, dst, o.Sparse)
}

// fresh writes every file.
func (r *Remote) fresh(ctx context.Context, c Resolved, rec record, dst string, sparse []string) error {
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return onDisk(err, "make %s", dst)
	}
	if err := r.gitDir(ctx, c, rec, sparse).write(filepath.Join(dst, ".git")); err != nil {
		return onDisk(err, "make %s", dst)
	}
	return r.readTree(ctx, c, dst)
}

func (r *Remote) readTree(ctx context.Context, c Resolved, dst string) error {
	p := r.inTree(dst, "read-tree", "--reset", "-u", c.Commit)
	p.strict = true
	_, err := p.output(ctx)
	return r.explainTree(err, dst)
}

// gitDir describes the .git of a checkout of c.
func (r *Remote) gitDir(ctx context.Context, c Resolved, rec record, sparse []string) gitDir {
	g := gitDir{
		head:       c.Commit,
		config:     workspaceConfig(),
		refs:       slices.Clone(rec.tags),
		alternates: []string{r.objects()},
		shallow:    rec.shallow,
	}
	if len(c.Commit) == 64 {
		g.config[0].value = "1"
		g.config = append(g.config, setting{"extensions.objectFormat", "sha256"})
	}
	g.config = append(g.config,
		setting{"remote.origin.url", r.Origin(ctx)},
		setting{"remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"})
	if len(sparse) > 0 {
		g.config = append(g.config, setting{"core.sparseCheckout", "true"}, setting{"core.sparseCheckoutCone", "false"})
		g.info = map[string]string{"sparse-checkout": sparsePatterns(sparse)}
	}
	own := refEntry{id: c.Commit}
	switch c.Kind {
	case KindBranch:
		own.name = "refs/remotes/origin/" + c.Name
	case KindTag:
		own.name = "refs/tags/" + c.Name
		if c.Object != "" {
			own.id, own.peeled = c.Object, c.Commit
		}
	default:
		return g
	}
	g.refs = slices.DeleteFunc(g.refs, func(e refEntry) bool {
		return e.name == own.name || strings.HasPrefix(e.name, own.name+"/") || strings.HasPrefix(own.name, e.name+"/")
	})
	g.refs = append(g.refs, own)
	slices.SortFunc(g.refs, func(a, b refEntry) int { return strings.Compare(a.name, b.name) })
	return g
}

// inTree prepares a command on the checkout at dst. It sees the checkout's true
// file times: what it finds unchanged is so.
func (r *Remote) inTree(dst string, args ...string) process {
	p := r.own(append([]string{"--git-dir=" + filepath.Join(dst, ".git"), "--work-tree=" + dst}, args...)...)
	p.dir = dst
	p.config = append(p.config, setting{"core.checkStat", "default"}, setting{"core.trustctime", "true"})
	return p
}

// explainTree keeps a failure of a local command Internal, which makes heal try,
// unless the disk is at fault.
func (r *Remote) explainTree(err error, dst string) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	for _, sign := range []string{"No space left on device", "Disk quota exceeded"} {
		if strings.Contains(f.stderr, sign) {
			return errs.E(errs.Unavailable, "write %s: the disk is full; free some space: %s", dst, lineWith(f.stderr, sign))
		}
	}
	for _, sign := range []string{"Permission denied", "Read-only file system",
		"File name too long", "Too many open files", "Input/output error", "cannot create directory at", "unable to create file", "failed to open file"} {
		if strings.Contains(f.stderr, sign) {
			return errs.E(errs.Conflict, "write %s: %s", dst, lineWith(f.stderr, sign))
		}
	}
	if strings.Contains(f.stderr, "invalid path '") {
		return errs.E(errs.Invalid, "the files of %s cannot be written: %s", r.URL(), lineWith(f.stderr, "invalid path '"))
	}
	return errs.E(errs.Internal, "git %s in a checkout of %s: %s", f.verb, r.URL(), lastLine(f.stderr))
}

// differentAttributes reports whether a .gitattributes differs between two
// commits. If so, unchanged files may have to be written differently.
func (r *Remote) differentAttributes(ctx context.Context, a, b string) (bool, error) {
	out, err := r.own("--git-dir="+r.mirror(), "diff-tree", "-r", "--name-only", "-z", "--no-renames",
		a, b, "--", ".gitattributes", ":(glob)**/.gitattributes").output(ctx)
	return len(bytes.TrimSpace(out)) > 0, err
}

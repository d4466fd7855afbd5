package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Fetch brings a commit into the mirror. If the commit is already there, it starts
// no process and makes no connection. depth is the least number of commits of
// history, 0 for all. Tags that point into the history are fetched too.
//
// A commit counts as present only when its record is written, after git has
// checked that everything it reaches has arrived. An interrupted fetch leaves
// objects that nothing relies on. A mirror that git cannot use is rebuilt beside
// the old one and replaces it.
func (r *Remote) Fetch(ctx context.Context, c Resolved, depth int) error {
	if !isObjectID(c.Commit) {
		return errs.E(errs.Invalid, "%q is not the whole name of a commit", c.Commit)
	}
	if rec, ok := r.record(c, depth); ok {
		r.used(rec)
		return nil
	}
	held, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer held.Close()
	if _, ok := r.record(c, depth); ok { // another process fetched it
		return nil
	}
	return r.fetchLocked(ctx, c, depth, held)
}

func (r *Remote) fetchLocked(ctx context.Context, c Resolved, depth int, held *os.File) error {
	if err := r.sweep(); err != nil {
		return err
	}
	err := initMirror(r.mirror(), c.Commit)
	if err == nil {
		err = r.fetchInto(ctx, r.mirror(), c, depth, held)
	}
	if err == nil || ctx.Err() != nil || errs.KindOf(err) != errs.Internal {
		return err
	}
	if full := probeDisk(r.mirror(), filepath.Join(r.mirror(), "objects")); full != nil {
		return full
	}
	return r.rebuild(ctx, c, depth, held, err)
}

// Update is Resolve and Fetch in one: for a branch or a tag it takes one process
// and one connection instead of two. It holds the mirror's lock while it is
// connected, so a server that looks at one repository often is better off with
// the two.
func (r *Remote) Update(ctx context.Context, ref Ref, depth int) (Resolved, error) {
	if err := ref.check(); err != nil {
		return Resolved{}, err
	}
	if ref.Kind == KindBranch || ref.Kind == KindTag {
		c, err := r.update(ctx, ref, depth)
		if err == nil || ctx.Err() != nil || errs.KindOf(err) != errs.Internal {
			return c, err
		}
	}
	c, err := r.Resolve(ctx, ref)
	if err != nil {
		return Resolved{}, err
	}
	return c, r.Fetch(ctx, c, depth)
}

func (r *Remote) update(ctx context.Context, ref Ref, depth int) (Resolved, error) {
	held, err := r.lock(ctx)
	if err != nil {
		return Resolved{}, err
	}
	defer held.Close()
	if err := r.sweep(); err != nil {
		return Resolved{}, err
	}
	mirror := r.mirror()
	if err := initMirror(mirror, ""); err != nil {
		return Resolved{}, err
	}
	// A name of our own: "a" and "a/b" may follow each other as branches.
	sum := sha256.Sum256([]byte(ref.full()))
	kept := "refs/keep/" + hex.EncodeToString(sum[:])
	err = r.transfer(ctx, mirror, depth, held, exactly(ref.full(), kept)...)
	if errs.Is(err, errs.NotFound) && strings.Contains(err.Error(), "remote ref") {
		return Resolved{}, r.unknown(ctx, ref)
	}
	if err != nil {
		return Resolved{}, fmt.Errorf("fetch %s: %w", ref, err)
	}
	c := Resolved{Kind: ref.Kind, Name: ref.Name}
	if c.Commit, err = readRef(mirror, kept); err != nil {
		return Resolved{}, err
	}
	if c.Commit == "" {
		return Resolved{}, r.unknown(ctx, ref)
	}
	if ref.Kind == KindTag {
		commit, err := r.peel(ctx, mirror, c.Commit)
		if err != nil {
			return Resolved{}, err
		}
		if commit == "" {
			return Resolved{}, r.noCommit(ref.String())
		}
		if commit != c.Commit {
			c.Commit, c.Object = commit, c.Commit
		}
	}
	if rec, ok := r.record(c, depth); ok {
		r.used(rec)
		return c, nil
	}
	return c, r.writeRecord(mirror, c, depth)
}

// exactly is the refspec that takes the ref of this full name and no other.
// git, when there is none, looks further: a tag "refs/heads/main" would do for a
// branch main. The names it would try are shut out; kept is then pruned.
func exactly(full, kept string) []string {
	specs := []string{"+" + full + ":" + kept}
	for _, guess := range []string{"refs/%s", "refs/tags/%s", "refs/heads/%s", "refs/remotes/%s", "refs/remotes/%s/HEAD"} {
		specs = append(specs, "^"+fmt.Sprintf(guess, full))
	}
	return specs
}

// peel returns the commit that an object of the mirror leads to, "" for none.
func (r *Remote) peel(ctx context.Context, mirror, id string) (string, error) {
	out, err := r.own("--git-dir="+mirror, "rev-parse", "--verify", "--quiet", id+"^{commit}").output(ctx)
	if _, none := errors.AsType[*failure](err); none {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}

func (r *Remote) noCommit(what string) error {
	return errs.E(errs.Invalid, "%s of %s is a tree or a file, not a commit", what, r.URL())
}

// checkCommit refuses an object that was fetched by name and is not a commit.
func (r *Remote) checkCommit(ctx context.Context, mirror string, c Resolved) error {
	commit, err := r.peel(ctx, mirror, c.Commit)
	switch {
	case err != nil || commit == c.Commit:
		return err
	case commit == "":
		return r.noCommit(c.describe())
	default:
		return errs.E(errs.Invalid, "%.12s of %s is a tag object; its commit is %s", c.Commit, r.URL(), commit)
	}
}

// fetchInto takes the commit and records it.
func (r *Remote) fetchInto(ctx context.Context, mirror string, c Resolved, depth int, held *os.File) error {
	refspecs := []string{"+" + c.Commit + ":refs/keep/" + c.Commit}
	if c.Object != "" {
		refspecs = append(refspecs, "+"+c.Object+":refs/keep/"+c.Object)
	}
	err := r.transfer(ctx, mirror, depth, held, refspecs...)
	if err != nil && refusesCommits(err) {
		err = r.fetchRefs(ctx, mirror, c, held)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", c.describe(), err)
	}
	if err := r.checkCommit(ctx, mirror, c); err != nil {
		return err
	}
	return r.writeRecord(mirror, c, depth)
}

// transfer runs the fetch. While the file busy exists, temporary and lock files
// in the mirror may be left over from a killed process.
func (r *Remote) transfer(ctx context.Context, mirror string, depth int, held *os.File, refspecs ...string) error {
	busy := filepath.Join(mirror, "busy")
	if err := os.WriteFile(busy, nil, 0o600); err != nil {
		return onDisk(err, "the mirror of %s", r.URL())
	}
	args := []string{"--git-dir=" + mirror, "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance",
		"--prune",          // tags that are gone, and the ref of a branch that is
		"--update-shallow", // the remote itself may be shallow
	}
	_, err := os.Stat(filepath.Join(mirror, "shallow"))
	shallow := err == nil
	if depth > 0 && (shallow || !hasRefs(mirror)) { // --depth would cut a whole mirror
		args = append(args, "--depth="+strconv.Itoa(depth))
	} else {
		refspecs = append(refspecs, "+refs/tags/*:refs/tags/*") // else git leaves tags that moved where they were
		if shallow {
			args = append(args, "--depth="+strconv.Itoa(unlimited))
		}
	}
	args = append(append(args, "--", r.addr.text), refspecs...)
	if _, err := r.ask(ctx, process{args: args, dir: r.dir, hold: held, remote: true, strict: true}); err != nil {
		return err
	}
	if err := os.Remove(busy); err != nil {
		return onDisk(err, "the mirror of %s", r.URL())
	}
	return nil
}

func (c Resolved) describe() string {
	if c.Name == "" {
		return fmt.Sprintf("commit %.12s", c.Commit)
	}
	return fmt.Sprintf("%s %q at %.12s", c.Kind, c.Name, c.Commit)
}

// refusesCommits reports a server of the old protocol, which serves only what a
// ref names.
func refusesCommits(err error) bool {
	return strings.Contains(err.Error(), "unadvertised object") || strings.Contains(err.Error(), "does not support shallow")
}

// fetchRefs fetches everything, from servers that do not serve single commits.
func (r *Remote) fetchRefs(ctx context.Context, mirror string, c Resolved, held *os.File) error {
	args := []string{"--git-dir=" + mirror, "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", "--prune"}
	if _, err := os.Stat(filepath.Join(mirror, "shallow")); err == nil {
		args = append(args, "--unshallow")
	}
	args = append(args, "--", r.addr.text, "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/tags/*")
	if c.Kind == KindMergeRequest {
		for _, full := range mergeRequestRefs(c.Name) { // a pattern may match nothing, a name must not
			args = append(args, "+"+path.Dir(full)+"/*:refs/all/"+strings.TrimPrefix(path.Dir(full), "refs/")+"/*")
		}
	}
	if _, err := r.ask(ctx, process{args: args, dir: r.dir, hold: held, remote: true}); err != nil {
		return err
	}
	update := fmt.Sprintf("update refs/keep/%s %s\n", c.Commit, c.Commit)
	p := r.own("--git-dir="+mirror, "update-ref", "--stdin")
	p.stdin = update
	if _, err := p.output(ctx); err != nil {
		if _, isFailure := errors.AsType[*failure](err); isFailure {
			return errs.E(errs.NotFound, "%s is not in a branch or tag of %s, and the server serves nothing else; was it replaced by a forced push?", c.describe(), r.URL())
		}
		return err
	}
	return nil
}

func hasRefs(mirror string) bool {
	kept, _ := os.ReadDir(filepath.Join(mirror, "refs", "keep"))
	_, err := os.Stat(filepath.Join(mirror, "packed-refs"))
	return len(kept) > 0 || err == nil
}

package git

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
)

// A spare is a checkout of some commit that waits in the cache. Its folder's
// name says all: boot-time-commit-random. Files that were written before a
// crash of the machine may be empty without their index knowing, so a spare
// counts for the boot it was made in only.
const (
	maxSpares   = 2
	maxSpareAge = 14 * 24 * time.Hour
)

type spare struct {
	path   string
	boot   string
	made   time.Time
	commit string
}

// spares lists what waits, newest first.
func (r *Remote) spares() []spare {
	entries, err := os.ReadDir(filepath.Join(r.dir, "spare"))
	if err != nil {
		return nil
	}
	var found []spare
	for _, e := range entries {
		f := strings.Split(e.Name(), "-")
		if len(f) != 4 || !isObjectID(f[2]) {
			continue
		}
		at, _ := strconv.ParseInt(f[1], 10, 64)
		found = append(found, spare{filepath.Join(r.dir, "spare", e.Name()), f[0], time.Unix(at, 0), f[2]})
	}
	slices.SortFunc(found, func(a, b spare) int { return cmp.Compare(b.made.Unix(), a.made.Unix()) })
	return found
}

// fromSpare turns a spare into the checkout at dst. done is false when there is
// none that serves.
func (r *Remote) fromSpare(ctx context.Context, c Resolved, rec record, dst string) (done bool, err error) {
	found := r.spares()
	slices.SortStableFunc(found, func(a, b spare) int { // at the commit already: first
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.commit == c.Commit], map[bool]int{true: 0, false: 1}[b.commit == c.Commit])
	})
	boot := bootID()
	for _, s := range found {
		if s.boot != boot || len(s.commit) != len(c.Commit) {
			continue
		}
		// The rename is what claims it: one process wins.
		if os.MkdirAll(filepath.Dir(dst), 0o777) != nil || os.Rename(s.path, dst) != nil {
			continue
		}
		if r.move(ctx, s.commit, c, rec, dst) {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err := os.RemoveAll(dst); err != nil {
			return false, onDisk(err, "clear %s", dst)
		}
		return false, nil
	}
	return false, nil
}

// move brings a claimed spare from one commit to another. It reports false when
// the spare is of no use after all; writing all files then finds out why.
func (r *Remote) move(ctx context.Context, from string, c Resolved, rec record, dst string) bool {
	if err := r.gitDir(ctx, c, rec, nil).write(filepath.Join(dst, ".git")); err != nil {
		return false
	}
	if from == c.Commit {
		// Undo what putSpare did: from here on a job may write.
		return os.Chtimes(filepath.Join(dst, ".git", "index"), time.Time{}, time.Now()) == nil
	}
	index := filepath.Join(dst, ".git", "index")
	before := namesAttributes(index)
	attributes := make(chan bool, 1)
	go func() {
		differ, err := false, error(nil)
		if before {
			differ, err = r.differentAttributes(ctx, from, c.Commit)
		}
		attributes <- differ || err != nil
	}()
	readTree := r.inTree(dst, "read-tree", "-m", "-u", from, c.Commit)
	readTree.strict = true
	_, err := readTree.output(ctx)
	return !<-attributes && err == nil && (before || !namesAttributes(index))
}

// namesAttributes tells whether a .gitattributes file may be in an index; it
// spares a process where there is none. The index is of version 2 or 3, which
// spell each path out.
func namesAttributes(index string) bool {
	text, err := os.ReadFile(index)
	return err != nil || len(text) < 8 || text[7] > 3 || bytes.Contains(text, []byte(".gitattributes"))
}

// PrepareSpare makes a checkout of a commit that Fetch has brought and leaves it
// in the cache for a later Checkout, of this commit or of another. It returns at
// once when enough of them wait or another process is at it. Call it when
// nobody waits: after a run, in a child that outlives the command, or between
// the jobs of a server.
func (r *Remote) PrepareSpare(ctx context.Context, c Resolved) error {
	held, err := r.spareLock()
	if held == nil || err != nil {
		return err
	}
	defer lock.Release(held)
	r.tidy(ctx)
	if r.trimSpares() >= maxSpares {
		return nil
	}
	rec, ok := r.record(c, 0)
	if !ok {
		if rec, ok = r.record(c, 1); !ok {
			return errs.E(errs.NotFound, "%s is not in the mirror of %s", c.describe(), r.URL())
		}
	}
	dir, err := r.scratch("spare")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "tree")
	if err := r.fresh(ctx, c, rec, tree, nil); err != nil {
		return err
	}
	return r.putSpare(tree, c.Commit)
}

// GiveBack hands a checkout that Checkout made, without submodules, LFS or
// sparse paths, back to the cache as a spare: dir is gone afterwards. No job may
// have run in it, only in copies of it; a checkout in which git finds any
// change is thrown away. It saves the cost of PrepareSpare.
func (r *Remote) GiveBack(ctx context.Context, c Resolved, dir string) error {
	defer os.RemoveAll(dir)
	held, err := r.spareLock()
	if held == nil || err != nil {
		return err
	}
	defer lock.Release(held)
	r.tidy(ctx)
	if r.trimSpares() >= maxSpares {
		return nil
	}
	if !isPlain(dir) {
		return nil
	}
	// git looks with a fresh .git again: not with one that somebody may have changed.
	if err := onlyIndex(dir); err != nil {
		return err
	}
	if err := r.gitDir(ctx, c, record{}, nil).write(filepath.Join(dir, ".git")); err != nil {
		return onDisk(err, "keep a spare checkout")
	}
	out, err := r.inTree(dir, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames").output(ctx)
	if err != nil || len(out) > 0 {
		return r.explainTree(err, dir)
	}
	return r.putSpare(dir, c.Commit)
}

// isPlain is false for a checkout with LFS files, submodules or paths left out,
// which its index does not tell.
func isPlain(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, ".git", "config"))
	conf, ok := parseConfig(string(text))
	if err != nil || !ok {
		return false
	}
	for key := range conf {
		if section, _, _ := strings.Cut(key, "."); section == "filter" || section == "submodule" || key == "core.sparsecheckout" {
			return false
		}
	}
	return true
}

// onlyIndex empties .git but for the index: all else is written when the spare
// is used.
func onlyIndex(tree string) error {
	entries, err := os.ReadDir(filepath.Join(tree, ".git"))
	if err != nil {
		return errs.E(errs.Internal, "keep a spare checkout: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "index" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(tree, ".git", e.Name())); err != nil {
			return onDisk(err, "keep a spare checkout")
		}
	}
	return nil
}

func (r *Remote) putSpare(tree, commit string) error {
	if err := onlyIndex(tree); err != nil {
		return err
	}
	// git reads again every file as young as the index. These will not change
	// while they wait, and an index from the future says so.
	if err := os.Chtimes(filepath.Join(tree, ".git", "index"), time.Time{}, time.Now().Add(2*time.Second)); err != nil {
		return onDisk(err, "keep a spare checkout")
	}
	folder := filepath.Join(r.dir, "spare")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return onDisk(err, "keep a spare checkout")
	}
	now := time.Now()
	name := strings.Join([]string{bootID(), strconv.FormatInt(now.Unix(), 10), commit, strconv.Itoa(now.Nanosecond())}, "-")
	if err := os.Rename(tree, filepath.Join(folder, name)); err != nil && !os.IsExist(err) {
		return onDisk(err, "keep a spare checkout")
	}
	return nil
}

// spareLock is nil when another process makes a spare. Under it, what lies in
// tmp as a spare is left over from a killed process.
func (r *Remote) spareLock() (*os.File, error) {
	held, err := r.tryLock("spare.lock")
	if held != nil {
		r.clearScratch("spare")
	}
	return held, err
}

// trimSpares removes those of no use any more and counts the rest.
func (r *Remote) trimSpares() int {
	boot, n := bootID(), 0
	for _, s := range r.spares() {
		if s.boot == boot && time.Since(s.made) < maxSpareAge && n < maxSpares {
			n++
			continue
		}
		dir, err := r.scratch("spare")
		if err != nil {
			continue
		}
		_ = os.Rename(s.path, filepath.Join(dir, "old")) // out of reach first, then file by file
		_ = os.RemoveAll(dir)
	}
	return n
}

// bootID names the time since the machine started, "0" where it cannot be told.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(text) < 8 {
		return "0"
	}
	return string(text[:8])
}

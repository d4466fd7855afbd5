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

// The pool holds checkouts of some commits, ready to be moved to another one. The
// name of a checkout's folder describes it: boot-time-commit-random. After a crash
// of the machine its files may be empty although the index lists them, so a
// checkout is used only until the next boot.
const (
	maxPooled    = 2
	maxPooledAge = 14 * 24 * time.Hour
)

type pooledCheckout struct {
	path   string
	boot   string
	made   time.Time
	commit string
}

// pooled lists the checkouts of the pool, newest first.
func (r *Remote) pooled() []pooledCheckout {
	entries, err := os.ReadDir(filepath.Join(r.dir, "pool"))
	if err != nil {
		return nil
	}
	var found []pooledCheckout
	for _, e := range entries {
		f := strings.Split(e.Name(), "-")
		if len(f) != 4 || !isObjectID(f[2]) {
			continue
		}
		at, _ := strconv.ParseInt(f[1], 10, 64)
		found = append(found, pooledCheckout{filepath.Join(r.dir, "pool", e.Name()), f[0], time.Unix(at, 0), f[2]})
	}
	slices.SortFunc(found, func(a, b pooledCheckout) int { return cmp.Compare(b.made.Unix(), a.made.Unix()) })
	return found
}

// fromPool turns a checkout of the pool into the one at dst. done is false if none
// fits.
func (r *Remote) fromPool(ctx context.Context, c Resolved, rec record, dst string) (done bool, err error) {
	found := r.pooled()
	slices.SortStableFunc(found, func(a, b pooledCheckout) int { // at the commit already: first
		return cmp.Compare(map[bool]int{true: 0, false: 1}[a.commit == c.Commit], map[bool]int{true: 0, false: 1}[b.commit == c.Commit])
	})
	boot := bootID()
	for _, s := range found {
		if s.boot != boot || len(s.commit) != len(c.Commit) {
			continue
		}
		// The rename claims it: one process wins.
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

// move brings a claimed checkout from one commit to another. It returns false if
// that fails; writing all files then reports why.
func (r *Remote) move(ctx context.Context, from string, c Resolved, rec record, dst string) bool {
	if err := r.gitDir(ctx, c, rec, nil).write(filepath.Join(dst, ".git")); err != nil {
		return false
	}
	if from == c.Commit {
		// Undo what addToPool did: from now on a job may write.
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

// namesAttributes reports whether a .gitattributes file may be in an index, to
// save a process if there is none. The index has version 2 or 3, which hold whole
// paths.
func namesAttributes(index string) bool {
	text, err := os.ReadFile(index)
	return err != nil || len(text) < 8 || text[7] > 3 || bytes.Contains(text, []byte(".gitattributes"))
}

// Prepare adds a checkout of a fetched commit to the pool, for a later Checkout of
// this commit or another. It returns at once if the pool is full or another
// process is filling it. Call it when no run waits: after a run, in a child that
// outlives the command, or between the jobs of a server.
func (r *Remote) Prepare(ctx context.Context, c Resolved) error {
	held, err := r.lockPool()
	if held == nil || err != nil {
		return err
	}
	defer lock.Release(held)
	r.tidy(ctx)
	if r.trimPool() >= maxPooled {
		return nil
	}
	rec, ok := r.record(c, 0)
	if !ok {
		if rec, ok = r.record(c, 1); !ok {
			return errs.E(errs.NotFound, "%s is not in the mirror of %s", c.describe(), r.URL())
		}
	}
	dir, err := r.scratch("pool")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "tree")
	if err := r.fresh(ctx, c, rec, tree, nil); err != nil {
		return err
	}
	return r.addToPool(tree, c.Commit)
}

// Recycle moves a checkout that Checkout made, without submodules, LFS or sparse
// paths, into the pool; dir does not exist afterwards. No job may have run in it,
// only in copies of it: a checkout in which git finds a change is removed. It
// saves the cost of Prepare.
func (r *Remote) Recycle(ctx context.Context, c Resolved, dir string) error {
	defer os.RemoveAll(dir)
	held, err := r.lockPool()
	if held == nil || err != nil {
		return err
	}
	defer lock.Release(held)
	r.tidy(ctx)
	if r.trimPool() >= maxPooled {
		return nil
	}
	if !isPlain(dir) {
		return nil
	}
	// git compares with a fresh .git, not with one that may have been changed.
	if err := onlyIndex(dir); err != nil {
		return err
	}
	if err := r.gitDir(ctx, c, record{}, nil).write(filepath.Join(dir, ".git")); err != nil {
		return onDisk(err, "keep a checkout in the pool")
	}
	out, err := r.inTree(dir, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored", "--no-renames").output(ctx)
	if err != nil || len(out) > 0 {
		return r.explainTree(err, dir)
	}
	return r.addToPool(dir, c.Commit)
}

// isPlain is false for a checkout with LFS files, submodules or sparse paths, which
// its index does not show.
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

// onlyIndex empties .git except for the index. The rest is written when the
// checkout is used.
func onlyIndex(tree string) error {
	entries, err := os.ReadDir(filepath.Join(tree, ".git"))
	if err != nil {
		return errs.E(errs.Internal, "keep a checkout in the pool: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "index" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(tree, ".git", e.Name())); err != nil {
			return onDisk(err, "keep a checkout in the pool")
		}
	}
	return nil
}

func (r *Remote) addToPool(tree, commit string) error {
	if err := onlyIndex(tree); err != nil {
		return err
	}
	// git reads every file again that is as young as the index. Files in the pool
	// do not change, and an index from the future says so.
	if err := os.Chtimes(filepath.Join(tree, ".git", "index"), time.Time{}, time.Now().Add(2*time.Second)); err != nil {
		return onDisk(err, "keep a checkout in the pool")
	}
	folder := filepath.Join(r.dir, "pool")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return onDisk(err, "keep a checkout in the pool")
	}
	now := time.Now()
	name := strings.Join([]string{bootID(), strconv.FormatInt(now.Unix(), 10), commit, strconv.Itoa(now.Nanosecond())}, "-")
	if err := os.Rename(tree, filepath.Join(folder, name)); err != nil && !os.IsExist(err) {
		return onDisk(err, "keep a checkout in the pool")
	}
	return nil
}

// lockPool returns nil if another process fills the pool. Under the lock, pool
// folders in tmp are left over from a killed process.
func (r *Remote) lockPool() (*os.File, error) {
	held, err := r.tryLock("pool.lock")
	if held != nil {
		r.clearScratch("pool")
	}
	return held, err
}

// trimPool removes checkouts that are too old or too many and counts the rest.
func (r *Remote) trimPool() int {
	boot, n := bootID(), 0
	for _, s := range r.pooled() {
		if s.boot == boot && time.Since(s.made) < maxPooledAge && n < maxPooled {
			n++
			continue
		}
		dir, err := r.scratch("pool")
		if err != nil {
			continue
		}
		_ = os.Rename(s.path, filepath.Join(dir, "old")) // out of reach first, then file by file
		_ = os.RemoveAll(dir)
	}
	return n
}

// bootID identifies the boot of the machine, "0" if it is unknown.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(text) < 8 {
		return "0"
	}
	return string(text[:8])
}

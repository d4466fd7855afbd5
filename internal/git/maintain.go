package git

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// MaintainOptions say how much maintenance is done.
type MaintainOptions struct {
	// Forget drops commits that no Fetch or Checkout asked for since then; 0 keeps
	// all. Checkouts borrow objects of the mirror, so none may be as old as that.
	Forget time.Duration
}

// Maintain joins packs and loose refs of the mirror and drops what MaintainOptions
// allow. It waits for other users of the mirror. A server calls it when it is idle;
// local runs tidy their mirrors by themselves.
func (r *Remote) Maintain(ctx context.Context, o MaintainOptions) error {
	if _, err := os.Stat(r.mirror()); os.IsNotExist(err) {
		return nil
	}
	held, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := r.sweep(); err != nil {
		return err
	}
	if o.Forget <= 0 {
		return r.repack(ctx, held, "--geometric=2", "-d")
	}
	limit := time.Now().Add(-o.Forget)
	if err := r.forget(ctx, limit); err != nil {
		return err
	}
	stamp := strconv.FormatInt(limit.Unix(), 10)
	if err := r.repack(ctx, held, "-A", "-d", "--unpack-unreachable="+stamp); err != nil {
		return err
	}
	_, err = r.own("--git-dir="+r.mirror(), "prune", "--expire="+stamp).output(ctx)
	return r.explainTree(err, r.mirror())
}

// repack joins packs as args say, and loose refs. Should it be killed, the next
// user of the mirror finds the file busy and clears up.
func (r *Remote) repack(ctx context.Context, held *os.File, args ...string) error {
	busy := filepath.Join(r.mirror(), "busy")
	if err := os.WriteFile(busy, nil, 0o600); err != nil {
		return onDisk(err, "the mirror of %s", r.URL())
	}
	for _, args := range [][]string{append([]string{"repack", "--quiet"}, args...), {"pack-refs", "--all"}} {
		p := r.own(append([]string{"--git-dir=" + r.mirror()}, args...)...)
		p.hold = held
		if _, err := p.output(ctx); err != nil {
			return r.explainTree(err, r.mirror())
		}
	}
	if err := os.Remove(busy); err != nil {
		return onDisk(err, "the mirror of %s", r.URL())
	}
	return nil
}

// forget removes the records of commits that were last asked for before limit,
// and leaves refs to just the other commits. The lock is held.
func (r *Remote) forget(ctx context.Context, limit time.Time) error {
	records, err := filepath.Glob(filepath.Join(globEscape(r.mirror()), "have", "*", "*"))
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, path := range records {
		st, err := os.Stat(path)
		if err == nil && st.ModTime().Before(limit) {
			err = os.Remove(path) // before its commit goes
		} else if err == nil {
			kept[filepath.Base(path)] = true
			text, _ := os.ReadFile(path)
			for line := range strings.Lines(string(text)) {
				if object, ok := strings.CutPrefix(line, "object "); ok {
					kept[strings.TrimSpace(object)] = true
				}
			}
		}
		if err != nil && !os.IsNotExist(err) {
			return onDisk(err, "the mirror of %s", r.URL())
		}
	}
	refs, err := listRefs(r.mirror(), "refs/keep/", "refs/all/")
	if err != nil {
		return onDisk(err, "the refs in the mirror of %s", r.URL())
	}
	var changes strings.Builder
	for _, ref := range refs {
		if !kept[ref.id] {
			changes.WriteString("delete " + ref.name + "\n")
		}
	}
	for id := range kept { // a branch that moved on leaves its commit without a ref
		changes.WriteString("update refs/keep/" + id + " " + id + "\n")
	}
	if changes.Len() == 0 {
		return nil
	}
	p := r.own("--git-dir="+r.mirror(), "update-ref", "--stdin")
	p.stdin = changes.String()
	_, err = p.output(ctx)
	return r.explainTree(err, r.mirror())
}

// PruneMirrors removes the mirrors below cache that were not used for so long, with
// their pools. Mirrors in use stay.
func PruneMirrors(cache string, unused time.Duration) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if e.IsDir() && isMirrorFolder(e.Name()) {
			(&Remote{dir: filepath.Join(cache, e.Name())}).pruneUnused(time.Now(), unused)
		}
	}
}

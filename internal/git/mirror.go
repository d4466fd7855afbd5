package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Fetch brings a commit into the mirror, unless it is there already: then it
// takes no process and talks to nobody. depth is how many commits of history
// are wanted at least, 0 for all of it. Tags that point into the history come
// along.
//
// A commit counts as being there only once its record is written, after git has
// checked that all it reaches has arrived; a fetch that is cut off leaves
// objects that nothing relies on. A mirror that git cannot work with is built
// anew beside it and takes its place.
func (r *Remote) Fetch(ctx context.Context, c Resolved, depth int) error {
	if !isObjectID(c.Commit) {
		return errs.E(errs.Invalid, "%q is not the whole name of a commit", c.Commit)
	}
	if _, ok := r.record(c, depth); ok {
		return nil
	}
	held, err := lock(ctx, filepath.Join(r.dir, "lock"), r.access.notice)
	if err != nil {
		return err
	}
	defer held.Close()
	if _, ok := r.record(c, depth); ok { // another process was faster
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
	return r.rebuild(ctx, c, depth, held, err)
}

// rebuild makes a new mirror with the one commit and puts it in the place of
// the one that failed. Only the swap is seen by others.
func (r *Remote) rebuild(ctx context.Context, c Resolved, depth int, held *os.File, why error) error {
	r.access.notice(fmt.Sprintf("the mirror of %s is damaged and is built anew (%v)", r.URL(), why))
	fresh, err := r.scratch("mirror")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := initMirror(fresh, c.Commit); err != nil {
		return err
	}
	if err := r.fetchInto(ctx, fresh, c, depth, held); err != nil {
		return err
	}
	old, err := r.scratch("damaged")
	if err != nil {
		return err
	}
	defer os.RemoveAll(old)
	if err := os.Rename(r.mirror(), filepath.Join(old, "repo.git")); err != nil && !os.IsNotExist(err) {
		return errs.E(errs.Conflict, "replace the mirror of %s: %w", r.URL(), err)
	}
	if err := os.Rename(fresh, r.mirror()); err != nil {
		return errs.E(errs.Conflict, "replace the mirror of %s: %w", r.URL(), err)
	}
	return nil
}

// initMirror makes an empty bare repository, or leaves the one that is there.
func initMirror(dir, commit string) error {
	if _, err := os.Stat(filepath.Join(dir, "config")); err == nil {
		return nil
	}
	settings := []setting{{"core.repositoryformatversion", "0"}, {"core.bare", "true"}}
	if len(commit) == 64 {
		settings[0].value = "1"
		settings = append(settings, setting{"extensions.objectFormat", "sha256"})
	}
	// The configuration is written last of all that makes it a repository.
	g := gitDir{head: "ref: refs/heads/none"}
	if err := g.write(dir); err != nil {
		return errs.E(errs.Conflict, "make a mirror: %w", err)
	}
	if err := writeWhole(filepath.Join(dir, "config"), formatConfig(settings)); err != nil {
		return errs.E(errs.Conflict, "make a mirror: %w", err)
	}
	return nil
}

const unlimited = 1<<31 - 1 // what git calls infinite depth

// fetchInto takes the commit and records it.
func (r *Remote) fetchInto(ctx context.Context, mirror string, c Resolved, depth int, held *os.File) error {
	busy := filepath.Join(mirror, "busy")
	if err := os.WriteFile(busy, nil, 0o600); err != nil {
		return errs.E(errs.Conflict, "the mirror of %s: %w", r.URL(), err)
	}
	args := []string{"--git-dir=" + mirror, "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance"}
	_, err := os.Stat(filepath.Join(mirror, "shallow"))
	shallow := err == nil
	whole := !shallow && hasRefs(mirror)
	switch {
	case depth > 0 && !whole: // a whole mirror stays whole: --depth would cut it
		args = append(args, "--depth="+strconv.Itoa(depth))
	case shallow:
		args = append(args, "--depth="+strconv.Itoa(unlimited))
	}
	args = append(args, "--", r.addr.text, "+"+c.Commit+":refs/keep/"+c.Commit)
	if c.Object != "" {
		args = append(args, "+"+c.Object+":refs/keep/"+c.Object)
	}
	fetch := process{args: args, dir: r.dir, hold: held, strict: true}
	_, err = r.ask(ctx, fetch)
	if err != nil && refusesCommits(err) {
		err = r.fetchRefs(ctx, mirror, c, held)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", c.describe(), err)
	}
	if err := r.writeRecord(mirror, c, depth); err != nil {
		return err
	}
	_ = os.Remove(busy)
	return nil
}

func (c Resolved) describe() string {
	if c.Name == "" {
		return fmt.Sprintf("commit %.12s", c.Commit)
	}
	return fmt.Sprintf("%s %q at %.12s", c.Kind, c.Name, c.Commit)
}

// refusesCommits tells that a server speaks the old protocol, in which only
// what a ref names can be asked for.
func refusesCommits(err error) bool {
	return strings.Contains(err.Error(), "unadvertised object") || strings.Contains(err.Error(), "does not support shallow")
}

// fetchRefs takes everything, for servers that do not serve single commits.
func (r *Remote) fetchRefs(ctx context.Context, mirror string, c Resolved, held *os.File) error {
	args := []string{"--git-dir=" + mirror, "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", "--prune"}
	if _, err := os.Stat(filepath.Join(mirror, "shallow")); err == nil {
		args = append(args, "--unshallow")
	}
	args = append(args, "--", r.addr.text, "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/tags/*")
	if _, err := r.ask(ctx, process{args: args, dir: r.dir, hold: held}); err != nil {
		return err
	}
	update := fmt.Sprintf("update refs/keep/%s %s\n", c.Commit, c.Commit)
	p := r.own("--git-dir="+mirror, "update-ref", "--stdin")
	p.stdin = update
	if _, err := p.output(ctx); err != nil {
		if _, isFailure := errors.AsType[*failure](err); isFailure {
			return errs.E(errs.NotFound, "%s is in no branch or tag of %s, and the server gives nothing else; was it replaced by a forced push?", c.describe(), r.URL())
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

// record is what a checkout needs to know about a commit in the mirror: where
// its history ends, and the tags that came with it. In a mirror of shallow
// fetches both differ from commit to commit.
type record struct {
	shallow string
	tags    []refEntry
}

func recordPath(mirror string, depth int, commit string) string {
	return filepath.Join(mirror, "have", strconv.Itoa(depth), commit)
}

// record finds the commit with enough history, and its tag object.
func (r *Remote) record(c Resolved, depth int) (record, bool) {
	depths := []int{0, depth}
	if entries, err := os.ReadDir(filepath.Join(r.mirror(), "have")); err == nil && depth > 0 {
		for _, e := range entries {
			if d, err := strconv.Atoi(e.Name()); err == nil && d > depth {
				depths = append(depths, d)
			}
		}
	}
	for _, d := range depths {
		text, err := os.ReadFile(recordPath(r.mirror(), d, c.Commit))
		if err != nil || c.Object != "" && !strings.Contains(string(text), "object "+c.Object+"\n") {
			continue
		}
		rec := record{tags: parsePackedRefs(string(text), []string{"refs/tags/"})}
		for line := range strings.Lines(string(text)) {
			if id, ok := strings.CutPrefix(line, "shallow "); ok {
				rec.shallow += id
			}
		}
		return rec, true
	}
	return record{}, false
}

func (r *Remote) writeRecord(mirror string, c Resolved, depth int) error {
	var text strings.Builder
	shallow, err := os.ReadFile(filepath.Join(mirror, "shallow"))
	if err != nil {
		depth = 0 // the history turned out to be whole
	}
	for line := range strings.Lines(string(shallow)) {
		text.WriteString("shallow " + strings.TrimSpace(line) + "\n")
	}
	if c.Object != "" {
		text.WriteString("object " + c.Object + "\n")
	}
	tags, err := listRefs(mirror, "refs/tags/")
	if err != nil {
		return err
	}
	text.WriteString(writePackedRefs(tags))
	path := recordPath(mirror, depth, c.Commit)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return writeWhole(path, text.String())
}

// writeWhole makes the file appear with all its content or not at all.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// sweep removes what a killed process left. The lock is held, so every lock
// file and temporary file in the mirror belongs to nobody.
func (r *Remote) sweep() error {
	r.clearScratch("mirror", "damaged")
	busy := filepath.Join(r.mirror(), "busy")
	if _, err := os.Stat(busy); err != nil {
		return nil
	}
	err := filepath.WalkDir(r.mirror(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone, or not readable: git will say
		}
		name := d.Name()
		halfObject := strings.HasPrefix(name, "tmp_") && strings.HasPrefix(path, r.objects())
		if halfObject || strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, ".new-") {
			_ = os.RemoveAll(path)
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.Remove(busy)
}

// scratch makes a fresh folder below tmp, on the file system of the mirror.
func (r *Remote) scratch(name string) (string, error) {
	tmp := filepath.Join(r.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return "", errs.E(errs.Conflict, "the cache folder: %w", err)
	}
	dir, err := os.MkdirTemp(tmp, name+"-*")
	if err != nil {
		return "", errs.E(errs.Conflict, "the cache folder: %w", err)
	}
	return dir, nil
}

// clearScratch removes what scratch made under these names; the caller holds
// the lock that goes with them.
func (r *Remote) clearScratch(names ...string) {
	entries, _ := os.ReadDir(filepath.Join(r.dir, "tmp"))
	for _, e := range entries {
		if name, _, _ := strings.Cut(e.Name(), "-"); slices.Contains(names, name) {
			_ = os.RemoveAll(filepath.Join(r.dir, "tmp", e.Name()))
		}
	}
}

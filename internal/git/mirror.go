package git

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// rebuild makes a new mirror with the one commit and replaces the damaged one.
// Other processes only see the swap.
func (r *Remote) rebuild(ctx context.Context, c Resolved, depth int, held *os.File, why error) error {
	r.access.notice(fmt.Sprintf("the mirror of %s is damaged and is rebuilt (%v)", r.URL(), why))
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
		return onDisk(err, "replace the mirror of %s", r.URL())
	}
	if err := os.Rename(fresh, r.mirror()); err != nil {
		return onDisk(err, "replace the mirror of %s", r.URL())
	}
	return nil
}

// initMirror makes an empty bare repository, or leaves the one that is there.
func initMirror(dir, commit string) error {
	sha256 := len(commit) == 64
	if text, err := os.ReadFile(filepath.Join(dir, "config")); err == nil {
		if commit == "" || strings.Contains(string(text), "sha256") == sha256 {
			return nil
		}
		if err := os.RemoveAll(dir); err != nil { // made before its object format was known
			return onDisk(err, "make a mirror")
		}
	}
	settings := []setting{{"core.repositoryformatversion", "0"}, {"core.bare", "true"}}
	if sha256 {
		settings[0].value = "1"
		settings = append(settings, setting{"extensions.objectFormat", "sha256"})
	}
	// The configuration is written last of all that makes it a repository.
	g := gitDir{head: "ref: refs/heads/none"}
	if err := g.write(dir); err != nil {
		return onDisk(err, "make a mirror")
	}
	if err := writeWhole(filepath.Join(dir, "config"), formatConfig(settings)); err != nil {
		return onDisk(err, "make a mirror")
	}
	return nil
}

const unlimited = 1<<31 - 1 // what git calls infinite depth

// sweep removes what a killed process left. The lock is held, so no lock file or
// temporary file in the mirror is in use.
func (r *Remote) sweep() error {
	r.clearScratch("mirror", "damaged")
	busy := filepath.Join(r.mirror(), "busy")
	if _, err := os.Stat(busy); err != nil {
		return nil
	}
	err := filepath.WalkDir(r.mirror(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone, or unreadable: git reports that
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
	if err == nil {
		err = os.Remove(busy)
	}
	if err != nil {
		return onDisk(err, "clear the mirror of %s", r.URL())
	}
	return nil
}

// tidy joins packs and loose refs after many small fetches. It drops no object, so
// checkouts that borrow are not affected. It is called when no run waits, and does
// nothing if the mirror is in use. It also removes unused mirrors of the cache.
func (r *Remote) tidy(ctx context.Context) {
	r.pruneOthers(time.Now())
	packs, _ := filepath.Glob(filepath.Join(globEscape(r.objects()), "pack", "*.pack"))
	refs, _ := os.ReadDir(filepath.Join(r.mirror(), "refs", "keep"))
	tags, _ := os.ReadDir(filepath.Join(r.mirror(), "refs", "tags"))
	if len(packs) <= maxPacks && len(refs)+len(tags) < maxLooseRefs {
		return
	}
	held, err := r.tryLock("lock")
	if held == nil || err != nil {
		return
	}
	defer held.Close()
	if r.sweep() != nil {
		return
	}
	if err := r.repack(ctx, held, "--geometric=2", "-d"); err != nil {
		r.access.notice(fmt.Sprintf("the mirror of %s could not be tidied (%v)", r.URL(), err))
	}
}

// What git copes with without becoming slower.
const (
	maxPacks     = 20
	maxLooseRefs = 200
)

// scratch makes a fresh folder below tmp, on the file system of the mirror.
func (r *Remote) scratch(name string) (string, error) {
	tmp := filepath.Join(r.dir, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return "", onDisk(err, "the cache folder")
	}
	dir, err := os.MkdirTemp(tmp, name+"-*")
	if err != nil {
		return "", onDisk(err, "the cache folder")
	}
	return dir, nil
}

// clearScratch removes what scratch made under these names; the caller holds
// their lock.
func (r *Remote) clearScratch(names ...string) {
	entries, _ := os.ReadDir(filepath.Join(r.dir, "tmp"))
	for _, e := range entries {
		if name, _, _ := strings.Cut(e.Name(), "-"); slices.Contains(names, name) {
			_ = os.RemoveAll(filepath.Join(r.dir, "tmp", e.Name()))
		}
	}
}

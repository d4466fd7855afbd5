package git

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/lock"
)

// A mirror that was not used for so long is removed, with its pool. No job runs
// that long on borrowed objects. The cache is checked once a day.
const (
	unusedAfter = 60 * 24 * time.Hour
	pruneEvery  = 24 * time.Hour
	pruneMark   = ".pruned" // in the cache, as old as the last look
)

// pruneOthers removes the unused mirrors of the cache. It is called when no run
// waits; what is locked, or cannot be removed, stays.
func (r *Remote) pruneOthers(now time.Time) {
	cache := filepath.Dir(r.dir)
	mark := filepath.Join(cache, pruneMark)
	if st, err := os.Stat(mark); err == nil && now.Sub(st.ModTime()) < pruneEvery {
		return
	}
	if os.WriteFile(mark, nil, 0o600) != nil || os.Chtimes(mark, now, now) != nil {
		return
	}
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		other := &Remote{access: r.access, dir: filepath.Join(cache, e.Name())}
		if e.IsDir() && other.dir != r.dir && isMirrorFolder(e.Name()) {
			other.pruneUnused(now, unusedAfter)
		}
	}
}

// used makes the mirror and a record young where no lock had to be taken.
func (r *Remote) used(rec record) {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(r.dir, "lock"), now, now)
	_ = os.Chtimes(rec.path, now, now)
}

// isMirrorFolder recognises the names that folderName makes.
func isMirrorFolder(name string) bool {
	sum := name[strings.LastIndexByte(name, '-')+1:]
	return len(sum) == 16 && isHex(sum)
}

// pruneUnused removes the mirror unless it is in use or was used recently. Each use
// writes the lock files, so their age is the age of the last use.
func (r *Remote) pruneUnused(now time.Time, unused time.Duration) {
	var held []*os.File
	defer func() {
		for _, f := range held {
			lock.Release(f)
		}
	}()
	names := []string{"pool.lock", "lock"}
	for _, name := range names {
		f, err := lock.OpenExisting(filepath.Join(r.dir, name), lock.ModeTry) // tryLock would make it young
		if os.IsNotExist(err) && name == "pool.lock" {
			continue
		}
		if err != nil {
			return
		}
		held = append(held, f)
		st, err := f.Stat() // under the lock no other process changes it
		if err != nil || now.Sub(st.ModTime()) < unused {
			return
		}
	}
	away, err := r.scratch("damaged") // if this process is killed, the next sweep clears it
	if err != nil {
		return
	}
	for _, name := range []string{"pool", "repo.git"} {
		if err := os.Rename(filepath.Join(r.dir, name), filepath.Join(away, name)); err != nil && !os.IsNotExist(err) {
			return
		}
	}
	entries, _ := os.ReadDir(r.dir)
	for _, e := range entries {
		if name := e.Name(); name != "lock" && name != "pool.lock" {
			_ = os.RemoveAll(filepath.Join(r.dir, name))
		}
	}
	_ = os.RemoveAll(r.dir) // the locks last; where open files cannot be removed, an empty folder stays
}

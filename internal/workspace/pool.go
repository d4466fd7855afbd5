package workspace

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
)

// UsePool makes the tree keep released workspaces in dir, which the caller removes
// at the end of the run. The next clone is one of them, reset: what its job
// changed is made again. That costs a look at each file instead of making and
// removing it. A job sees no difference.
//
// It is for jobs that trust each other: a process that survives its job could
// write to a workspace that another job got.
func (t *Tree) UsePool(dir string) { t.poolDir = dir }

// fromPool takes a released workspace, nil if there is none.
func (t *Tree) fromPool() *Workspace {
	t.poolMu.Lock()
	defer t.poolMu.Unlock()
	if len(t.pool) == 0 {
		return nil
	}
	w := t.pool[len(t.pool)-1]
	t.pool = t.pool[:len(t.pool)-1]
	return w
}

// reused makes a pooled workspace into a new one at dst. It is nil if there is
// none, or if its job left it in a state that cannot be reset. What the job made is
// beside dst afterwards, in a folder that is removed with the job's.
func (t *Tree) reused(ctx context.Context, dst string) *Workspace {
	w := t.fromPool()
	if w == nil || move(w.Dir, dst) != nil {
		return nil
	}
	w.Dir = dst
	debris := dst + ".before"
	if t.renew(ctx, w, debris) == nil {
		return w
	}
	if os.Rename(dst, filepath.Join(debris, "workspace")) != nil && os.Rename(dst, debris) != nil {
		_ = RemoveAll(dst) // else Clone reports what is in its way
	}
	return nil
}

// Release hands the workspace back to its tree for another job, if the tree has a
// pool. Nothing of the job may run any more.
func (w *Workspace) Release() {
	t := w.tree
	if t == nil || w.closed {
		return
	}
	t.poolMu.Lock()
	defer t.poolMu.Unlock()
	t.poolCount++
	place := filepath.Join(t.poolDir, strconv.Itoa(t.poolCount))
	if move(w.Dir, place) == nil {
		t.pool = append(t.pool, &Workspace{Dir: place, tree: t, made: w.made})
		w.closed = true
	}
}

// move renames a folder to a place whose parent may not be there yet.
func move(from, to string) error {
	err := os.Rename(from, to)
	if os.IsNotExist(err) && os.MkdirAll(filepath.Dir(to), 0o700) == nil {
		err = os.Rename(from, to)
	}
	return err
}

// madeState is what a workspace looked like when its job got it.
type madeState struct {
	dirs  []dirStamp // as in Tree.dirs
	ready int64      // nanoseconds since 1970
}

type dirStamp struct {
	stamp
	attributes string // extended ones, with their values
	files      []stamp
}

// stamp shows whether a file is the one that was made. Its ctime changes with
// every modification and cannot be set. If the clock of the file system is too
// coarse, the content is compared.
type stamp struct {
	dev   uint64
	mode  uint32 // with the kind
	owner uint32
	group uint32
	links uint64
	size  int64
	mtime int64 // nanoseconds since 1970
	id    Identity
}

// fine and coarse bound by how much a ctime may lie behind the clock: a tick of
// the kernel, or a whole unit on file systems that keep seconds.
const (
	fine   = 20e6
	coarse = 2e9
)

// surely reports whether a change after ready would have given another ctime.
func (s *stamp) surely(ready int64) bool {
	if s.id.ctime%10e6 == 0 {
		return s.id.ctime+coarse < ready
	}
	return s.id.ctime+fine < ready
}

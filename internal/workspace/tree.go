package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Sizes of trees, measured. Up to memoryFiles and memoryBytes the content stays in
// memory, so that a run of a small repository writes no base. From overlayFiles or
// overlayBytes on, a mount is cheaper than files, if mounts are possible. From
// parallelFiles or parallelBytes on, several files are written at once; below, the
// goroutines cost more than they save.
const (
	memoryFiles   = 1000
	memoryBytes   = 4 << 20
	overlayFiles  = 200
	overlayBytes  = 64 << 20
	parallelFiles = 256
	parallelBytes = 32 << 20
)

// Tree is the base of a run: the files that every job starts from. It is read
// once; each job gets a clone whose files are its own, so that a job may write
// in place and no other job sees it. A Tree is safe for concurrent use.
type Tree struct {
	base    string       // the folder it was made from, for an overlay
	dir     string       // the folder that copies are made from; "" if the content is in memory
	load    func() error // fills dirs, files and bytes
	large   func() bool  // whether dir is worth an overlay
	paths   func() map[string]bool
	folders func() map[string]bool
	noMount atomic.Bool // an overlay was tried and refused

	moves  bool // the first clone is the checkout itself
	listed bool // after the files were listed

	poolDir   string // for released workspaces; "": no pool
	poolMu    sync.Mutex
	pool      []*Workspace
	poolCount int

	dirs  []treeDir // a parent before what is inside; the first is the root
	files int
	bytes int64
	limit bool // stop at what is large

	leftOut []string // see LeftOut
}

// treeDir is one directory of a tree, with its files and links.
type treeDir struct {
	path  string      // with slashes, "." for the root
	mode  fs.FileMode // 0: as any new one
	files []fileNode
}

// NewTree makes a tree of the files in dir, a checkout that must not change
// during the run. They are read on first use.
func NewTree(dir string) *Tree {
	t := &Tree{base: dir, dir: dir}
	t.noMount.Store(!canMount())
	t.load = sync.OnceValue(func() error {
		root, err := openFolder(dir)
		if err != nil {
			return fmt.Errorf("read the files of the run: %w", err)
		}
		defer root.close()
		if err = t.scan(root, "."); err == nil && t.small() {
			err = t.keep(root)
		}
		if err != nil {
			return fmt.Errorf("read the files of %s: %w", dir, err)
		}
		return nil
	})
	t.large = sync.OnceValue(t.isLarge)
	t.paths, t.folders = sync.OnceValue(t.pathSet), sync.OnceValue(t.folderSet)
	return t
}

// Size gives the number of files and links, and their bytes.
func (t *Tree) Size() (files int, bytes int64, err error) {
	err = t.load()
	return t.files, t.bytes, err
}

// Has reports whether the tree has a file or link at path, with slashes.
func (t *Tree) Has(path string) bool { return t.load() == nil && t.paths()[path] }

// isDir reports whether the tree has a directory at path.
func (t *Tree) isDir(path string) bool { return t.folders()[path] }

func (t *Tree) folderSet() map[string]bool {
	set := make(map[string]bool, len(t.dirs))
	for i := range t.dirs {
		set[t.dirs[i].path] = true
	}
	return set
}

func (t *Tree) pathSet() map[string]bool {
	set := make(map[string]bool, t.files)
	for i := range t.dirs {
		for j := range t.dirs[i].files {
			set[joinPath(t.dirs[i].path, t.dirs[i].files[j].name)] = true
		}
	}
	return set
}

// overlaySuffix names the folder beside a mounted workspace that holds what was
// written to it.
const overlaySuffix = ".overlay"

// Workspace is the folder of one job.
type Workspace struct {
	Dir     string
	overlay bool
	closed  bool
	tree    *Tree // that Release hands it back to; nil for none
	made    madeState
}

// Clone makes dst, which must not exist, a copy of the tree that shares nothing
// that can be written. It may be a mount, which a container engine does not see:
// see [Tree.CloneFiles]. After an error dst does not exist.
func (t *Tree) Clone(ctx context.Context, dst string) (*Workspace, error) {
	return t.clone(ctx, dst, true)
}

// CloneFiles is Clone without mounts, for whatever sees the folder but not our
// mounts.
func (t *Tree) CloneFiles(ctx context.Context, dst string) (*Workspace, error) {
	return t.clone(ctx, dst, false)
}

func (t *Tree) clone(ctx context.Context, dst string, mayMount bool) (*Workspace, error) {
	if t.moves {
		return t.moveTo(dst)
	}
	if mayMount {
		if w := t.reused(ctx, dst); w != nil {
			return w, nil
		}
	}
	if err := makeDir(dst); err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	w := &Workspace{Dir: dst}
	if mayMount && t.worthMount() {
		if mountOverlay(t.base, dst) == nil {
			w.overlay = true
			return w, nil
		}
		t.noMount.Store(true)
	}
	err := t.load()
	if err == nil {
		if t.dir == "" || !cloneTree(t.dir, dst) {
			err = t.copyTo(ctx, dst)
		}
		if err == nil && mayMount && t.poolDir != "" {
			if t.look(w) == nil { // else it is used once
				w.tree = t
			}
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("workspace %s: %w", dst, err), RemoveAll(dst))
	}
	return w, nil
}

// worthMount reports whether the tree is on disk and large enough for an overlay.
// It stops looking as soon as it knows: listing a large tree takes longer than
// mounting it.
func (t *Tree) worthMount() bool { return !t.noMount.Load() && t.large() }

func (t *Tree) isLarge() bool {
	root, err := openFolder(t.base)
	if err != nil {
		return false
	}
	defer root.close()
	peek := &Tree{limit: true}
	return errors.Is(peek.scan(root, "."), errLarge)
}

// makeDir makes dir, which must not exist, and its parents.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o777)
}

// Close removes the workspace with all that the job left in it. It is
// idempotent.
func (w *Workspace) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	if w.overlay {
		return errors.Join(unmountOverlay(w.Dir), RemoveAll(w.Dir))
	}
	return RemoveAll(w.Dir)
}

// copyTo writes the tree by files to dst, a new and empty folder.
func (t *Tree) copyTo(ctx context.Context, dst string) error {
	to, extra, err := openNew(dst)
	if err != nil {
		return err
	}
	defer to.close()
	for _, d := range t.dirs[1:] {
		mode := d.mode | 0o700
		if d.mode == 0 {
			mode = 0o777
		}
		if err := to.mkdir(d.path, mode); err != nil {
			return err
		}
	}
	from := folder{}
	if t.dir != "" {
		if from, err = openFolder(t.dir); err != nil {
			return err
		}
		defer from.close()
	}
	err = t.each(ctx, func(d *treeDir, files []fileNode) error {
		return t.copyFiles(from, to, d, files, extra)
	})
	if err != nil {
		return err
	}
	// Last and from the bottom: a directory without write permission cannot be filled.
	for i := len(t.dirs) - 1; i >= 0; i-- {
		d := &t.dirs[i]
		if d.mode != 0 && (d.mode&0o700 != 0o700 || d.mode&extra != 0) {
			if err := to.chmod(d.path, d.mode); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *Tree) copyFiles(from, to folder, d *treeDir, files []fileNode, extra fs.FileMode) (err error) {
	if d.path != "." {
		if to, err = to.sub(d.path); err != nil {
			return err
		}
		defer to.close()
		if t.dir != "" {
			if from, err = from.sub(d.path); err != nil {
				return err
			}
			defer from.close()
		}
	}
	for i := range files {
		n := &files[i]
		switch {
		case n.kind == isLink:
			err = to.symlink(n)
		case t.dir == "":
			err = to.write(n, n.data, extra)
		default:
			_, err = to.copy(from, n, extra)
		}
		if err != nil {
			return inDir(d.path, err)
		}
	}
	return nil
}

// each calls do for all files of every directory, in pieces and at once when
// there are many.
func (t *Tree) each(ctx context.Context, do func(d *treeDir, files []fileNode) error) error {
	if t.files < parallelFiles && t.bytes < parallelBytes {
		for i := range t.dirs {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if d := &t.dirs[i]; len(d.files) > 0 {
				if err := do(d, d.files); err != nil {
					return err
				}
			}
		}
		return nil
	}
	const piece = 128
	var tasks []func() error
	for i := range t.dirs {
		d := &t.dirs[i]
		for rest := d.files; len(rest) > 0; {
			n := min(piece, len(rest))
			files := rest[:n]
			rest = rest[n:]
			tasks = append(tasks, func() error { return do(d, files) })
		}
	}
	return atOnce(ctx, tasks)
}

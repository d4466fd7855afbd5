package engine

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
)

// stowing brings a selection into a folder of its own.
type stowing struct {
	sel   *selection
	to    folder
	extra fs.FileMode
	move  bool
	// same tells of a file that the folder old has with the same content under
	// the same path; nil when there is no such folder.
	same func(path string, n *fileNode) bool
	old  folder

	upper  *folder // where an overlay keeps what was written; nil for no overlay
	tasks  []func() error
	sealed []pickedDir // directories that get their permissions at the end
}

type pickedDir struct {
	path string
	mode fs.FileMode
}

// stow copies the selection to dst, a new folder. With move the files are
// taken out of the workspace, which is then of no use, where that is possible:
// on the same file system, and for files that have no other name by which
// somebody could still write to them.
func (s *selection) stow(ctx context.Context, dst string, move bool) error {
	st := stowing{sel: s, move: move && !s.viaLink}
	return st.run(ctx, dst)
}

func (st *stowing) run(ctx context.Context, dst string) (err error) {
	if err := makeDir(dst); err != nil {
		return err
	}
	if st.to, st.extra, err = openNew(dst); err != nil {
		return err
	}
	defer st.to.close()
	from, err := openFolderIn(st.sel.root, ".")
	if err != nil {
		return err
	}
	defer from.close()
	err = st.dir(from, ".", &st.sel.top)
	if st.upper != nil {
		st.upper.close()
	}
	if err != nil {
		return err
	}
	if st.sel.files < parallelFiles && st.sel.bytes < parallelBytes {
		for _, task := range st.tasks {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := task(); err != nil {
				return err
			}
		}
	} else if err := atOnce(ctx, st.tasks); err != nil {
		return err
	}
	for _, d := range slices.Backward(st.sealed) {
		if err := st.to.chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// dir stows what is selected inside p, which is the folder from at path at.
func (st *stowing) dir(from folder, at string, p *pick) error {
	to := st.to
	if at != "." {
		sub, err := st.to.sub(at)
		if err != nil {
			return err
		}
		defer sub.close()
		to = sub
	}
	var files []fileNode
	for _, name := range slices.Sorted(maps.Keys(p.inside)) {
		q := p.inside[name]
		if st.moved(from, to, joinPath(at, name), q) {
			continue
		}
		if q.kind != isDir {
			files = append(files, q.fileNode)
			continue
		}
		if err := st.subdir(from, to, joinPath(at, name), q); err != nil {
			return err
		}
	}
	st.add(at, files)
	return nil
}

// moved moves what can be moved.
func (st *stowing) moved(from, to folder, full string, q *pick) bool {
	if !st.move || q.kind == isDir && (q.inside == nil || st.upper != nil) || !q.whole() {
		return false
	}
	if st.upper != nil {
		return to.rename(*st.upper, full, q.name) == nil
	}
	err := to.rename(from, q.name, q.name)
	if errors.Is(err, syscall.EXDEV) {
		if st.findUpper() {
			return st.moved(from, to, full, q)
		}
		st.move = false
	}
	return err == nil
}

// findUpper looks whether the workspace is an overlay. Nothing can be renamed
// out of one, but single files can out of the folder that holds what was
// written to it: they are whole there, which a directory need not be.
func (st *stowing) findUpper() bool {
	upper, err := openFolder(st.sel.root.Name() + overlaySuffix + "/upper")
	if err == nil {
		st.upper = &upper
	}
	return err == nil
}

func (st *stowing) subdir(from, to folder, full string, q *pick) error {
	if err := to.mkdir(q.name, q.mode|0o700); err != nil {
		return err
	}
	if q.mode&0o700 != 0o700 || q.mode&st.extra != 0 {
		st.sealed = append(st.sealed, pickedDir{full, q.mode | 0o500}) // we have to read it again
	}
	below, err := from.sub(q.name)
	if err != nil { // a link to a directory, on the way to a pattern
		below, err = openFolderIn(st.sel.root, full)
	}
	if err != nil {
		return err
	}
	defer below.close()
	return st.dir(below, full, q)
}

// add notes files of the directory at to be copied.
func (st *stowing) add(at string, files []fileNode) {
	const piece = 128
	for part := range slices.Chunk(files, piece) {
		st.tasks = append(st.tasks, func() error { return st.copy(at, part) })
	}
}

func (st *stowing) copy(at string, files []fileNode) error {
	from, err := openFolderIn(st.sel.root, at)
	if err != nil {
		return err
	}
	defer from.close()
	to, err := st.to.sub(at)
	if err != nil {
		return err
	}
	defer to.close()
	same := func(*fileNode) bool { return false }
	if st.same != nil {
		if old, err := st.old.sub(at); err == nil {
			defer old.close()
			same = func(n *fileNode) bool {
				return st.same(joinPath(at, n.name), n) && to.hardlink(old, n.name, n.name) == nil
			}
		}
	}
	for i := range files {
		n := &files[i]
		if n.kind == isLink {
			err = to.symlink(n)
		} else if !same(n) {
			_, err = to.copy(from, n, st.extra)
		}
		if err != nil {
			return inDir(at, err)
		}
	}
	return nil
}

// unstow copies the files of src, a folder that stow made, into a workspace.
// What is in the way of a file is replaced; a directory in the way is an
// error. Links of the workspace are followed only inside it. When seen is not
// nil it gets the identity of every file that was made.
func unstow(ctx context.Context, src *Tree, workspace string, seen map[string]identity) error {
	if err := src.load(); err != nil {
		return err
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	var sealed []pickedDir
	for _, d := range src.dirs[1:] {
		made, err := ensureDir(root, d.path)
		if err != nil {
			return err
		}
		if made {
			sealed = append(sealed, pickedDir{d.path, d.mode})
		}
	}
	from := folder{}
	if src.dir != "" {
		if from, err = openFolder(src.dir); err != nil {
			return err
		}
		defer from.close()
	}
	var mu sync.Mutex
	err = src.each(ctx, func(d *treeDir, files []fileNode) error {
		to, err := openFolderIn(root, d.path)
		if err != nil {
			return err
		}
		defer to.close()
		if err := src.putFiles(from, to, d, files); err != nil || seen == nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for i := range files {
			n, err := to.stat(files[i].name)
			if err != nil {
				return err
			}
			seen[joinPath(d.path, n.name)] = n.id
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(sealed) {
		if err := root.Chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// putFiles is copyFiles into a folder that may have files of the same names.
func (t *Tree) putFiles(from, to folder, d *treeDir, files []fileNode) (err error) {
	if t.dir != "" && d.path != "." {
		if from, err = from.sub(d.path); err != nil {
			return err
		}
		defer from.close()
	}
	for i := range files {
		n := &files[i]
		put := func() error {
			switch {
			case n.kind == isLink:
				return to.symlink(n)
			case t.dir == "":
				return to.write(n, n.data, fs.ModePerm)
			default:
				_, err := to.copy(from, n, fs.ModePerm)
				return err
			}
		}
		err := put()
		if errors.Is(err, fs.ErrExist) {
			if err = to.remove(n.name); err == nil {
				err = put()
			}
		}
		if err != nil {
			return inDir(d.path, err)
		}
	}
	return nil
}

// ensureDir makes dir in root unless it is there, and reports whether it did.
func ensureDir(root *os.Root, dir string) (made bool, err error) {
	err = root.Mkdir(dir, 0o777)
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	info, err := root.Stat(dir)
	if err != nil {
		return false, err
	}
	if info.IsDir() {
		return false, nil
	}
	if err := root.Remove(dir); err != nil {
		return false, err
	}
	return true, root.Mkdir(dir, 0o777)
}

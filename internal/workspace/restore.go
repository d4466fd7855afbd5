package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// Restore copies the tree's files into a workspace, the folder into. A file in
// the way of another is replaced; a directory in the way is an error. Links of
// the workspace are followed only inside it. If seen is not nil, it gets the
// identity of every file that was made.
func (t *Tree) Restore(ctx context.Context, into *os.Root, seen map[string]Identity) (err error) {
	if err := t.load(); err != nil {
		return err
	}
	var sealed []pickedDir
	for _, d := range t.dirs[1:] {
		made, err := ensureDir(into, d.path)
		if err != nil {
			return err
		}
		if made {
			sealed = append(sealed, pickedDir{d.path, d.mode})
		}
	}
	from := folder{}
	if t.dir != "" {
		if from, err = openFolder(t.dir); err != nil {
			return err
		}
		defer from.close()
	}
	var mu sync.Mutex
	err = t.each(ctx, func(d *treeDir, files []fileNode) error {
		to, err := openFolderIn(into, d.path)
		if err != nil {
			return err
		}
		defer to.close()
		if err := t.putFiles(from, to, d, files); err != nil || seen == nil {
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
		if err := into.Chmod(d.path, d.mode); err != nil {
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

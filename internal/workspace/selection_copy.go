package workspace

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"syscall"
)

// CopyOptions are the options of [Selection.CopyTo].
type CopyOptions struct {
	// Move takes the files out of the workspace, which cannot be used afterwards.
	// It copies where it must: between file systems, and files with another name
	// by which a process could still write to them.
	Move bool
	// Same are paths of files that the folder Old has too, with the same
	// content. They become second names of those.
	Same map[string]bool
	Old  string
}

// selectionCopy brings a selection into a folder of its own.
type selectionCopy struct {
	sel   *Selection
	to    folder
	extra fs.FileMode
	move  bool
	same  map[string]bool
	old   folder // only with same

	upper  *folder // where an overlay keeps what was written; nil for no overlay
	tasks  []func() error
	sealed []pickedDir // directories that get their permissions at the end
}

type pickedDir struct {
	path string
	mode fs.FileMode
}

// CopyTo copies the selection to dst, a new folder.
func (s *Selection) CopyTo(ctx context.Context, dst string, o CopyOptions) error {
	c := selectionCopy{sel: s, move: o.Move && !s.viaLink}
	if len(o.Same) > 0 {
		old, err := openFolder(o.Old)
		if err != nil {
			return err
		}
		defer old.close()
		c.old, c.same = old, o.Same
	}
	return c.run(ctx, dst)
}

func (c *selectionCopy) run(ctx context.Context, dst string) (err error) {
	if err := makeDir(dst); err != nil {
		return err
	}
	if c.to, c.extra, err = openNew(dst); err != nil {
		return err
	}
	defer c.to.close()
	from, err := openFolderIn(c.sel.root, ".")
	if err != nil {
		return err
	}
	defer from.close()
	err = c.dir(from, ".", &c.sel.top)
	if c.upper != nil {
		c.upper.close()
	}
	if err != nil {
		return err
	}
	if c.sel.files < parallelFiles && c.sel.bytes < parallelBytes {
		for _, task := range c.tasks {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := task(); err != nil {
				return err
			}
		}
	} else if err := atOnce(ctx, c.tasks); err != nil {
		return err
	}
	for _, d := range slices.Backward(c.sealed) {
		if err := c.to.chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// dir copies what is selected inside p, which is the folder from at path at.
func (c *selectionCopy) dir(from folder, at string, p *pick) error {
	to := c.to
	if at != "." {
		sub, err := c.to.sub(at)
		if err != nil {
			return err
		}
		defer sub.close()
		to = sub
	}
	var files []fileNode
	for _, name := range slices.Sorted(maps.Keys(p.inside)) {
		q := p.inside[name]
		if c.moved(from, to, joinPath(at, name), q) {
			continue
		}
		if q.kind != isDir {
			files = append(files, q.fileNode)
			continue
		}
		if err := c.subdir(from, to, joinPath(at, name), q); err != nil {
			return err
		}
	}
	c.add(at, files)
	return nil
}

// moved moves what can be moved.
func (c *selectionCopy) moved(from, to folder, full string, q *pick) bool {
	if !c.move || q.kind == isDir && (q.inside == nil || c.upper != nil) || !q.whole() {
		return false
	}
	if c.upper != nil {
		return to.rename(*c.upper, full, q.name) == nil
	}
	err := to.rename(from, q.name, q.name)
	if errors.Is(err, syscall.EXDEV) {
		if c.findUpper() {
			return c.moved(from, to, full, q)
		}
		c.move = false
	}
	return err == nil
}

// findUpper checks whether the workspace is an overlay. Nothing can be renamed out
// of one. But single files can be renamed out of the folder that holds what was
// written to it: files are whole there, directories need not be.
func (c *selectionCopy) findUpper() bool {
	upper, err := openFolder(c.sel.root.Name() + overlaySuffix + "/upper")
	if err == nil {
		c.upper = &upper
	}
	return err == nil
}

func (c *selectionCopy) subdir(from, to folder, full string, q *pick) error {
	if err := to.mkdir(q.name, q.mode|0o700); err != nil {
		return err
	}
	if q.mode&0o700 != 0o700 || q.mode&c.extra != 0 {
		c.sealed = append(c.sealed, pickedDir{full, q.mode | 0o500}) // we have to read it again
	}
	below, err := from.sub(q.name)
	if err != nil { // a link to a directory, on the way to a pattern
		below, err = openFolderIn(c.sel.root, full)
	}
	if err != nil {
		return err
	}
	defer below.close()
	return c.dir(below, full, q)
}

// add notes files of the directory at to be copied.
func (c *selectionCopy) add(at string, files []fileNode) {
	const piece = 128
	for part := range slices.Chunk(files, piece) {
		c.tasks = append(c.tasks, func() error { return c.copy(at, part) })
	}
}

func (c *selectionCopy) copy(at string, files []fileNode) error {
	from, err := openFolderIn(c.sel.root, at)
	if err != nil {
		return err
	}
	defer from.close()
	to, err := c.to.sub(at)
	if err != nil {
		return err
	}
	defer to.close()
	same := func(*fileNode) bool { return false }
	if len(c.same) > 0 {
		if old, err := c.old.sub(at); err == nil {
			defer old.close()
			same = func(n *fileNode) bool {
				return c.same[joinPath(at, n.name)] && to.hardlink(old, n.name, n.name) == nil
			}
		}
	}
	for i := range files {
		n := &files[i]
		if n.kind == isLink {
			err = to.symlink(n)
		} else if !same(n) {
			_, err = to.copy(from, n, c.extra)
		}
		if err != nil {
			return inDir(at, err)
		}
	}
	return nil
}

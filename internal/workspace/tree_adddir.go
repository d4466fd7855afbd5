package workspace

import (
	"context"
	"fmt"
	"path/filepath"
)

// AddDir adds the files of dir to the tree, under name, which the tree does not
// have yet: a ".git" made for the run. It must be called before the first Clone.
func (t *Tree) AddDir(ctx context.Context, name, dir string) error {
	if err := t.load(); err != nil {
		return err
	}
	branch := &Tree{dir: dir}
	root, err := openFolder(dir)
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	defer root.close()
	if err := branch.scan(root, "."); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if t.dir == "" {
		err = branch.keep(root)
	} else {
		dst := filepath.Join(t.dir, name)
		if err = makeDir(dst); err == nil {
			err = branch.copyTo(ctx, dst)
		}
	}
	if err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	for _, d := range branch.dirs {
		for i := range d.files {
			d.files[i].mtime = 0 // made for the run: the time does not matter, and setting it costs every job
		}
		if d.path == "." {
			d.path = name
		} else {
			d.path = name + "/" + d.path
		}
		t.dirs = append(t.dirs, d)
	}
	t.files += branch.files
	t.bytes += branch.bytes
	return nil
}

package workspace

import (
	"os"
	"sync"
)

// NewCheckout makes a tree of a checkout that only one job uses: the first clone is
// the checkout itself, moved, so nothing is copied. dir and the clone are on one file
// system. With list the files are listed before: then [Tree.Has] knows after the
// job which of them were in the checkout.
func NewCheckout(dir string, list bool) *Tree {
	t := &Tree{base: dir, dir: dir, moves: true, listed: list}
	t.noMount.Store(true)
	t.load = sync.OnceValue(func() error {
		root, err := openFolder(t.dir)
		if err != nil {
			return err
		}
		defer root.close()
		return t.scan(root, ".")
	})
	t.large = func() bool { return false }
	t.paths, t.folders = sync.OnceValue(t.pathSet), sync.OnceValue(t.folderSet)
	return t
}

// moveTo makes the checkout itself the workspace. The tree reads from there then.
func (t *Tree) moveTo(dst string) (*Workspace, error) {
	t.moves = false
	if t.listed {
		if err := t.load(); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(t.dir, dst); err != nil {
		return nil, err
	}
	t.base, t.dir = dst, dst
	return &Workspace{Dir: dst}, nil
}

package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// errLarge ends a scan that only asks whether a tree is large.
var errLarge = errors.New("large")

// scan adds the directory dir, which is f below the root at name, to the tree.
func (t *Tree) scan(f folder, name string) error {
	mode, err := f.mode()
	if err != nil {
		return err
	}
	names, err := f.names()
	if err != nil {
		return err
	}
	slices.Sort(names)
	at := len(t.dirs)
	if name == "." {
		mode = 0 // the folder itself is ours
	}
	t.dirs = append(t.dirs, treeDir{path: name, mode: mode})
	files := make([]fileNode, 0, len(names))
	var below []string
	for _, base := range names {
		n, err := f.stat(base)
		if err != nil {
			return inDir(name, err)
		}
		switch n.kind {
		case isDir:
			below = append(below, base)
		case isFile, isLink:
			files = append(files, n)
		case isSpecial: // nothing that a checkout has
		}
	}
	t.take(at, files)
	if t.limit && (t.files >= overlayFiles || t.bytes >= overlayBytes) {
		return errLarge
	}
	for _, base := range below {
		sub, err := f.sub(base)
		if err != nil {
			return inDir(name, err)
		}
		err = t.scan(sub, joinPath(name, base))
		sub.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) take(dir int, files []fileNode) {
	t.dirs[dir].files = files
	t.files += len(files)
	for i := range files {
		t.bytes += files[i].size
	}
}

// small reports whether the tree is to be kept in memory. An overlay needs the
// files on disk.
func (t *Tree) small() bool {
	if !t.noMount.Load() && t.files >= overlayFiles {
		return false
	}
	return t.files <= memoryFiles && t.bytes <= memoryBytes
}

// keep reads the tree into memory.
func (t *Tree) keep(root folder) error {
	for i := range t.dirs {
		d := &t.dirs[i]
		if len(d.files) == 0 {
			continue
		}
		f, err := root.sub(d.path)
		if err != nil {
			return err
		}
		kept, err := readFiles(f, d.files)
		f.close()
		if err != nil {
			return inDir(d.path, err)
		}
		d.files = kept
	}
	t.dir = ""
	return nil
}

// readFiles fills in the content of files. What is gone meanwhile is left out.
func readFiles(f folder, files []fileNode) ([]fileNode, error) {
	kept := make([]fileNode, 0, len(files))
	for _, n := range files {
		if n.kind == isFile {
			data, err := f.read(n.name, n.size)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			n.data, n.size = data, int64(len(data))
		}
		kept = append(kept, n)
	}
	return kept, nil
}

// SnapshotTree makes the base of a run from the user's working tree at root:
// the given files (relative to root, with slashes) as they are now. A file that
// does not exist, or that is behind a link, does not exist for git either and is
// left out. A directory in the list (a submodule that was not fetched) becomes an
// empty one. Files that may not be read are left out too; [Tree.LeftOut] names
// them. Each file is read once. Small trees stay in memory. Others are written to
// dst, which must not exist and belongs to the tree from then on.
func SnapshotTree(ctx context.Context, dst, root string, files []string) (*Tree, error) {
	from, err := openFolder(root)
	if err != nil {
		return nil, fmt.Errorf("read the files of %s: %w", root, err)
	}
	defer from.close()
	// People save files meanwhile: if a file is gone between the list and the copy,
	// the list is stale.
	leaveOut := map[string]bool{}
	for try := 1; ; try++ {
		t, err := snapshot(ctx, dst, root, from, files, leaveOut)
		if err == nil {
			return t, nil
		}
		if errors.Is(err, fs.ErrPermission) && t.addUnreadable(from, leaveOut) {
			continue
		}
		if !errors.Is(err, fs.ErrNotExist) || try >= 3 {
			return nil, fmt.Errorf("read the files of %s: %w", root, err)
		}
	}
}

// LeftOut are the paths that [SnapshotTree] was given and could not read.
func (t *Tree) LeftOut() []string { return t.leftOut }

// addUnreadable adds the files of the tree that may not be read, and reports
// whether there are any. They are looked for only after one was found.
func (t *Tree) addUnreadable(root folder, to map[string]bool) bool {
	before := len(to)
	for i := range t.dirs {
		d := &t.dirs[i]
		for j := range d.files {
			path := joinPath(d.path, d.files[j].name)
			if d.files[j].kind == isFile && errors.Is(root.mayRead(path), fs.ErrPermission) {
				to[path] = true
			}
		}
	}
	return len(to) > before
}

// snapshot returns a tree with an error too: of what it has seen.
func snapshot(ctx context.Context, dst, root string, from folder, files []string, leaveOut map[string]bool) (*Tree, error) {
	t := &Tree{load: func() error { return nil }}
	t.noMount.Store(!canMount())
	t.large = func() bool { return t.dir != "" }
	t.paths, t.folders = sync.OnceValue(t.pathSet), sync.OnceValue(t.folderSet)
	if err := t.list(ctx, from, files, leaveOut); err != nil {
		return t, err
	}
	if t.small() {
		return t, t.keep(from)
	}
	t.dir = root
	if err := makeDir(dst); err != nil {
		return t, err
	}
	if err := t.copyTo(ctx, dst); err != nil {
		return t, errors.Join(err, RemoveAll(dst))
	}
	t.base, t.dir = dst, dst
	return t, nil
}

// list looks at files and fills the tree with those that are there.
func (t *Tree) list(ctx context.Context, root folder, files []string, leaveOut map[string]bool) error {
	byDir := map[string][]fileNode{".": nil}
	reached := map[string]bool{".": true} // whether a path is a directory, not a link
	var isReal func(dir string) bool
	isReal = func(dir string) bool {
		known, ok := reached[dir]
		if ok {
			return known
		}
		is := isReal(path.Dir(dir))
		if is {
			n, err := root.stat(dir)
			is = err == nil && n.kind == isDir
		}
		reached[dir] = is
		if is {
			byDir[dir] = nil
		}
		return is
	}
	for i, name := range files {
		if i%512 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		name = path.Clean(strings.TrimSuffix(name, "/"))
		// Names are bytes: one that is not UTF-8 is a file like any other.
		if !fs.ValidPath(strings.ToValidUTF8(name, "?")) || name == "." {
			continue
		}
		dir := path.Dir(name)
		if !isReal(dir) {
			continue
		}
		n, err := root.stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case leaveOut[name], errors.Is(err, fs.ErrPermission):
			t.leftOut = append(t.leftOut, name)
		case err != nil:
			return err
		case n.kind == isDir:
			isReal(name)
		case n.kind != isSpecial:
			byDir[dir] = append(byDir[dir], n)
		}
	}
	t.fill(byDir)
	return nil
}

func (t *Tree) fill(byDir map[string][]fileNode) {
	dirs := make([]string, 1, len(byDir))
	dirs[0] = "."
	for dir := range byDir {
		if dir != "." {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs[1:]) // a parent comes before what is inside
	for _, dir := range dirs {
		t.dirs = append(t.dirs, treeDir{path: dir})
		files := byDir[dir]
		slices.SortFunc(files, func(a, b fileNode) int { return strings.Compare(a.name, b.name) })
		files = slices.CompactFunc(files, func(a, b fileNode) bool { return a.name == b.name })
		t.take(len(t.dirs)-1, files)
	}
}

func joinPath(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}

// inDir completes the path of an error about something in dir.
func inDir(dir string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return &fs.PathError{Op: p.Op, Path: joinPath(dir, p.Path), Err: p.Err}
	}
	return err
}

// atOnce runs tasks on several goroutines until one errs or ctx ends.
func atOnce(ctx context.Context, tasks []func() error) error {
	var (
		next  atomic.Int64
		once  sync.Once
		first error
		group sync.WaitGroup
	)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for range min(runtime.GOMAXPROCS(0), 8, len(tasks)) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(tasks) {
					return
				}
				if err := tasks[i](); err != nil {
					once.Do(func() { first = err })
					stop(err)
				}
			}
		})
	}
	group.Wait()
	if first != nil {
		return first
	}
	if int(next.Load()) < len(tasks) {
		return context.Cause(ctx)
	}
	return nil
}

package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// Restorer puts entries that come one by one into a workspace, by the rules of
// [Tree.Restore]: a file in the way of another is replaced, a directory in the
// way is an error, and links are followed only inside the workspace. What names
// the entries is not trusted.
type Restorer struct {
	into *os.Root
	seen map[string]Identity

	dir    string // the directory that is open
	folder folder
	isOpen bool
	sealed []pickedDir

	made     []string // in order, directories with a slash
	replaced bool
}

// NewRestorer restores into a workspace. If seen is not nil, it gets the identity
// of every file, and the paths of directories with a slash behind them. Close
// releases the workspace.
func NewRestorer(into *os.Root, seen map[string]Identity) *Restorer {
	return &Restorer{into: into, seen: seen}
}

// Add makes one entry. An error of the content comes back as it is.
func (r *Restorer) Add(e Entry, content io.Reader) error {
	if !fs.ValidPath(strings.ToValidUTF8(e.Path, "?")) || e.Path == "." || strings.ContainsRune(e.Path, 0) || !filepath.IsLocal(filepath.FromSlash(e.Path)) {
		return errs.E(errs.Invalid, "%.200q is not a path inside a workspace", e.Path)
	}
	if e.Dir {
		if err := r.addDir(e.Path, e.Mode); err != nil {
			return err
		}
		if r.seen != nil {
			r.seen[e.Path+"/"] = Identity{}
		}
		return nil
	}
	if err := r.enter(path.Dir(e.Path)); err != nil {
		return err
	}
	n := fileNode{name: path.Base(e.Path), kind: isFile, mode: e.Mode.Perm(), size: e.Size, mtime: e.ModTime.UnixNano(), target: e.Link}
	put := func() error {
		if e.Link != "" {
			n.kind = isLink
			return r.folder.symlink(&n)
		}
		return r.folder.writeFrom(&n, content)
	}
	err := put()
	if errors.Is(err, fs.ErrExist) {
		if err = r.folder.remove(n.name); err == nil {
			r.replaced = true
			err = put()
		}
	}
	if err != nil {
		_ = r.folder.remove(n.name) // half written
		return inDir(r.dir, err)
	}
	r.made = append(r.made, e.Path)
	if r.seen == nil {
		return nil
	}
	now, err := r.folder.stat(n.name)
	if err != nil {
		return inDir(r.dir, err)
	}
	r.seen[e.Path] = now.id
	return nil
}

func (r *Restorer) addDir(dir string, mode fs.FileMode) error {
	if parent := path.Dir(dir); parent != "." {
		if _, err := r.into.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := r.addDir(parent, 0o777); err != nil {
				return err
			}
		}
	}
	made, err := ensureDir(r.into, dir)
	if err != nil {
		return err
	}
	if made {
		r.made = append(r.made, dir+"/")
		r.sealed = append(r.sealed, pickedDir{dir, mode.Perm()})
	}
	return nil
}

// enter opens the directory of the next files.
func (r *Restorer) enter(dir string) error {
	if r.isOpen && r.dir == dir {
		return nil
	}
	r.leave()
	f, err := openFolderIn(r.into, dir)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		if err = r.addDir(dir, 0o777); err == nil {
			f, err = openFolderIn(r.into, dir)
		}
	}
	if err != nil {
		return err
	}
	r.dir, r.folder, r.isOpen = dir, f, true
	return nil
}

func (r *Restorer) leave() {
	if r.isOpen {
		r.folder.close()
		r.isOpen = false
	}
}

// Finish gives directories their permissions. It is called once, after the last
// entry.
func (r *Restorer) Finish() error {
	r.leave()
	for _, d := range slices.Backward(r.sealed) {
		if err := r.into.Chmod(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// ErrReplaced is the error for a workspace that is not what it was before.
var ErrReplaced = errs.E(errs.Conflict, "files of the workspace were replaced before that")

// Undo removes what was made. ErrReplaced if files of the workspace were
// replaced, which cannot be undone.
func (r *Restorer) Undo() error {
	r.leave()
	clear(r.seen)
	var all []error
	for _, made := range slices.Backward(r.made) {
		dir, isDir := strings.CutSuffix(made, "/")
		if err := r.into.Remove(dir); err != nil && !isDir { // a directory may have more in it
			all = append(all, err)
		}
	}
	if r.replaced {
		all = append(all, ErrReplaced)
	}
	return errors.Join(all...)
}

// Close releases the workspace.
func (r *Restorer) Close() { r.leave() }

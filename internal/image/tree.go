package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// File is one entry of a layer that [Build] added.
type File struct {
	Path   string // in the image, without a leading slash
	SHA256 string // "" for a link
	Size   int64
	Link   string // where a link leads, as it is written
}

// maxTree is how much a layer may hold: more is a mistake, such as a build folder
// inside the checkout.
const maxTree = 16 << 30

// treeWriter writes a folder into a tar archive, always in the same way.
type treeWriter struct {
	tar   *tar.Writer
	when  time.Time
	files []File
	size  int64
	// keepModes keeps the permissions of files and takes no set-user-id bits out:
	// for folders that this program laid out itself.
	keepModes bool
	owned     []string // paths that belong to uid and not to user 0
	uid       int
}

// owner is the user and group of a path.
func (w *treeWriter) owner(name string) int {
	if slices.Contains(w.owned, name) {
		return w.uid
	}
	return 0
}

// addParents writes the folders above a path.
func (w *treeWriter) addParents(name string) error {
	parts := strings.Split(name, "/")
	for i := range parts {
		if err := w.addFolder(strings.Join(parts[:i+1], "/"), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (w *treeWriter) addFolder(name string, mode int64) error {
	id := w.owner(name)
	return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: id, Gid: id, ModTime: w.when})
}

// addBytes writes a file of this program.
func (w *treeWriter) addBytes(name string, mode int64, data []byte) error {
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: w.when}); err != nil {
		return err
	}
	_, err := w.tar.Write(data)
	return err
}

// addTree writes what is in dir below a path of the image, without the .git of the
// checkout and of its submodules. Links are written as links and never followed, so
// nothing outside of dir is read.
func (w *treeWriter) addTree(dir, below string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.Name() == ".git" && !w.keepModes:
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case strings.HasPrefix(d.Name(), ".wh."):
			return errs.E(errs.Invalid, "%s cannot be in an image: a name that begins with .wh. removes another file there; rename it", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		to := name
		if below != "" {
			to = below + "/" + name
		}
		return w.addEntry(root, name, to, info)
	})
}

func (w *treeWriter) addEntry(root *os.Root, name, to string, info fs.FileInfo) error {
	switch info.Mode().Type() {
	case fs.ModeDir:
		mode := int64(0o755)
		if w.keepModes {
			mode = tarMode(info.Mode())
		}
		return w.addFolder(to, mode)
	case fs.ModeSymlink:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		target = filepath.ToSlash(target)
		w.files = append(w.files, File{Path: to, Link: target})
		return w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: to, Linkname: target, Mode: 0o777, ModTime: w.when})
	case 0:
		return w.addFile(root, name, to, info)
	}
	return errs.E(errs.Invalid, "%s is neither a file, a folder nor a link, and cannot be in an image", name)
}

func (w *treeWriter) addFile(root *os.Root, name, to string, info fs.FileInfo) error {
	if w.size += info.Size(); w.size > maxTree {
		return errs.E(errs.Invalid, "the files have more than %d GiB, which is too much for an image", maxTree>>30)
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	mode := int64(0o644)
	switch {
	case w.keepModes:
		mode = tarMode(info.Mode())
	case info.Mode()&0o100 != 0:
		mode = 0o755
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: to, Mode: mode, Size: info.Size(), ModTime: w.when}); err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w.tar, sum), f)
	if err == nil && n < info.Size() || errors.Is(err, tar.ErrWriteTooLong) {
		err = errs.E(errs.Conflict, "%s changed while the image was built; build it again", path.Clean(name))
	}
	w.files = append(w.files, File{Path: to, SHA256: hex.EncodeToString(sum.Sum(nil)), Size: n})
	return err
}

// tarMode are the permissions with the bits that tar has for them.
func tarMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for _, b := range []struct {
		is  fs.FileMode
		bit int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.is != 0 {
			mode |= b.bit
		}
	}
	return mode
}

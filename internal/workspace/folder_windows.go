package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// folder is an open directory; see folder_unix.go.
type folder struct{ root *os.Root }

func openFolder(dir string) (folder, error) {
	root, err := os.OpenRoot(dir)
	return folder{root}, err
}

func openFolderIn(root *os.Root, dir string) (folder, error) {
	sub, err := root.OpenRoot(dir)
	return folder{sub}, err
}

func (f folder) close() { _ = f.root.Close() }

func (f folder) sub(name string) (folder, error) {
	if info, err := f.root.Lstat(name); err != nil {
		return folder{}, err
	} else if !info.IsDir() {
		return folder{}, &fs.PathError{Op: "open", Path: name, Err: errors.New("not a directory")}
	}
	root, err := f.root.OpenRoot(name)
	return folder{root}, err
}

func (f folder) mode() (fs.FileMode, error)             { return fs.ModePerm, nil }
func (f folder) mkdir(name string, _ fs.FileMode) error { return f.root.Mkdir(name, 0o777) }
func (f folder) chmod(name string, m fs.FileMode) error { return f.root.Chmod(name, m) }
func (f folder) remove(name string) error               { return f.root.Remove(name) }
func (f folder) hardlink(from folder, old, n string) error {
	return os.Link(from.path(old), f.path(n))
}
func (f folder) rename(from folder, old, n string) error { return os.Rename(from.path(old), f.path(n)) }
func (f folder) path(name string) string {
	return filepath.Join(f.root.Name(), filepath.FromSlash(name))
}

func (f folder) stat(name string) (fileNode, error) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return fileNode{}, err
	}
	n := fileNode{name: path.Base(name), mode: info.Mode().Perm(), size: info.Size(), mtime: info.ModTime().UnixNano(), links: 1}
	switch {
	case info.Mode().IsRegular():
		n.kind = isFile
	case info.IsDir():
		n.kind = isDir
	case info.Mode()&fs.ModeSymlink != 0:
		n.kind = isLink
		n.target, err = f.root.Readlink(name)
	default:
		n.kind = isSpecial
	}
	return n, err
}

func (f folder) names() ([]string, error) {
	dir, err := f.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

func (f folder) mayRead(name string) error {
	file, err := f.root.Open(name)
	if err == nil {
		err = file.Close()
	}
	return err
}

func (f folder) read(name string, _ int64) ([]byte, error) { return f.root.ReadFile(name) }

func (f folder) open(name string) (io.ReadCloser, fileNode, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fileNode{}, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("it is no longer a regular file")}
	}
	if err != nil {
		return nil, fileNode{}, errors.Join(err, file.Close())
	}
	return file, fileNode{name: name, mode: info.Mode().Perm(), size: info.Size(), mtime: info.ModTime().UnixNano()}, nil
}

func (f folder) writeFrom(n *fileNode, content io.Reader) error {
	to, err := f.create(n)
	if err != nil {
		return err
	}
	size, err := io.Copy(to, content)
	if err == nil && size != n.size {
		err = io.ErrUnexpectedEOF
	}
	return f.finish(to, n, err)
}

func (f folder) write(n *fileNode, data []byte, _ fs.FileMode) error {
	to, err := f.create(n)
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return f.finish(to, n, err)
}

func (f folder) copy(src folder, n *fileNode, _ fs.FileMode) (int64, error) {
	from, err := src.root.Open(n.name)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := f.create(n)
	if err != nil {
		return 0, err
	}
	size, err := io.Copy(to, from)
	return size, f.finish(to, n, err)
}

func (f folder) create(n *fileNode) (*os.File, error) {
	return f.root.OpenFile(n.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

func (f folder) finish(to *os.File, n *fileNode, err error) error {
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if n.mtime != 0 {
		if err := f.root.Chtimes(n.name, time.Now(), time.Unix(0, n.mtime)); err != nil {
			return err
		}
	}
	if n.mode&0o200 == 0 {
		return f.root.Chmod(n.name, n.mode)
	}
	return nil
}

func (f folder) symlink(n *fileNode) error { return f.root.Symlink(n.target, n.name) }

func sharesBlocks(string, string) bool { return false }

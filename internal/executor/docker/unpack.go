package docker

import (
	"archive/tar"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// unpacker makes one path of a folder what an archive of an engine says. What
// the archive names is never outside of the folder, whatever it says.
type unpacker struct {
	root  *os.Root
	at    string          // where the archive's one top entry goes, "." for the folder itself
	since time.Time       // what was written before and looks the same is the same
	left  map[string]bool // paths that are not in the archive because they never were there
	seen  map[string]bool
}

func (u *unpacker) unpack(r io.Reader) error {
	if err := u.folder(path.Dir(u.at)); err != nil {
		return err
	}
	u.seen = map[string]bool{}
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return u.gone()
		}
		if err != nil {
			return err
		}
		p := u.place(h.Name)
		u.seen[p] = true
		if err := u.entry(in, h, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
}

// place is where an entry goes: engines put the last element of the path they
// were asked for before all names.
func (u *unpacker) place(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	return path.Join(u.at, rest)
}

func (u *unpacker) entry(in io.Reader, h *tar.Header, p string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if err := u.folder(p); err != nil {
			return err
		}
		// This user must be able to read it, and to remove what is in it.
		if p == "." {
			return nil
		}
		return u.root.Chmod(p, h.FileInfo().Mode().Perm()|0o700)
	case tar.TypeReg:
		return u.file(in, h, p)
	case tar.TypeSymlink:
		if old, err := u.root.Readlink(p); err == nil && old == h.Linkname {
			return nil
		}
		return u.put(p, func(temp string) error { return u.root.Symlink(h.Linkname, temp) })
	case tar.TypeLink:
		return u.put(p, func(temp string) error { return u.root.Link(u.place(h.Linkname), temp) })
	default: // a pipe or a device; nobody reads those, but what had the name is gone
		if !u.left[p] {
			return u.root.RemoveAll(p)
		}
		return nil
	}
}

// folder has a directory at p and on the way to it.
func (u *unpacker) folder(p string) error {
	if p == "." {
		return nil
	}
	info, err := u.root.Lstat(p)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = u.root.Remove(p)
	} else if errors.Is(err, fs.ErrNotExist) || !errors.Is(err, fs.ErrPermission) {
		err = u.folder(path.Dir(p))
	}
	if err != nil {
		return err
	}
	return u.root.Mkdir(p, 0o755)
}

func (u *unpacker) file(in io.Reader, h *tar.Header, p string) error {
	info, err := u.root.Lstat(p)
	if err == nil && info.Mode().IsRegular() && info.Size() == h.Size && u.old(h.ModTime) && u.old(info.ModTime()) &&
		info.ModTime().Unix() == h.ModTime.Unix() {
		return nil // nobody wrote to it, here or there
	}
	mode := h.FileInfo().Mode().Perm() | 0o400
	return u.put(p, func(temp string) error {
		f, err := u.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, in)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		return errors.Join(u.root.Chtimes(temp, h.ModTime, h.ModTime), u.root.Chmod(temp, mode))
	})
}

// old reports whether a time is well before the job.
func (u *unpacker) old(t time.Time) bool { return t.Before(u.since.Add(-2 * time.Second)) }

// put makes something under another name and renames it, so that nobody meets
// half of it.
func (u *unpacker) put(p string, make func(temp string) error) error {
	temp := path.Join(path.Dir(p), ".refline-"+rand.Text())
	err := make(temp)
	if err == nil {
		if info, ierr := u.root.Lstat(p); ierr == nil && info.IsDir() {
			err = u.root.RemoveAll(p)
		}
	}
	if err == nil {
		err = u.root.Rename(temp, p)
	}
	if err != nil {
		_ = u.root.Remove(temp)
	}
	return err
}

// gone removes what is below the path but was not in the archive.
func (u *unpacker) gone() error {
	var dirs []string
	err := fs.WalkDir(u.root.FS(), u.at, func(p string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case u.left[p]:
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case err != nil || u.seen[p] || p == ".":
			return err
		case entry.IsDir():
			dirs = append(dirs, p)
			return nil
		}
		return u.root.Remove(p)
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = u.root.Remove(dirs[i]) // one that is not empty has what was left
	}
	return err
}

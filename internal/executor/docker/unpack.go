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
	"slices"
	"strings"
	"time"
)

// unpacker brings to one path of a folder what was done to a copy of it, which
// an archive of an engine has. What was done here meanwhile to what was not
// touched there stays. What the archive names is never outside of the folder,
// whatever it says.
type unpacker struct {
	root  *os.Root
	at    string    // the path in the folder that the archive is of, "." for the folder itself
	since time.Time // what was written before and looks the same is the same
	sent  map[string]packed
	seen  map[string]bool
}

func (u *unpacker) unpack(r io.Reader) error {
	if err := u.folder(path.Dir(u.at)); err != nil {
		return err
	}
	u.seen = map[string]bool{}
	whole := &endReader{r: r}
	in := tar.NewReader(whole)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) && !whole.cut {
			return u.gone()
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // else what did not come would be removed here
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

// endReader knows whether its reader wanted more than there was. An archive says
// where it ends; a [tar.Reader] takes the end of what it reads for that, too.
type endReader struct {
	r   io.Reader
	cut bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.cut = n == 0 && errors.Is(err, io.EOF)
	return n, err
}

// place is where an entry goes: engines put the last element of the path they
// were asked for before all names.
func (u *unpacker) place(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	return path.Join(u.at, rest)
}

func (u *unpacker) entry(in io.Reader, h *tar.Header, p string) error {
	before, known := u.sent[p]
	known = known && before.header.Typeflag == h.Typeflag
	switch h.Typeflag {
	case tar.TypeDir:
		err := u.folder(p)
		if err != nil || p == "." || known && before.header.Mode&0o777 == h.Mode&0o777 {
			return err
		}
		// This user must be able to read it, and to remove what is in it.
		return u.root.Chmod(p, h.FileInfo().Mode().Perm()|0o700)
	case tar.TypeReg:
		if known && u.same(before, h, p) {
			return nil
		}
		return u.file(in, h, p)
	case tar.TypeSymlink:
		if known && before.header.Linkname == h.Linkname {
			return nil
		}
		return u.put(p, h, func(temp string) error { return u.root.Symlink(h.Linkname, temp) })
	case tar.TypeLink:
		return u.put(p, h, func(temp string) error { return u.root.Link(u.place(h.Linkname), temp) })
	default: // a pipe or a device; nobody reads those, but what had the name is gone
		delete(u.seen, p)
		return nil
	}
}

// same reports whether a file needs no writing: nobody wrote to it there, as far
// as can be seen, and here it is the same or somebody else's business.
func (u *unpacker) same(before packed, h *tar.Header, p string) bool {
	if h.Size != before.header.Size || h.Mode&0o777 != before.header.Mode&0o777 || h.ModTime.Unix() != before.header.ModTime.Unix() {
		return false
	}
	info, err := u.root.Lstat(p)
	// Times are sent in whole seconds: what was written within the last one may
	// have been written again.
	return err == nil && (!before.untouched(info) || before.mtime.Before(u.since.Add(-2*time.Second)))
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
	mode := h.FileInfo().Mode().Perm() | 0o400
	if before, ok := u.sent[p]; ok && before.header.Mode&0o777 == h.Mode&0o777 {
		if info, err := u.root.Lstat(p); err == nil && info.Mode().IsRegular() {
			mode = info.Mode().Perm() // it may have been opened for the container's user
		}
	}
	return u.put(p, h, func(temp string) error {
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

// put makes something under another name and renames it, so that nobody meets
// half of it.
func (u *unpacker) put(p string, h *tar.Header, make func(temp string) error) error {
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
		return err
	}
	if info, err := u.root.Lstat(p); err == nil && u.sent != nil {
		u.sent[p] = packed{*h, info.ModTime()} // for the next time
	}
	return nil
}

// gone removes what was sent and is not there any more, unless it is another
// here by now.
func (u *unpacker) gone() error {
	var lost []string
	for p := range u.sent {
		below := u.at == "." || p == u.at || strings.HasPrefix(p, u.at+"/")
		if below && !u.seen[p] && p != "." {
			lost = append(lost, p)
		}
	}
	slices.SortFunc(lost, func(a, b string) int { return strings.Compare(b, a) }) // what is inside comes first
	var all []error
	for _, p := range lost {
		info, err := u.root.Lstat(p)
		if err != nil || !u.sent[p].untouched(info) {
			continue
		}
		if err := u.root.Remove(p); err != nil && !info.IsDir() { // a folder may have something new
			all = append(all, err)
		}
		delete(u.sent, p)
	}
	return errors.Join(all...)
}

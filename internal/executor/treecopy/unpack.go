package treecopy

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

// Unpacker applies to one path of a folder the changes of a copy. Changes made here
// meanwhile stay, unless the copy changed the same file.
type Unpacker struct {
	Root *os.Root
	At   string // the path in the folder that the archive is of, "." for the folder itself
	// Since is when the job started. A file that was last written before it and has
	// the same size, mode and time is unchanged.
	Since time.Time
	Sent  Sent
	seen  map[string]bool
}

// Unpack reads an archive whose names begin with one extra element, as engines
// write them. It also removes what was sent and is missing in the archive.
func (u *Unpacker) Unpack(r io.Reader) error {
	if err := u.folder(path.Dir(u.At)); err != nil {
		return err
	}
	u.seen = map[string]bool{}
	whole := &endReader{r: r}
	in := tar.NewReader(whole)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) && !whole.cut {
			return u.RemoveMissing()
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // otherwise the missing rest would be removed here
		}
		if err != nil {
			return err
		}
		if isSparse(h) {
			return fmt.Errorf("%s: a sparse entry, which engines do not write", h.Name)
		}
		p := u.place(h.Name)
		u.seen[p] = true
		if err := u.entry(in, h, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
}

// isSparse reports an entry whose few bytes can expand to more zeros than any disk
// holds.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// endReader records whether a reader wanted more than there was. An archive has an
// end mark, but [tar.Reader] also accepts the end of its input.
type endReader struct {
	r   io.Reader
	cut bool
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.cut = n == 0 && errors.Is(err, io.EOF)
	return n, err
}

// place returns the path of an entry. Engines prefix all names with the last
// element of the requested path.
func (u *Unpacker) place(name string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	return path.Join(u.At, rest)
}

func (u *Unpacker) entry(in io.Reader, h *tar.Header, p string) error {
	before, known := u.Sent[p]
	known = known && before.header.Typeflag == h.Typeflag
	switch h.Typeflag {
	case tar.TypeDir:
		err := u.folder(p)
		if err != nil || p == "." || known && before.header.Mode&0o777 == h.Mode&0o777 {
			return err
		}
		// This user must be able to read it, and to remove what is in it.
		return u.Root.Chmod(p, h.FileInfo().Mode().Perm()|0o700)
	case tar.TypeReg:
		if known && u.same(before, h, p) {
			return nil
		}
		return u.file(in, h, p)
	case tar.TypeSymlink:
		if known && before.header.Linkname == h.Linkname {
			return nil
		}
		return u.put(p, h, func(temp string) error { return u.Root.Symlink(h.Linkname, temp) })
	case tar.TypeLink:
		return u.put(p, h, func(temp string) error { return u.Root.Link(u.place(h.Linkname), temp) })
	default: // a pipe or a device: not copied, but it replaced what had the name
		delete(u.seen, p)
		return nil
	}
}

// same reports whether a file need not be written: the copy looks unchanged, and
// the file here is either unchanged too or was changed by the user.
func (u *Unpacker) same(before sent, h *tar.Header, p string) bool {
	if h.Size != before.header.Size || h.Mode&0o777 != before.header.Mode&0o777 || h.ModTime.Unix() != before.header.ModTime.Unix() {
		return false
	}
	info, err := u.Root.Lstat(p)
	// Archives have whole seconds: a file that was written within the last one may
	// have been written again.
	return err == nil && (!before.unchanged(info) || before.mtime.Before(u.Since.Add(-2*time.Second)))
}

// folder makes a directory at p, and its parents.
func (u *Unpacker) folder(p string) error {
	if p == "." {
		return nil
	}
	info, err := u.Root.Lstat(p)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = u.Root.Remove(p)
	} else if errors.Is(err, fs.ErrNotExist) || !errors.Is(err, fs.ErrPermission) {
		err = u.folder(path.Dir(p))
	}
	if err != nil {
		return err
	}
	return u.Root.Mkdir(p, 0o755)
}

func (u *Unpacker) file(in io.Reader, h *tar.Header, p string) error {
	mode := h.FileInfo().Mode().Perm() | 0o400
	if before, ok := u.Sent[p]; ok && before.header.Mode&0o777 == h.Mode&0o777 {
		if info, err := u.Root.Lstat(p); err == nil && info.Mode().IsRegular() {
			mode = info.Mode().Perm() // the copy may have been opened for the container's user
		}
	}
	return u.put(p, h, func(temp string) error {
		f, err := u.Root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, in)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		return errors.Join(u.Root.Chtimes(temp, h.ModTime, h.ModTime), u.Root.Chmod(temp, mode))
	})
}

// put makes an entry under a temporary name and renames it, so that it is never
// visible half written.
func (u *Unpacker) put(p string, h *tar.Header, make func(temp string) error) error {
	temp := path.Join(path.Dir(p), ".refline-"+rand.Text())
	err := make(temp)
	if err == nil {
		if info, ierr := u.Root.Lstat(p); ierr == nil && info.IsDir() {
			err = u.Root.RemoveAll(p)
		}
	}
	if err == nil {
		err = u.Root.Rename(temp, p)
	}
	// Renaming one name of a file to another of its names does nothing.
	if err != nil || h.Typeflag == tar.TypeLink {
		_ = u.Root.Remove(temp)
	}
	if err != nil {
		return err
	}
	if info, err := u.Root.Lstat(p); err == nil && u.Sent != nil {
		u.Sent[p] = sent{*h, info.ModTime()} // for the next archive
	}
	return nil
}

// RemoveMissing removes what was sent below At and is no longer there, unless it
// changed here.
func (u *Unpacker) RemoveMissing() error {
	var lost []string
	for p := range u.Sent {
		below := u.At == "." || p == u.At || strings.HasPrefix(p, u.At+"/")
		if below && !u.seen[p] && p != "." {
			lost = append(lost, p)
		}
	}
	slices.SortFunc(lost, func(a, b string) int { return strings.Compare(b, a) }) // the inside of a folder first
	var all []error
	for _, p := range lost {
		info, err := u.Root.Lstat(p)
		if err != nil || !u.Sent[p].unchanged(info) {
			continue
		}
		if err := u.Root.Remove(p); err != nil && !info.IsDir() { // a folder may hold new files
			all = append(all, err)
		}
		delete(u.Sent, p)
	}
	return errors.Join(all...)
}

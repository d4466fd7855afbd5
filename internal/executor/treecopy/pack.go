// Package treecopy copies a folder to where a job runs and brings back what the
// job did to the copy, as tar archives.
//
// It promises that changes made here meanwhile stay, that an unchanged file is not
// written again, and that no archive changes anything outside of the folder. It
// refuses to know how archives travel.
package treecopy

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Packer writes a folder as an archive in which root owns everything.
type Packer struct {
	// WorldWritable lets any user write to the copy.
	WorldWritable bool
	// Sent is what the archive had, for an Unpacker.
	Sent Sent
	// Unreadable are the reasons why paths were left out.
	Unreadable []error
	// Socket is a socket that was left out, "" for none.
	Socket string
}

// Sent is what an archive had: by path with slashes, "." for the folder itself.
type Sent map[string]sent

// sent is one path of an archive, with what shows whether it changed here.
type sent struct {
	header tar.Header
	mtime  time.Time // here, exactly
}

// unchanged reports whether a path here is what it was when it was sent.
func (p sent) unchanged(info fs.FileInfo) bool {
	switch p.header.Typeflag {
	case tar.TypeDir:
		return info.IsDir()
	case tar.TypeReg:
		return info.Mode().IsRegular() && info.Size() == p.header.Size && info.ModTime().Equal(p.mtime)
	default:
		return info.Mode()&fs.ModeSymlink != 0 && info.ModTime().Equal(p.mtime)
	}
}

// Pack writes the archive of a folder.
func (p *Packer) Pack(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	out := tar.NewWriter(w)
	p.Sent = Sent{}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return p.skip(path, err)
		}
		info, err := entry.Info()
		if err != nil {
			return p.skip(path, err)
		}
		return p.add(out, root, path, info)
	})
	return cmp.Or(err, out.Close())
}

// skip notes what cannot be read. A path that was removed meanwhile does not count.
func (p *Packer) skip(path string, err error) error {
	if path == "." {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p.Unreadable = append(p.Unreadable, err)
	return nil
}

func (p *Packer) add(out *tar.Writer, root *os.Root, path string, info fs.FileInfo) error {
	h := &tar.Header{Name: path, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime().Truncate(time.Second)}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, path+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(filepath.FromSlash(path))
		if err != nil {
			return p.skip(path, err)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, filepath.ToSlash(target)
		return p.send(out, path, h, info)
	case info.Mode().IsRegular():
		return p.file(out, root, path, h)
	default:
		if info.Mode()&fs.ModeSocket != 0 {
			p.Socket = path
		}
		return nil
	}
	p.widen(h)
	return p.send(out, path, h, info)
}

func (p *Packer) send(out *tar.Writer, path string, h *tar.Header, info fs.FileInfo) error {
	p.Sent[path] = sent{*h, info.ModTime()}
	return out.WriteHeader(h)
}

func (p *Packer) file(out *tar.Writer, root *os.Root, path string, h *tar.Header) error {
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return p.skip(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return p.skip(path, err)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	p.widen(h)
	h.ModTime = info.ModTime().Truncate(time.Second)
	if err := p.send(out, path, h, info); err != nil {
		return err
	}
	// No more than the header says: the file may still grow.
	n, err := io.Copy(out, io.LimitReader(f, h.Size))
	if err == nil && n < h.Size {
		err = errors.New("it became shorter while it was read")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (p *Packer) widen(h *tar.Header) {
	if !p.WorldWritable {
		return
	}
	if h.Typeflag == tar.TypeDir || h.Mode&0o100 != 0 {
		h.Mode |= 0o111
	}
	h.Mode |= 0o666
}

package docker

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

// packer writes a folder as an archive of which root owns everything.
type packer struct {
	open    bool              // let any user write, as openToAll does
	sent    map[string]packed // by path with slashes; "." is the folder
	unread  []error           // why some paths are left out
	sockets string            // a socket that is left out
}

// packed is what was sent of a path, and how to see that it is still so here.
type packed struct {
	header tar.Header
	mtime  time.Time // here, exactly
}

// untouched reports whether a path here is what it was when it was sent.
func (p packed) untouched(info fs.FileInfo) bool {
	switch p.header.Typeflag {
	case tar.TypeDir:
		return info.IsDir()
	case tar.TypeReg:
		return info.Mode().IsRegular() && info.Size() == p.header.Size && info.ModTime().Equal(p.mtime)
	default:
		return info.Mode()&fs.ModeSymlink != 0 && info.ModTime().Equal(p.mtime)
	}
}

func (p *packer) pack(w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	out := tar.NewWriter(w)
	p.sent = map[string]packed{}
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return p.leave(path, err)
		}
		info, err := entry.Info()
		if err != nil {
			return p.leave(path, err)
		}
		return p.one(out, root, path, info)
	})
	return cmp.Or(err, out.Close())
}

// leave notes what cannot be read. What went away meanwhile is not missed.
func (p *packer) leave(path string, err error) error {
	if path == "." {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p.unread = append(p.unread, err)
	return nil
}

func (p *packer) one(out *tar.Writer, root *os.Root, path string, info fs.FileInfo) error {
	h := &tar.Header{Name: path, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime().Truncate(time.Second)}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, path+"/"
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(filepath.FromSlash(path))
		if err != nil {
			return p.leave(path, err)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, filepath.ToSlash(target)
		return p.send(out, path, h, info)
	case info.Mode().IsRegular():
		return p.file(out, root, path, h)
	default:
		if info.Mode()&fs.ModeSocket != 0 {
			p.sockets = path
		}
		return nil
	}
	p.widen(h)
	return p.send(out, path, h, info)
}

func (p *packer) send(out *tar.Writer, path string, h *tar.Header, info fs.FileInfo) error {
	p.sent[path] = packed{*h, info.ModTime()}
	return out.WriteHeader(h)
}

func (p *packer) file(out *tar.Writer, root *os.Root, path string, h *tar.Header) error {
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return p.leave(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return p.leave(path, err)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	p.widen(h)
	h.ModTime = info.ModTime().Truncate(time.Second)
	if err := p.send(out, path, h, info); err != nil {
		return err
	}
	// No more than was said, in case somebody writes on.
	n, err := io.Copy(out, io.LimitReader(f, h.Size))
	if err == nil && n < h.Size {
		err = errors.New("it was cut while it was read")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (p *packer) widen(h *tar.Header) {
	if !p.open {
		return
	}
	if h.Typeflag == tar.TypeDir || h.Mode&0o100 != 0 {
		h.Mode |= 0o111
	}
	h.Mode |= 0o666
}

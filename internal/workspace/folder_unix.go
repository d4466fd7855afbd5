//go:build linux || darwin

package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

// folder is an open directory. Every name given to its methods is relative to
// it, so a directory that is renamed or replaced meanwhile cannot lead them
// elsewhere. Names with slashes are for trees that only this program writes. Where
// links are possible, the callers go one component at a time.
type folder struct{ fd int }

const openFolderFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

func openFolder(dir string) (folder, error) {
	fd, err := openat(unix.AT_FDCWD, dir, openFolderFlags, 0)
	return folder{fd}, pathError("open", dir, err)
}

// openFolderIn opens a directory below root, through links only as far as they
// stay inside.
func openFolderIn(root *os.Root, dir string) (folder, error) {
	f, err := root.Open(dir)
	if err != nil {
		return folder{-1}, err
	}
	defer f.Close()
	fd, err := openat(int(f.Fd()), ".", openFolderFlags, 0)
	return folder{fd}, pathError("open", dir, err)
}

func (f folder) close() { _ = unix.Close(f.fd) }

// sub opens a directory below f; the last component is never a link.
func (f folder) sub(name string) (folder, error) {
	fd, err := openat(f.fd, name, openFolderFlags|unix.O_NOFOLLOW, 0)
	return folder{fd}, pathError("open", name, err)
}

// mode gives f's own permissions.
func (f folder) mode() (fs.FileMode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, pathError("stat", ".", err)
	}
	return fs.FileMode(st.Mode) & fs.ModePerm, nil
}

func (f folder) mkdir(name string, mode fs.FileMode) error {
	return pathError("mkdir", name, unix.Mkdirat(f.fd, name, uint32(mode.Perm())))
}

// chmod changes a directory or file, never what a link points at.
func (f folder) chmod(name string, mode fs.FileMode) error {
	return pathError("chmod", name, unix.Fchmodat(f.fd, name, uint32(mode.Perm()), 0))
}

func (f folder) remove(name string) error {
	return pathError("remove", name, unix.Unlinkat(f.fd, name, 0))
}

// stat describes one name without following a link.
func (f folder) stat(name string) (fileNode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fileNode{}, pathError("stat", name, err)
	}
	n := fileNode{
		name: path.Base(name), mode: fs.FileMode(st.Mode) & fs.ModePerm, size: st.Size,
		mtime: st.Mtim.Nano(), id: Identity{st.Ino, st.Ctim.Nano()},
		links: uint64(st.Nlink), //nolint:unconvert // uint16 on macOS
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.kind = isFile
	case unix.S_IFDIR:
		n.kind = isDir
	case unix.S_IFLNK:
		n.kind = isLink
		target, err := f.readlink(name, int(st.Size))
		if err != nil {
			return fileNode{}, err
		}
		n.target = target
	default:
		n.kind = isSpecial
	}
	return n, nil
}

func (f folder) readlink(name string, size int) (string, error) {
	for size = max(size, 64) + 1; ; size *= 2 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(f.fd, name, buf)
		if err != nil {
			return "", pathError("readlink", name, err)
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// names lists the folder, in no order.
func (f folder) names() ([]string, error) {
	fd, err := openat(f.fd, ".", openFolderFlags, 0)
	if err != nil {
		return nil, pathError("open", ".", err)
	}
	dir := os.NewFile(uintptr(fd), ".")
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// mayRead returns an error if the file below f cannot be opened.
func (f folder) mayRead(name string) error {
	fd, err := openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err == nil {
		err = unix.Close(fd)
	}
	return pathError("open", name, err)
}

// read gives a regular file's content.
func (f folder) read(name string, size int64) ([]byte, error) {
	fd, err := openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	data := make([]byte, 0, size+1)
	for {
		n, err := ignoreEINTR(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, pathError("read", name, err)
		}
		if n <= 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// open opens a regular file for reading and describes it. An [os.File] would cost
// as much again as reading a small file.
func (f folder) open(name string) (io.ReadCloser, fileNode, error) {
	fd, err := openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fileNode{}, pathError("open", name, err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errors.New("it is no longer a regular file")
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fileNode{}, pathError("read", name, err)
	}
	return openFile(fd), fileNode{name: name, mode: fs.FileMode(st.Mode) & fs.ModePerm, size: st.Size, mtime: st.Mtim.Nano()}, nil
}

// openFile is a file descriptor that is being read.
type openFile int

func (f openFile) Read(p []byte) (int, error) {
	n, err := ignoreEINTR(func() (int, error) { return unix.Read(int(f), p) })
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (f openFile) Close() error { return unix.Close(int(f)) }

// writeFrom makes a regular file that is not there yet, with what a reader
// gives: exactly n.size bytes.
func (f folder) writeFrom(n *fileNode, content io.Reader) error {
	fd, err := f.create(n)
	if err != nil {
		return err
	}
	size, err := readInto(fd, content)
	if err == nil && size != n.size {
		err = io.ErrUnexpectedEOF
	}
	return f.finish(fd, n, fs.ModePerm, err)
}

// readInto writes all that a reader gives.
func readInto(to int, content io.Reader) (total int64, err error) {
	space := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(space)
	for {
		n, rerr := content.Read(space[:])
		for rest := space[:n]; len(rest) > 0; {
			k, err := ignoreEINTR(func() (int, error) { return unix.Write(to, rest) })
			if err != nil {
				return total, err
			}
			rest = rest[k:]
			total += int64(k)
		}
		if errors.Is(rerr, io.EOF) {
			return total, nil
		}
		if rerr != nil {
			return total, rerr
		}
	}
}

// write makes a regular file that is not there yet. Bits of n.mode that a new
// file may not have (see folder.mode of a new directory) are in extra.
func (f folder) write(n *fileNode, data []byte, extra fs.FileMode) error {
	fd, err := f.create(n)
	if err != nil {
		return err
	}
	for len(data) > 0 && err == nil {
		var k int
		k, err = ignoreEINTR(func() (int, error) { return unix.Write(fd, data) })
		data = data[max(k, 0):]
	}
	return f.finish(fd, n, extra, err)
}

// copy makes a regular file with the content that n.name has in src, sharing
// blocks where the file system can. It returns how many bytes there were,
// which differs from n.size when the file was being written.
func (f folder) copy(src folder, n *fileNode, extra fs.FileMode) (int64, error) {
	if f.share(src, n) {
		return n.size, nil
	}
	from, err := openat(src.fd, n.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, pathError("open", n.name, err)
	}
	defer func() { _ = unix.Close(from) }()
	to, err := f.create(n)
	if err != nil {
		return 0, err
	}
	size, err := copyContent(to, from, n.size)
	return size, f.finish(to, n, extra, err)
}

func (f folder) create(n *fileNode) (int, error) {
	fd, err := openat(f.fd, n.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(n.mode.Perm()))
	return fd, pathError("create", n.name, err)
}

func (f folder) finish(fd int, n *fileNode, extra fs.FileMode, err error) error {
	if err == nil && n.mode&extra != 0 {
		err = unix.Fchmod(fd, uint32(n.mode.Perm()))
	}
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.touch(n)
	}
	return pathError("write", n.name, err)
}

func (f folder) touch(n *fileNode) error {
	if n.mtime == 0 {
		return nil
	}
	t := unix.NsecToTimespec(n.mtime)
	return unix.UtimesNanoAt(f.fd, n.name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}

func (f folder) symlink(n *fileNode) error {
	err := unix.Symlinkat(n.target, f.fd, n.name)
	if err == nil {
		err = f.touch(n)
	}
	return pathError("symlink", n.name, err)
}

// hardlink gives the file old of from a second name here.
func (f folder) hardlink(from folder, old, name string) error {
	return pathError("link", name, unix.Linkat(from.fd, old, f.fd, name, 0))
}

// rename takes old out of from, whatever it is, and puts it here.
func (f folder) rename(from folder, old, name string) error {
	return pathError("rename", old, unix.Renameat(from.fd, old, f.fd, name))
}

// copyBuffers keeps what copyBuffered reads into.
var copyBuffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

const copyBuffer = 128 << 10

// copyBuffered works everywhere. A file that fits the buffer
// and is as long as expected takes one read and one write.
func copyBuffered(to, from int, size int64) (int64, error) {
	space := copyBuffers.Get().(*[copyBuffer]byte)
	defer copyBuffers.Put(space)
	buf := space[:]
	var total int64
	for {
		n, err := ignoreEINTR(func() (int, error) { return unix.Read(from, buf) })
		if err != nil || n <= 0 {
			return total, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			k, err := ignoreEINTR(func() (int, error) { return unix.Write(to, rest) })
			if err != nil {
				return total, err
			}
			if k == 0 {
				return total, io.ErrShortWrite
			}
			rest = rest[k:]
		}
		total += int64(n)
		if n < len(buf) && total == size {
			return total, nil
		}
	}
}

func openat(dir int, name string, flags int, mode uint32) (int, error) {
	return ignoreEINTR(func() (int, error) { return unix.Openat(dir, name, flags, mode) })
}

func ignoreEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

//go:build linux || darwin

package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// compareBytes is the size up to which a file is read rather than made again.
const compareBytes = 64 << 10

// errNotAsMade is the reason why a workspace cannot be reset. It is not shown.
var errNotAsMade = errors.New("not as it was made")

// look notes the state of a workspace that was just made.
func (t *Tree) look(w *Workspace) error {
	root, err := openFolder(w.Dir)
	if err != nil {
		return err
	}
	defer root.close()
	dirs := make([]dirStamp, len(t.dirs))
	for i := range t.dirs {
		d := &t.dirs[i]
		err := root.in(d.path, func(f folder) (err error) {
			dirs[i].files = make([]stamp, len(d.files))
			for j := range d.files {
				if dirs[i].files[j], err = f.stamp(d.files[j].name); err != nil {
					return err
				}
			}
			return f.stampSelf(&dirs[i])
		})
		if err != nil {
			return err
		}
	}
	w.made = madeState{dirs, time.Now().UnixNano()}
	return nil
}

// renew resets w: what its job changed is made again, what it made is moved to
// debris. After an error the workspace cannot be used.
func (t *Tree) renew(ctx context.Context, w *Workspace, debris string) error {
	root, err := openFolder(w.Dir)
	if err != nil {
		return err
	}
	defer root.close()
	r := renewal{Tree: t, made: &w.made, root: root, debris: debris}
	// All directories first, from the top: behind a link that a job put in
	// place of one, nothing may be touched.
	for i := range t.dirs {
		if err := r.enter(i); err != nil {
			return err
		}
	}
	r.extra = fs.ModePerm &^ (fs.FileMode(w.made.dirs[0].mode) & fs.ModePerm)
	if t.dir != "" {
		if r.base, err = openFolder(t.dir); err != nil {
			return err
		}
		defer r.base.close()
	}
	tasks := make([]func() error, len(t.dirs))
	for i := range t.dirs {
		tasks[i] = func() error { return r.root.in(t.dirs[i].path, func(f folder) error { return r.dir(i, f) }) }
	}
	if t.files >= parallelFiles {
		err = atOnce(ctx, tasks)
	} else {
		for i := 0; i < len(tasks) && err == nil; i++ {
			err = tasks[i]()
		}
	}
	w.made.ready = time.Now().UnixNano()
	return err
}

type renewal struct {
	*Tree
	made   *madeState
	root   folder
	base   folder // where copies find the content; only with Tree.dir
	debris string
	extra  fs.FileMode // see folder.write
}

// enter checks that directory i is still the one that was made.
func (r *renewal) enter(i int) error {
	return r.root.in(r.dirs[i].path, func(f folder) error {
		was, is := &r.made.dirs[i], dirStamp{}
		if err := f.stampSelf(&is); err != nil {
			return err
		}
		if is.id.inode != was.id.inode || is.dev != was.dev || is.mode != was.mode || is.owner != was.owner || is.group != was.group || is.attributes != was.attributes {
			return errNotAsMade
		}
		return nil
	})
}

func (r *renewal) dir(i int, f folder) error {
	d, was := &r.dirs[i], &r.made.dirs[i]
	is := dirStamp{}
	if err := f.stampSelf(&is); err != nil {
		return err
	}
	same := is.id == was.id && was.surely(r.made.ready)
	if !same {
		if err := r.clear(f, d); err != nil {
			return err
		}
	}
	for j := range d.files {
		n := &d.files[j]
		now, err := f.stamp(n.name)
		if err == nil && now == was.files[j] && (now.surely(r.made.ready) || r.equal(f, d, n, &now)) {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := r.replace(f, d, n, now); err != nil {
			return err
		}
		if was.files[j], err = f.stamp(n.name); err != nil {
			return err
		}
		same = false
	}
	if same {
		return nil
	}
	return f.stampSelf(was)
}

// clear removes from d what the tree does not have.
func (r *renewal) clear(f folder, d *treeDir) error {
	names, err := f.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		_, known := slices.BinarySearchFunc(d.files, name, func(n fileNode, name string) int { return strings.Compare(n.name, name) })
		if known || r.isDir(joinPath(d.path, name)) {
			continue
		}
		if err := r.discard(f, name); err != nil {
			return err
		}
	}
	return nil
}

// discard takes name out of f: a file at once, a folder with what is in it to
// where it is removed while the job runs.
func (r *renewal) discard(f folder, name string) error {
	if err := f.remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(r.debris, 0o700); err != nil {
		return err
	}
	place, err := os.MkdirTemp(r.debris, "")
	if err != nil {
		return err
	}
	to, err := openFolder(place)
	if err != nil {
		return err
	}
	defer to.close()
	return to.rename(f, name, path.Base(name))
}

// equal compares a file with the tree, if its times are not enough.
func (r *renewal) equal(f folder, d *treeDir, n *fileNode, now *stamp) bool {
	if n.kind == isLink {
		target, err := f.readlink(n.name, len(n.target))
		return err == nil && target == n.target
	}
	if now.size != n.size || now.size > compareBytes || now.links != 1 || now.owner != r.made.dirs[0].owner {
		return false
	}
	if list, err := f.attributes(n.name); err != nil || list != r.made.dirs[0].attributes {
		return false
	}
	got, err := f.read(n.name, n.size)
	if err != nil {
		return false
	}
	want := n.data
	if r.Tree.dir != "" {
		err = r.base.in(d.path, func(from folder) (err error) {
			want, err = from.read(n.name, n.size)
			return err
		})
	}
	return err == nil && bytes.Equal(got, want)
}

func (r *renewal) replace(f folder, d *treeDir, n *fileNode, now stamp) error {
	if now != (stamp{}) {
		if err := r.discard(f, n.name); err != nil {
			return err
		}
	}
	switch {
	case n.kind == isLink:
		return f.symlink(n)
	case r.Tree.dir == "":
		return f.write(n, n.data, r.extra)
	default:
		return r.base.in(d.path, func(from folder) error {
			_, err := f.copy(from, n, r.extra)
			return err
		})
	}
}

// in calls do with the directory at name below f, whose parents are known to
// be no links.
func (f folder) in(name string, do func(folder) error) error {
	if name == "." {
		return do(f)
	}
	sub, err := f.sub(name)
	if err != nil {
		return err
	}
	defer sub.close()
	return do(sub)
}

func (f folder) stamp(name string) (stamp, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return stamp{}, pathError("stat", name, err)
	}
	return stampOf(&st), nil
}

func (f folder) stampSelf(d *dirStamp) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return pathError("stat", ".", err)
	}
	d.stamp = stampOf(&st)
	d.links, d.size, d.mtime = 0, 0, 0 // of what is in it
	var err error
	d.attributes, err = attributesOf(f.fd)
	return err
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{
		dev: uint64(st.Dev), mode: uint32(st.Mode), owner: st.Uid, group: st.Gid, links: uint64(st.Nlink), //nolint:unconvert,gosec // other types on macOS
		size: st.Size, mtime: st.Mtim.Nano(), id: Identity{st.Ino, st.Ctim.Nano()},
	}
}

// attributes gives a file's extended attributes with their values.
func (f folder) attributes(name string) (string, error) {
	fd, err := openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", pathError("open", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	return attributesOf(fd)
}

func attributesOf(fd int) (string, error) {
	n, err := unix.Flistxattr(fd, nil)
	switch {
	case errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EOPNOTSUPP):
		return "", nil
	case err != nil || n == 0:
		return "", err
	}
	list := make([]byte, n)
	if n, err = unix.Flistxattr(fd, list); err != nil {
		return "", err
	}
	var all strings.Builder
	value := make([]byte, 64<<10) // the most that Linux allows
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&all, "%q=%q ", name, value[:n])
	}
	return all.String(), nil
}

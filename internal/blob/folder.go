package blob

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
)

// Folder is the store in a folder. The blob of the key "a/b" is the file
// a/b.blob. It is written in .partial, synced, and renamed, so a file with its
// name is whole. Several processes may use a folder at once.
type Folder struct {
	dir     string
	partial string // the folder of this process in .partial
	unlock  func()
	making  sync.Mutex
}

var _ Store = (*Folder)(nil)

const (
	fileSuffix = ".blob"
	partialDir = ".partial"
)

// OpenFolder opens the store in dir, which it makes if it is missing, and
// removes what processes that are gone left half written.
func OpenFolder(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := makeDurable(dir, ""); err != nil {
		return nil, diskError(err)
	}
	all := filepath.Join(dir, partialDir)
	f.partial = filepath.Join(all, rand.Text())
	var err error
	if f.unlock, err = lock.Folder(f.partial); err != nil {
		return nil, diskError(err)
	}
	if err := lock.Sweep(all, lock.SweepOptions{Remove: os.RemoveAll}); err != nil {
		return nil, errors.Join(diskError(err), f.Close())
	}
	return f, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error {
	f.unlock()
	return diskError(os.RemoveAll(f.partial))
}

// path gives the file of a key.
func (f *Folder) path(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)+fileSuffix), nil
}

// Put implements [Store].
func (f *Folder) Put(ctx context.Context, key string, sum Sum, content io.Reader) error {
	path, err := f.path(key)
	if err == nil {
		err = sum.Check()
	}
	if err != nil {
		return err
	}
	temporary := filepath.Join(f.partial, rand.Text())
	if err := write(ctx, temporary, NewVerifier(content, sum)); err != nil {
		return errors.Join(diskError(err), ignoreMissing(os.Remove(temporary)))
	}
	if err := f.name(temporary, path); err != nil {
		return errors.Join(diskError(err), ignoreMissing(os.Remove(temporary)))
	}
	return nil
}

func write(ctx context.Context, path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// Only the file's own WriteTo tricks are hidden: every read checks ctx.
	_, err = io.Copy(struct{ io.Writer }{file}, &canceledReader{ctx, content})
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// name gives a written file its name. Delete may remove an empty folder on the
// way to it meanwhile, so that is tried again.
func (f *Folder) name(temporary, path string) error {
	rename := func() error {
		f.making.Lock() // a folder that another goroutine made is synced too
		defer f.making.Unlock()
		if err := makeDurable(filepath.Dir(path), f.dir); err != nil {
			return err
		}
		return os.Rename(temporary, path)
	}
	err := rename()
	for try := 1; errors.Is(err, fs.ErrNotExist) && try < 20; try++ {
		err = rename()
	}
	if err != nil {
		return err
	}
	return ignoreMissing(syncFolder(filepath.Dir(path))) // missing: deleted by now
}

// makeDurable makes a folder and those above it up to top, and syncs the folder
// that each new one is in.
func makeDurable(dir, top string) error {
	if dir == top {
		return nil
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeDurable(filepath.Dir(dir), top); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

// Open implements [Store].
func (f *Folder) Open(ctx context.Context, key string, r Range) (io.ReadCloser, error) {
	path, err := f.path(key)
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, missing(key, err)
	}
	length := r.Length
	if length == 0 {
		length = 1<<63 - 1 - r.Offset
	}
	return &fileReader{canceledReader{ctx, io.NewSectionReader(file, r.Offset, length)}, file}, nil
}

type fileReader struct {
	canceledReader
	file *os.File
}

func (r *fileReader) Close() error { return r.file.Close() }

// canceledReader ends when its context does.
type canceledReader struct {
	ctx context.Context
	in  io.Reader
}

func (r *canceledReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p)
}

// Stat implements [Store].
func (f *Folder) Stat(_ context.Context, key string) (Info, error) {
	path, err := f.path(key)
	if err != nil {
		return Info{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Info{}, missing(key, err)
	}
	return Info{Key: key, Sum: Sum{Size: info.Size()}, Modified: info.ModTime()}, nil
}

func missing(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errs.E(errs.NotFound, "no blob %s", key)
	}
	return diskError(err)
}

// Delete implements [Store]. Folders that become empty are removed too.
func (f *Folder) Delete(_ context.Context, key string) error {
	path, err := f.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return diskError(ignoreMissing(err))
	}
	for dir := filepath.Dir(path); dir != f.dir; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil { // not empty
			break
		}
	}
	return nil
}

// List implements [Store].
func (f *Folder) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) { f.list(ctx, "", prefix, after, yield) }
}

// list yields what is in the folder dir ("" or with a slash at its end), and
// reports whether to go on.
func (f *Folder) list(ctx context.Context, dir, prefix, after string, yield func(Info, error) bool) bool {
	entries, err := os.ReadDir(filepath.Join(f.dir, filepath.FromSlash(dir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		yield(Info{}, diskError(err))
		return false
	}
	// In the order of keys: that of "a/b" is behind that of "a-b".
	name := func(e fs.DirEntry) string {
		if e.IsDir() {
			return dir + e.Name() + "/"
		}
		return dir + strings.TrimSuffix(e.Name(), fileSuffix)
	}
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return strings.Compare(name(x), name(y)) })
	for _, e := range entries {
		key := name(e)
		if ctx.Err() != nil {
			yield(Info{}, context.Cause(ctx))
			return false
		}
		if e.IsDir() {
			below := strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key)
			past := key < after && !strings.HasPrefix(after, key)
			if e.Name() != partialDir && below && !past && !f.list(ctx, key, prefix, after, yield) {
				return false
			}
			continue
		}
		if !strings.HasSuffix(e.Name(), fileSuffix) || !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			yield(Info{}, diskError(err))
			return false
		}
		if !yield(Info{Key: key, Sum: Sum{Size: info.Size()}, Modified: info.ModTime()}, nil) {
			return false
		}
	}
	return true
}

// Upload implements [Store]: a folder has no URLs.
func (f *Folder) Upload(_ context.Context, key string, sum Sum, _ time.Duration) (*Request, error) {
	return nil, cmp.Or(CheckKey(key), sum.Check())
}

// Download implements [Store]: a folder has no URLs.
func (f *Folder) Download(_ context.Context, key string, _ time.Duration) (*Request, error) {
	return nil, CheckKey(key)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// diskError says what a full disk is full of.
func diskError(err error) error {
	if errs.KindOf(err) == errs.Unavailable {
		return errs.E(errs.Unavailable, "the disk of the blobs is full: %w", err)
	}
	return err
}

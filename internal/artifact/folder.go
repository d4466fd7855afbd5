package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/workspace"
)

// Folder is the store in a folder of this computer. Each key is a folder in it:
// the files that later jobs get are in files, the reports by kind in reports,
// and artifacts.json is written last. It is made under another name and renamed
// when whole, so one that can be opened is complete.
type Folder struct{ dir string }

var _ Store = (*Folder)(nil)

const (
	filesDir      = "files"
	reportsDir    = "reports"
	infoFile      = "artifacts.json"
	partialSuffix = ".partial"
	deadSuffix    = ".dead"
)

// NewFolder opens the store in dir, which need not exist yet.
func NewFolder(dir string) *Folder { return &Folder{dir: dir} }

func (f *Folder) path(key string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(key)) || key == "." {
		return "", errs.E(errs.Invalid, "%q is not a key of artifacts", key)
	}
	return filepath.Join(f.dir, filepath.FromSlash(key)), nil
}

// Put implements [Store].
func (f *Folder) Put(ctx context.Context, key string, c *Collection) error {
	dst, err := f.path(key)
	if err != nil {
		return err
	}
	partial := dst + partialSuffix
	if err := errors.Join(workspace.RemoveAll(partial), discard(dst), os.MkdirAll(partial, 0o777)); err != nil {
		return err
	}
	if err := f.fill(ctx, partial, c); err != nil {
		return errors.Join(err, workspace.RemoveAll(partial))
	}
	if err := os.Rename(partial, dst); err != nil {
		return errors.Join(err, workspace.RemoveAll(partial))
	}
	return nil
}

// Import copies what another store keeps under a key to the same key here.
func (f *Folder) Import(ctx context.Context, from *Folder, key string) error {
	if _, err := from.Info(ctx, key); err != nil {
		return err
	}
	src, _ := from.path(key)
	dst, err := f.path(key)
	if err != nil {
		return err
	}
	partial := dst + partialSuffix
	if err := errors.Join(workspace.RemoveAll(partial), discard(dst)); err != nil {
		return err
	}
	if _, err := workspace.NewTree(src).CloneFiles(ctx, partial); err != nil {
		return err
	}
	if err := os.Rename(partial, dst); err != nil {
		return errors.Join(err, workspace.RemoveAll(partial))
	}
	return nil
}

func (f *Folder) fill(ctx context.Context, dir string, c *Collection) error {
	for kind, sel := range c.Reports {
		if err := sel.CopyTo(ctx, filepath.Join(dir, reportsDir, kind), workspace.CopyOptions{}); err != nil {
			return err
		}
	}
	if c.Files != nil {
		if err := c.Files.CopyTo(ctx, filepath.Join(dir, filesDir), workspace.CopyOptions{Move: c.Move}); err != nil {
			return err
		}
	}
	info, err := json.Marshal(c.Info)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, infoFile), info, 0o666)
}

// discard removes a folder that counts as whole while it has its name.
func discard(dir string) error {
	old := dir + deadSuffix
	if err := workspace.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return workspace.RemoveAll(old)
}

// Info implements [Store].
func (f *Folder) Info(_ context.Context, key string) (Info, error) {
	var info Info
	dir, err := f.path(key)
	if err != nil {
		return info, err
	}
	data, err := os.ReadFile(filepath.Join(dir, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return info, errs.E(errs.NotFound, "no artifacts in %s", dir)
	}
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return info, errs.E(errs.NotFound, "the artifacts in %s are damaged: %w", dir, err)
	}
	return info, nil
}

// files is the folder with the files that key keeps, "" for reports alone.
func (f *Folder) files(ctx context.Context, key string) (string, error) {
	if _, err := f.Info(ctx, key); err != nil {
		return "", err
	}
	dir, _ := f.path(key)
	dir = filepath.Join(dir, filesDir)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return dir, nil
}

// Restore implements [Store].
func (f *Folder) Restore(ctx context.Context, key string, into *os.Root) error {
	dir, err := f.files(ctx, key)
	if err != nil || dir == "" {
		return err
	}
	return workspace.NewTree(dir).Restore(ctx, into, nil)
}

// List implements [Store].
func (f *Folder) List(ctx context.Context, key string) ([]workspace.File, error) {
	dir, err := f.files(ctx, key)
	if err != nil || dir == "" {
		return nil, err
	}
	tree, err := workspace.Scan(dir)
	if err != nil {
		return nil, err
	}
	return tree.Files()
}

// Open implements [Store].
func (f *Folder) Open(ctx context.Context, key, file string) (io.ReadCloser, error) {
	return f.open(ctx, key, filesDir, file)
}

// OpenReport implements [Store].
func (f *Folder) OpenReport(ctx context.Context, key, kind, file string) (io.ReadCloser, error) {
	return f.open(ctx, key, reportsDir+"/"+kind, file)
}

func (f *Folder) open(ctx context.Context, key, sub, file string) (io.ReadCloser, error) {
	if _, err := f.Info(ctx, key); err != nil {
		return nil, err
	}
	dir, _ := f.path(key)
	if sub = filepath.FromSlash(sub); !filepath.IsLocal(sub) {
		return nil, errs.E(errs.NotFound, "the artifacts have no file %q", file)
	}
	root, err := os.OpenRoot(filepath.Join(dir, sub))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "the artifacts have no file %q", file)
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file = path.Clean(file)
	info, err := root.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errs.E(errs.NotFound, "the artifacts have no file %q", file)
	}
	return root.Open(file)
}

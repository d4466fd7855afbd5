package jsonnet

import (
	"io"
	"os"
	"path/filepath"

	"refline/internal/errs"
)

// maxFile is far above what a template, a plan or a library needs.
const maxFile = 256 << 20

// FilesFrom reads files from the disk. Relative paths are relative to dir.
func FilesFrom(dir string) Read {
	return func(path string) ([]byte, error) {
		path = filepath.FromSlash(path)
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			return nil, errs.E(errs.Invalid, "this is a folder, not a file")
		}
		text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err == nil && len(text) > maxFile {
			return nil, errs.E(errs.Invalid, "%s is larger than %d MiB", path, maxFile>>20)
		}
		return text, err
	}
}

package jsonnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	gojsonnet "github.com/google/go-jsonnet"

	"refline/internal/errs"
)

// importer resolves imports as the jsonnet command does: beside the importing
// file, then the library folders from the last to the first, then vendor.
type importer struct {
	ctx      context.Context
	main     string // the file to evaluate, cleaned; "" for a snippet
	disk     bool
	readFile Read
	dirs     []string // in the order they are tried
	vendor   vendored

	files map[string]entry
	read  []string // the files found, in order
	lost  map[string]string

	guard *guard // nil for none

	// transform rewrites a source before it is parsed; nil leaves it.
	transform func(name string, src []byte) []byte
}

type entry struct {
	contents gojsonnet.Contents
	exists   bool
}

func newImporter(ctx context.Context, in Input) *importer {
	imp := &importer{ctx: ctx, disk: in.Read == nil, readFile: in.Read, files: map[string]entry{}, lost: map[string]string{}}
	if imp.disk {
		imp.readFile = os.ReadFile
	}
	for i := len(in.SearchPaths) - 1; i >= 0; i-- {
		imp.dirs = append(imp.dirs, in.SearchPaths[i])
	}
	if in.File != "" {
		imp.main = imp.join("", in.File)
	}
	imp.vendor = imp.findVendor(in.File)
	if imp.vendor.dir != "" {
		imp.dirs = append(imp.dirs, imp.vendor.dir)
	}
	return imp
}

// join names dir/name. Paths given to a Read function use slashes everywhere.
func (imp *importer) join(dir, name string) string {
	switch {
	case imp.disk && filepath.IsAbs(name), !imp.disk && path.IsAbs(name):
		return name
	case imp.disk:
		return filepath.Join(dir, name)
	default:
		return path.Join(dir, filepath.ToSlash(name))
	}
}

// Import implements jsonnet's importer.
func (imp *importer) Import(importedFrom, importedPath string) (gojsonnet.Contents, string, error) {
	if err := imp.ctx.Err(); err != nil {
		return gojsonnet.Contents{}, "", context.Cause(imp.ctx)
	}
	if importedPath == goOn && imp.guard != nil {
		if err := imp.guard.ask(); err != nil {
			return gojsonnet.Contents{}, "", err
		}
	}
	if importedPath == goOn || importedPath == carrier {
		return imp.files[importedPath].contents, importedPath, nil
	}
	importedPath, asText := strings.CutPrefix(importedPath, textPrefix)
	dir, _ := filepath.Split(importedFrom)
	if !imp.disk {
		dir, _ = path.Split(importedFrom)
	}
	for i := -1; i < len(imp.dirs); i++ {
		if i >= 0 {
			dir = imp.dirs[i]
		}
		name := imp.join(dir, importedPath)
		e, err := imp.open(name, asText)
		if err != nil {
			return gojsonnet.Contents{}, "", err
		}
		if e.exists {
			if asText {
				name = textPrefix + name // the machine keeps one content for a name
			}
			return e.contents, name, nil
		}
	}
	err := fmt.Errorf("couldn't open import %#v: no match locally or in the Jsonnet library paths", importedPath)
	imp.lost[err.Error()] = imp.hintLost(importedFrom, importedPath)
	return gojsonnet.Contents{}, "", err
}

// textPrefix begins the path of an import in an instrumented source that is for the
// file's own text (importstr), not for its instrumented one.
const textPrefix = "<text of>"

func (imp *importer) open(name string, asText bool) (entry, error) {
	key := name
	if asText {
		key = textPrefix + name
	}
	if e, ok := imp.files[key]; ok {
		return e, nil
	}
	src, err := imp.readFile(name)
	switch {
	case err == nil:
		if imp.transform != nil && !asText {
			src = imp.transform(name, src)
		}
		imp.read = append(imp.read, name)
		imp.files[key] = entry{gojsonnet.MakeContentsRaw(src), true}
	case errors.Is(err, fs.ErrNotExist), errs.Is(err, errs.NotFound):
		imp.files[key] = entry{}
	default:
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the caller's own name is enough
		}
		return entry{}, fmt.Errorf("read %s: %w", name, err)
	}
	return imp.files[key], nil
}

func (imp *importer) hintLost(from, name string) string {
	if h := imp.vendor.hint(name); h != "" {
		return h
	}
	beside := filepath.ToSlash(imp.join(path.Dir(filepath.ToSlash(from)), "."))
	tried := append([]string{beside}, imp.dirs...)
	return "looked in " + strings.Join(tried, ", ") + "; add a folder with -J"
}

// provide makes name a file with the given source.
func (imp *importer) provide(name string, src []byte) {
	name = imp.join("", name)
	imp.files[name] = entry{gojsonnet.MakeContentsRaw(src), true}
}

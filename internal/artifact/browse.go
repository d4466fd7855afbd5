package artifact

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"refline/internal/archive"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
)

// browseLimits bound an archive that a person looks into while a server answers. They
// are below [archive.DefaultLimits]: its whole index is read for each answer.
var browseLimits = archive.Limits{Entries: 200_000, Bytes: 1 << 40, Index: 64 << 20}

// Browse lists the files and links as [Archive.List] does, of an archive that is not
// larger than a person looks into. Invalid if it is.
func (a *Archive) Browse(ctx context.Context) ([]workspace.File, error) {
	a.limits = browseLimits
	list, err := a.List(ctx)
	if errs.Is(err, errs.Invalid) {
		err = errs.E(errs.Invalid, "the artifacts have more files than are listed; download them whole")
	}
	return list, err
}

// Plain reports whether a name in an archive is a path inside of it. Names are what a
// job made of them: absolute ones and those with ".." are not.
func Plain(name string) bool {
	return fs.ValidPath(name) && name != "." && !strings.ContainsRune(name, 0)
}

// Entry is a file, a link or a folder of artifacts.
type Entry struct {
	Name, Path string
	Dir        bool
	Files      int // in a folder and those below it
	Size       int64
	Link       string
}

// ListFolder lists what is in a folder of files, folders first; nil if it does not exist.
// hidden counts the files of all folders whose names are not paths.
func ListFolder(files []workspace.File, folder string) (list []Entry, hidden int) {
	prefix := ""
	if folder != "" {
		prefix = folder + "/"
	}
	at := map[string]int{}
	for _, f := range files {
		if !Plain(f.Path) {
			hidden++
			continue
		}
		rest, inside := strings.CutPrefix(f.Path, prefix)
		if !inside || rest == "" {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		if !deeper {
			list = append(list, Entry{Name: name, Path: f.Path, Size: f.Size, Link: f.Link})
			continue
		}
		i, known := at[name]
		if !known {
			i = len(list)
			at[name] = i
			list = append(list, Entry{Name: name, Path: prefix + name, Dir: true})
		}
		list[i].Files++
		list[i].Size += f.Size
	}
	slices.SortFunc(list, func(a, b Entry) int {
		if a.Dir != b.Dir {
			if a.Dir {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return list, hidden
}

// OpenSized is [Archive.OpenFile] with the size of the file.
func (a *Archive) OpenSized(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	index, err := a.reader(ctx)
	if err != nil {
		return nil, 0, err
	}
	return index.OpenSized(ctx, filesDir, name)
}

// Each visits the files, without reports, in the order of the archive. It leaves out
// links, and files whose names are not paths.
func (a *Archive) Each(ctx context.Context, visit func(e Entry, content io.Reader) error) error {
	in := blob.NewReader(ctx, a.Open, a.Sum)
	err := archive.Each(ctx, in, filesDir, browseLimits, func(f workspace.File, content io.Reader) error {
		if content == nil || !Plain(f.Path) {
			return nil
		}
		return visit(Entry{Name: path.Base(f.Path), Path: f.Path, Size: f.Size}, content)
	})
	return errors.Join(err, in.Close())
}

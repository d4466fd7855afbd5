package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Entry is a directory, file or link with what is kept of it.
type Entry struct {
	File
	Dir     bool
	ModTime time.Time // zero for directories
}

// IsFile reports whether the entry has content.
func (e *Entry) IsFile() bool { return !e.Dir && e.Link == "" }

// Each visits all that is selected: a directory before what is in it, and its
// files and links before its directories. The content of a file has exactly its
// size and is valid during the call; others have none.
func (s *Selection) Each(ctx context.Context, visit func(e Entry, content io.Reader) error) error {
	from, err := openFolderIn(s.root, ".")
	if err != nil {
		return err
	}
	defer from.close()
	return s.each(ctx, from, ".", &s.top, visit)
}

func (s *Selection) each(ctx context.Context, from folder, at string, p *pick, visit func(Entry, io.Reader) error) error {
	names := slices.Sorted(maps.Keys(p.inside))
	for _, name := range names {
		if q := p.inside[name]; q.kind != isDir {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := visitFile(from, &q.fileNode, joinPath(at, name), visit); err != nil {
				return inDir(at, err)
			}
		}
	}
	for _, name := range names {
		q, full := p.inside[name], joinPath(at, name)
		if q.kind != isDir {
			continue
		}
		if err := visit(Entry{File: File{Path: full, Mode: q.mode}, Dir: true}, nil); err != nil {
			return err
		}
		below, err := from.sub(name)
		if err != nil { // a link to a directory, on the way to a pattern
			below, err = openFolderIn(s.root, full)
		}
		if err != nil {
			return err
		}
		err = s.each(ctx, below, full, q, visit)
		below.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func visitFile(from folder, n *fileNode, full string, visit func(Entry, io.Reader) error) error {
	e := Entry{File: File{Path: full, Size: n.size, Mode: n.mode}, ModTime: time.Unix(0, n.mtime)}
	if n.kind == isLink {
		e.Size, e.Link = 0, n.target
		return visit(e, nil)
	}
	f, now, err := from.open(n.name)
	if err != nil {
		return err
	}
	e.Size, e.Mode, e.ModTime = now.size, now.mode, time.Unix(0, now.mtime)
	return errors.Join(visit(e, &exactReader{name: full, in: f, left: e.Size}), f.Close())
}

// exactReader reads so many bytes, and no more: a file may be written meanwhile.
type exactReader struct {
	name string
	in   io.Reader
	left int64
}

func (r *exactReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF && r.left > 0 { //nolint:errorlint // as readers return it
		err = fmt.Errorf("%s became shorter while it was read", r.name)
	}
	return n, err
}

// Unchanged reports whether the selection is exactly what a [Restorer] made, and
// none of its files was written since. False may mean unknown.
func (s *Selection) Unchanged(seen Seen) bool {
	count := 0
	return len(seen.Files) > 0 && s.top.unchanged(".", seen, &count) && count == len(seen.Files)
}

func (p *pick) unchanged(at string, seen Seen, count *int) bool {
	for name, q := range p.inside {
		full := joinPath(at, name)
		*count++
		if q.kind == isDir {
			if _, known := seen.Files[full+"/"]; !known || !q.unchanged(full, seen, count) {
				return false
			}
			continue
		}
		id := seen.Files[full]
		if id == (Identity{}) || id != q.id || q.id.ctime >= seen.Until.UnixNano() {
			return false
		}
	}
	return true
}

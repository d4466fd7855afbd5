package workspace

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"refline/internal/errs"
	"slices"
	"strings"
	"sync"

	"github.com/bmatcuk/doublestar/v4"
)

// Scan lists the files of dir. It does not read their content.
func Scan(dir string) (*Tree, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.close()
	t := &Tree{base: dir, dir: dir, load: func() error { return nil }}
	t.noMount.Store(true)
	t.large = func() bool { return false }
	t.paths, t.folders = sync.OnceValue(t.pathSet), sync.OnceValue(t.folderSet)
	return t, t.scan(root, ".")
}

// File describes a file or link of a tree. Path has slashes.
type File struct {
	Path string      `json:"path"`
	Size int64       `json:"size"`
	Mode fs.FileMode `json:"mode"`
	Link string      `json:"link,omitempty"` // where a link points
}

// Files lists the files and links, sorted by path.
func (t *Tree) Files() ([]File, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	list := make([]File, 0, t.files)
	for _, d := range t.dirs {
		for _, n := range d.files {
			list = append(list, File{Path: joinPath(d.path, n.name), Size: n.size, Mode: n.mode, Link: n.target})
		}
	}
	slices.SortFunc(list, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	return list, nil
}

// Match gives the tree's paths that match a pattern.
func (t *Tree) Match(pattern string) ([]string, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	if !strings.ContainsAny(pattern, `*?[{\`) {
		if t.paths()[pattern] {
			return []string{pattern}, nil
		}
		return nil, nil
	}
	if !doublestar.ValidatePattern(pattern) {
		return nil, errs.E(errs.Invalid, "%q is not a pattern", pattern)
	}
	var found []string
	for p := range t.paths() {
		if doublestar.MatchUnvalidated(pattern, p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// BlobID gives the id that git gives to the content of the file at path, in a
// repository of the usual kind (SHA-1).
func (t *Tree) BlobID(file string) (string, error) {
	content, err := t.content(file)
	if err != nil {
		return "", err
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// content gives the content of a file of the tree, or where a link points.
func (t *Tree) content(file string) ([]byte, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(t.dirs, func(d treeDir) bool { return d.path == path.Dir(file) })
	if i < 0 {
		return nil, errs.E(errs.NotFound, "no file %q", file)
	}
	d := &t.dirs[i]
	j := slices.IndexFunc(d.files, func(n fileNode) bool { return n.name == path.Base(file) })
	if j < 0 {
		return nil, errs.E(errs.NotFound, "no file %q", file)
	}
	n := &d.files[j]
	switch {
	case n.kind == isLink:
		return []byte(n.target), nil
	case t.dir == "":
		return n.data, nil
	}
	root, err := openFolder(t.dir)
	if err != nil {
		return nil, err
	}
	defer root.close()
	f, err := root.sub(d.path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	return f.read(n.name, n.size)
}

// Digest is a hash of everything about the tree but the content.
func (t *Tree) Digest() string {
	h := sha256.New()
	w := bufio.NewWriter(h)
	for _, d := range t.dirs {
		fmt.Fprintf(w, "%q %o\n", d.path, d.mode)
		for _, n := range d.files {
			if n.kind == isLink {
				fmt.Fprintf(w, "%q -> %q\n", n.name, n.target)
			} else {
				fmt.Fprintf(w, "%q %o %d %d\n", n.name, n.mode, n.size, n.mtime)
			}
		}
	}
	_ = w.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

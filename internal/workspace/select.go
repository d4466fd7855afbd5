package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Wanted says which files of a workspace artifacts or a cache take.
type Wanted struct {
	Paths     []string
	Exclude   []string
	Untracked func(path string) bool // nil: not asked for; true for files outside the repository
	Expand    func(string) string    // of variables in paths; nil: none
	// ProjectDir is how the job sees the workspace, for paths that start with
	// $CI_PROJECT_DIR.
	ProjectDir string
}

// Selection is what [Select] found, as a part of the workspace's tree.
type Selection struct {
	Notes    []string // lines for the job's log
	Warnings []string

	root  *os.Root
	top   pick
	files int   // and links
	bytes int64 // of the files

	exclude  []string
	excluded int
	special  int
	viaLink  bool // something was found behind a link: it may be here twice
	tick     int
}

// pick is one name of a selection.
type pick struct {
	fileNode
	inside map[string]*pick // of a directory
	listed int              // how many names the directory has; -1 when not counted
	taken  bool             // chosen itself, not only on the way to something
}

// Close releases the workspace.
func (s *Selection) Close() { _ = s.root.Close() }

// Empty reports whether nothing was found, not even an empty folder.
func (s *Selection) Empty() bool { return len(s.top.inside) == 0 }

// Size gives the number of files and links, and the bytes of the files.
func (s *Selection) Size() (files int, bytes int64) { return s.files, s.bytes }

// Paths lists the files and links, sorted.
func (s *Selection) Paths() []string { return s.top.paths(".", nil) }

// Select finds the wanted files in a workspace, a folder. Patterns are those of
// doublestar. A directory means all that is in it. A link is taken as a link; it is
// followed only before a pattern's first wildcard and only inside the workspace.
// The only error is a workspace that does not exist.
func Select(ctx context.Context, workspace string, w Wanted) (*Selection, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, err
	}
	s := &Selection{root: root, top: pick{fileNode: fileNode{name: ".", kind: isDir}, listed: -1}}
	for _, p := range w.Exclude {
		if rel, ok := w.Relative(workspace, p); ok {
			s.exclude = append(s.exclude, rel)
		}
	}
	for _, p := range w.Paths {
		if err := s.path(ctx, workspace, w, p); err != nil {
			s.Close()
			return nil, err
		}
	}
	if w.Untracked != nil {
		if err := s.addUntracked(ctx, w.Untracked); err != nil {
			s.Close()
			return nil, err
		}
	}
	if s.excluded > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d left out by exclude", s.excluded))
	}
	if s.special > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d sockets, pipes or devices left out", s.special))
	}
	s.top.prune()
	return s, nil
}

// path adds what one pattern finds.
func (s *Selection) path(ctx context.Context, workspace string, w Wanted, written string) error {
	pattern, ok := w.Relative(workspace, written)
	if !ok {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%q is not inside the project folder", written))
		return nil
	}
	if !doublestar.ValidatePattern(pattern) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%q is not a pattern", written))
		return nil
	}
	before := s.files
	found, err := s.glob(ctx, pattern)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		s.Warnings = append(s.Warnings, fmt.Sprintf("%q: %v", written, err))
	case found == 0:
		s.Warnings = append(s.Warnings, fmt.Sprintf("nothing matches %q (paths are relative to the project folder)", written))
	default:
		s.Notes = append(s.Notes, fmt.Sprintf("%s: %s", written, howMany(s.files-before, "file")))
	}
	return nil
}

// Relative gives a pattern as one inside the workspace, with slashes.
func (w Wanted) Relative(workspace, p string) (string, bool) {
	if w.Expand != nil {
		p = w.Expand(p)
	}
	if strings.TrimSpace(p) == "" {
		return "", false
	}
	for _, dir := range []string{w.ProjectDir, workspace} {
		if rest, ok := strings.CutPrefix(p, dir); ok && dir != "" && (rest == "" || rest[0] == '/') {
			p = "." + rest
			break
		}
	}
	p = path.Clean(p)
	return p, fs.ValidPath(strings.ToValidUTF8(p, "?"))
}

// glob adds what matches a clean pattern and returns how many entries did.
func (s *Selection) glob(ctx context.Context, pattern string) (found int, err error) {
	base, rest := path.Dir(pattern), path.Base(pattern)
	if strings.ContainsAny(pattern, `*?[{\`) {
		base, rest = doublestar.SplitPattern(pattern)
	}
	for at := base; at != "."; at = path.Dir(at) {
		if info, err := s.root.Lstat(at); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			s.viaLink = true
		}
	}
	f, err := openFolderIn(s.root, base)
	if err != nil {
		return 0, err
	}
	defer f.close()
	if pattern == "." {
		return s.inside(ctx, f, ".")
	}
	if rest == path.Base(pattern) && !strings.ContainsAny(rest, `*?[{\`) {
		n, err := f.stat(rest)
		if err != nil {
			return 0, err
		}
		return s.take(ctx, f, base, n)
	}
	return s.search(ctx, f, base, base, rest, depthOf(rest))
}

// depthOf gives how many levels below its base a pattern can match; -1 for
// any number.
func depthOf(pattern string) int {
	if strings.Contains(pattern, "**") || strings.ContainsAny(pattern, `{[\`) {
		return -1
	}
	return strings.Count(pattern, "/")
}

// search adds everything in f, which is the directory at, that matches pattern,
// which is relative to base.
func (s *Selection) search(ctx context.Context, f folder, at, base, pattern string, depth int) (found int, err error) {
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	names, err := f.names()
	if err != nil {
		return 0, err
	}
	slices.Sort(names)
	for _, name := range names {
		full := joinPath(at, name)
		rel := full
		if base != "." {
			rel = full[len(base)+1:]
		}
		n, err := f.stat(name)
		if err != nil {
			continue // gone meanwhile, or not readable
		}
		if matches(pattern, rel, n.kind) {
			k, err := s.take(ctx, f, at, n)
			if err != nil {
				return found, err
			}
			found += k
			continue
		}
		if n.kind != isDir || depth == 0 {
			continue
		}
		sub, err := f.sub(name)
		if err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", full))
			continue
		}
		k, err := s.search(ctx, sub, full, base, pattern, depth-1)
		sub.close()
		if err != nil {
			return found, err
		}
		found += k
	}
	return found, nil
}

// matches reports whether a pattern finds a path. "dir/**" also means dir itself,
// but not a file of that name.
func matches(pattern, rel string, kind fileKind) bool {
	if kind != isDir && strings.HasSuffix(pattern, "/**") {
		pattern += "/*"
	}
	ok, _ := doublestar.Match(pattern, rel)
	return ok
}

// take adds one name of f, which is the directory at, with all that is inside.
func (s *Selection) take(ctx context.Context, f folder, at string, n fileNode) (found int, err error) {
	full := joinPath(at, n.name)
	left := s.isExcluded(full)
	if n.kind != isDir {
		if left || n.kind == isSpecial {
			if left {
				s.excluded++
			} else {
				s.special++
			}
			return 0, nil
		}
		s.add(at, n)
		return 1, nil
	}
	p := s.dir(at).child(n)
	if p.taken && p.listed >= 0 {
		return 1, nil // by an earlier pattern
	}
	if left { // not its inside: exclude is not recursive
		s.excluded++
	} else {
		p.taken = true
		found++
	}
	sub, err := f.sub(n.name)
	if err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", full))
		return found, nil
	}
	defer sub.close()
	k, err := s.inside(ctx, sub, full)
	return found + k, err
}

// inside adds everything in f, which is the directory at.
func (s *Selection) inside(ctx context.Context, f folder, at string) (found int, err error) {
	if err := s.alive(ctx); err != nil {
		return 0, err
	}
	names, err := f.names()
	if err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", at))
		return 0, nil
	}
	s.dir(at).listed = len(names)
	slices.Sort(names)
	for _, name := range names {
		n, err := f.stat(name)
		if err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", joinPath(at, name)))
			continue
		}
		k, err := s.take(ctx, f, at, n)
		if err != nil {
			return found, err
		}
		found += k
	}
	return found, nil
}

// add puts a file or link into the selection, once.
func (s *Selection) add(at string, n fileNode) {
	p := s.dir(at)
	if p.inside[n.name] != nil {
		return
	}
	p.child(n).taken = true
	s.files++
	if n.kind == isFile {
		s.bytes += n.size
	}
}

// child gives the pick of what p has inside.
func (p *pick) child(n fileNode) *pick {
	q := p.inside[n.name]
	if q == nil {
		if p.inside == nil {
			p.inside = map[string]*pick{}
		}
		q = &pick{listed: -1}
		p.inside[n.name] = q
	}
	q.fileNode = n
	return q
}

// dir gives the pick of a directory, and makes it and those above as needed.
func (s *Selection) dir(at string) *pick {
	if at == "." {
		return &s.top
	}
	above := s.dir(path.Dir(at))
	if p := above.inside[path.Base(at)]; p != nil && p.kind == isDir {
		return p
	}
	n := fileNode{name: path.Base(at), kind: isDir, mode: 0o755}
	if info, err := s.root.Stat(at); err == nil {
		n.mode = info.Mode().Perm()
	}
	return above.child(n)
}

// paths lists the files and links of a pick, sorted.
func (p *pick) paths(at string, list []string) []string {
	for _, name := range slices.Sorted(maps.Keys(p.inside)) {
		q := p.inside[name]
		if q.kind == isDir {
			list = q.paths(joinPath(at, name), list)
		} else {
			list = append(list, joinPath(at, name))
		}
	}
	return list
}

// prune drops directories that were only passed through.
func (p *pick) prune() {
	for name, q := range p.inside {
		if q.kind == isDir {
			q.prune()
			if !q.taken && len(q.inside) == 0 {
				delete(p.inside, name)
			}
		}
	}
}

// whole reports whether all that the directory has is selected.
func (p *pick) whole() bool {
	if p.kind != isDir {
		return p.links == 1 || p.kind == isLink
	}
	if !p.taken || p.listed != len(p.inside) {
		return false
	}
	for _, q := range p.inside {
		if !q.whole() {
			return false
		}
	}
	return true
}

func (s *Selection) isExcluded(full string) bool {
	for _, p := range s.exclude {
		if ok, _ := doublestar.Match(p, full); ok {
			return true
		}
	}
	return false
}

// addUntracked adds the files that the repository does not have, those that it
// ignores too. Git's own folder is never among them.
func (s *Selection) addUntracked(ctx context.Context, is func(path string) bool) error {
	f, err := openFolderIn(s.root, ".")
	if err != nil {
		return err
	}
	defer f.close()
	before := s.files
	if err := s.untrackedIn(ctx, f, ".", is); err != nil {
		return err
	}
	s.Notes = append(s.Notes, fmt.Sprintf("untracked: %s", howMany(s.files-before, "file")))
	return nil
}

func (s *Selection) untrackedIn(ctx context.Context, f folder, at string, is func(path string) bool) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	before := s.files
	names, err := f.names()
	if err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", at))
		return nil
	}
	slices.Sort(names)
	for _, name := range names {
		full := joinPath(at, name)
		n, err := f.stat(name)
		if err != nil || full == ".git" {
			continue
		}
		if n.kind != isDir {
			if is(full) {
				if _, err := s.take(ctx, f, at, n); err != nil {
					return err
				}
			}
			continue
		}
		sub, err := f.sub(name)
		if err != nil {
			s.Warnings = append(s.Warnings, fmt.Sprintf("cannot read %q", full))
			continue
		}
		err = s.untrackedIn(ctx, sub, full, is)
		sub.close()
		if err != nil {
			return err
		}
		// Nothing of the repository in it: it may be moved as one.
		if p := s.dir(at).inside[name]; p != nil {
			p.fileNode = n
			p.taken = p.taken || len(p.inside) == p.listed
		}
	}
	if at != "." && s.files > before {
		s.dir(at).listed = len(names)
	}
	return nil
}

// alive checks ctx now and then.
func (s *Selection) alive(ctx context.Context) error {
	if s.tick++; s.tick%64 == 0 && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// howMany gives "1 file", "2 files".
func howMany(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

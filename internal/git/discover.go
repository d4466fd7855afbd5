package git

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// place is where a repository keeps its things: what git-rev-parse(1) would
// answer, found by reading the files that gitrepository-layout(5) describes.
type place struct {
	root   string // top of the working tree
	dir    string // of this working tree: HEAD, index
	common string // of the repository: objects, refs, config
}

// discover walks up from dir to the working tree that holds it. A folder in no
// repository gives ok=false.
func discover(dir string, getenv func(string) string) (p place, ok bool, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return place{}, false, errs.E(errs.Invalid, "%w", err)
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return place{}, false, errs.E(errs.NotFound, "%s is not a folder", dir)
	}
	ceilings := filepath.SplitList(getenv("GIT_CEILING_DIRECTORIES"))
	for at := dir; ; at = filepath.Dir(at) {
		p, ok, err := repositoryAt(at)
		if err != nil || ok {
			return p, ok, err
		}
		if isGitDir(at) {
			return place{}, false, errs.E(errs.Invalid,
				"%s is the inside of a git repository or a bare one; go to a working tree, or run it with --repo", at)
		}
		if up := filepath.Dir(at); up == at || slices.Contains(ceilings, up) {
			return place{}, false, nil
		}
	}
}

// repositoryAt looks for a .git folder, or a .git file as linked working trees
// and submodules have, in root itself.
func repositoryAt(root string) (place, bool, error) {
	dot := filepath.Join(root, ".git")
	st, err := os.Stat(dot)
	if err != nil {
		return place{}, false, nil
	}
	p := place{root: root, dir: dot}
	if !st.IsDir() {
		text, err := os.ReadFile(dot)
		target, isLink := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), "gitdir: ")
		if err != nil || !isLink {
			return place{}, false, errs.E(errs.Invalid, "%s is neither a git folder nor a link to one", dot)
		}
		p.dir = resolve(root, target)
	}
	p.common = p.dir
	if text, err := os.ReadFile(filepath.Join(p.dir, "commondir")); err == nil {
		p.common = resolve(p.dir, strings.TrimSpace(string(text)))
	}
	if !isGitDir(p.dir) {
		if !st.IsDir() {
			return place{}, false, errs.E(errs.Invalid, "%s points to %s, which is not a git repository", dot, p.dir)
		}
		return place{}, false, nil // as git does: an empty .git folder is not a repository
	}
	return p, true, nil
}

// isGitDir is git's own test: a HEAD, objects and refs (the two perhaps in the
// common folder).
func isGitDir(dir string) bool {
	if st, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil || st.IsDir() {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, "commondir")); err == nil {
		return true
	}
	return isDir(filepath.Join(dir, "objects")) && isDir(filepath.Join(dir, "refs"))
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func resolve(base, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// alternates lists the object folders that objects borrows from, at any depth.
// Every one must be readable where the repository is used, in a container too.
func alternates(objects string) []string {
	var found []string
	var visit func(objects string, depth int)
	visit = func(objects string, depth int) {
		text, err := os.ReadFile(filepath.Join(objects, "info", "alternates"))
		if err != nil || depth > 5 { // git follows five
			return
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\r\n")
			if line == "" || line[0] == '#' {
				continue
			}
			if at := resolve(objects, line); !slices.Contains(found, at) {
				found = append(found, at)
				visit(at, depth+1)
			}
		}
	}
	visit(objects, 1)
	return found
}

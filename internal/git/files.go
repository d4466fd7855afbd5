package git

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"refline/internal/errs"
)

// Files is what a working tree consists of. Paths are relative to its root,
// with slashes, sorted.
type Files struct {
	Paths      []string // tracked, and untracked but not ignored; all exist
	Changed    []string // differ from HEAD: modified, staged, deleted or untracked
	Submodules []string // folders of submodules; their files are not in Paths
	Unreadable []string // folders that may not be read; what is untracked in them is not in Paths
}

// Files lists the working tree, by two processes side by side. Outside a
// repository it is every file below the folder, none of them changed.
func (w *Worktree) Files(ctx context.Context) (Files, error) {
	if !w.InRepository() {
		return w.walkFolder()
	}
	var listed, status []byte
	var listErr, statusErr error
	var warnings string
	var wg sync.WaitGroup
	wg.Go(func() {
		list := w.git("ls-files", "-z", "-t", "-s", "-c", "-o", "--exclude-standard")
		list.said = &warnings
		listed, listErr = list.output(ctx)
	})
	wg.Go(func() {
		status, statusErr = w.git("status", "--porcelain=v2", "-z", "--untracked-files=no", "--no-renames",
			"--ignore-submodules=dirty").output(ctx)
	})
	wg.Wait()
	for _, err := range []error{listErr, statusErr} {
		if err != nil {
			return Files{}, w.explain(err)
		}
	}
	f := Files{Unreadable: parseUnreadable(warnings)}
	gone := map[string]bool{}
	parseStatus(string(status), func(path string, deleted bool) {
		f.Changed = append(f.Changed, path)
		gone[path] = deleted
	})
	parseListed(string(listed), func(tag byte, mode, path string) {
		switch {
		case mode == modeSubmodule:
			f.Submodules = append(f.Submodules, path)
		case strings.HasSuffix(path, "/") || gone[path]: // another repository; a deleted file
		case tag == 'S' || tag == 'M': // left out by a sparse checkout, or in conflict: it may exist
			if _, err := os.Lstat(filepath.Join(w.Root, filepath.FromSlash(path))); err == nil {
				f.Paths = append(f.Paths, path)
			}
		default:
			f.Paths = append(f.Paths, path)
			if tag == '?' {
				f.Changed = append(f.Changed, path)
			}
		}
	})
	for _, list := range []*[]string{&f.Paths, &f.Changed, &f.Submodules} {
		if len(w.skip) > 0 {
			*list = slices.DeleteFunc(*list, w.skipped)
		}
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return f, nil
}

// parseUnreadable finds the folders that git warns of.
func parseUnreadable(warnings string) []string {
	var folders []string
	for line := range strings.Lines(warnings) {
		rest, ok := strings.CutPrefix(line, "warning: could not open directory '")
		if end := strings.LastIndex(rest, "': "); ok && end >= 0 {
			folders = append(folders, strings.TrimSuffix(rest[:end], "/"))
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// parseListed reads "ls-files -z -t -s -o": "H mode id stage\tpath" or "? path".
func parseListed(out string, each func(tag byte, mode, path string)) {
	for record := range strings.SplitSeq(out, "\x00") {
		if len(record) < 3 || record[1] != ' ' {
			continue
		}
		tag, rest := record[0], record[2:]
		if tag == '?' {
			each(tag, "", rest)
			continue
		}
		if meta, path, ok := strings.Cut(rest, "\t"); ok {
			mode, _, _ := strings.Cut(meta, " ")
			each(tag, mode, path)
		}
	}
}

// parseStatus reads "status --porcelain=v2 -z" without renames.
func parseStatus(out string, each func(path string, deleted bool)) {
	for record := range strings.SplitSeq(out, "\x00") {
		fields := 9
		switch {
		case strings.HasPrefix(record, "1 "):
		case strings.HasPrefix(record, "u "):
			fields = 11
		default:
			continue
		}
		if f := strings.SplitN(record, " ", fields); len(f) == fields && len(f[1]) == 2 {
			each(f[fields-1], fields == 9 && f[1][1] == 'D')
		}
	}
}

// What a folder outside of any repository may hold to be taken for a project.
// Without a list of what belongs to it, more than that is a home folder.
const (
	maxFolderFiles = 10_000
	maxFolderBytes = 100_000_000
)

// walkFolder lists a folder outside of any repository, without what is skipped.
func (w *Worktree) walkFolder() (Files, error) {
	var f Files
	var bytes int64
	root := w.Root
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		switch {
		case err == nil && d.IsDir() && w.skipped(rel):
			return filepath.SkipDir
		case errors.Is(err, fs.ErrPermission) && path != root && d.IsDir():
			f.Unreadable = append(f.Unreadable, rel)
			return filepath.SkipDir
		case err != nil:
			return err
		case d.IsDir() && d.Name() == ".git" && path != root:
			return filepath.SkipDir
		case d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0:
			f.Paths = append(f.Paths, rel)
			if info, err := d.Info(); err == nil && d.Type().IsRegular() {
				bytes += info.Size()
			}
			if len(f.Paths) > maxFolderFiles || bytes > maxFolderBytes {
				return errs.E(errs.Invalid, "%s is in no repository and holds more than %d files or %d MB, which every job would get: move the file into a folder of its own, or make the folder a repository (git init)",
					root, maxFolderFiles, maxFolderBytes/1_000_000)
			}
		}
		return nil
	})
	if errs.Is(err, errs.Invalid) {
		return Files{}, err
	}
	if err != nil {
		return Files{}, errs.E(errs.Invalid, "the files of %s: %w", root, err)
	}
	slices.Sort(f.Paths)
	return f, nil
}

// skipped reports whether a path of the working tree is in a folder of Skip.
func (w *Worktree) skipped(path string) bool {
	return slices.ContainsFunc(w.skip, func(dir string) bool {
		rest, in := strings.CutPrefix(path, dir)
		return in && (rest == "" || rest[0] == '/')
	})
}

// Skip leaves folders out of what [Worktree.Files] lists: those of this program,
// where they are below the root.
func (w *Worktree) Skip(folders ...string) {
	root := RealPath(w.Root)
	for _, dir := range folders {
		rel, err := filepath.Rel(root, RealPath(dir))
		if err == nil && rel != "." && filepath.IsLocal(rel) {
			w.skip = append(w.skip, filepath.ToSlash(rel))
		}
	}
}

// RealPath follows links as far as the path exists.
func RealPath(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	if dir := filepath.Dir(p); dir != p {
		return filepath.Join(RealPath(dir), filepath.Base(p))
	}
	return p
}

// Changed lists what differs between the point where HEAD left base and the
// working tree: commits since, changes not yet committed, untracked files. A
// rename counts as both its paths. base is a commit, a branch or a full ref; the
// kind is NotFound when it is not in this repository.
func (w *Worktree) Changed(ctx context.Context, base string) ([]string, error) {
	if !w.InRepository() || strings.HasPrefix(base, "-") || base == "" {
		return nil, errs.E(errs.Invalid, "%q is not a revision of %s", base, w.Root)
	}
	diff := []string{"diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=dirty"}
	var changed, untracked []byte
	var diffErr, untrackedErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		changed, diffErr = w.git(append(diff, "--merge-base", "--end-of-options", base, "--")...).output(ctx)
		if diffErr == nil || ctx.Err() != nil {
			return
		}
		// Several merge bases, or none: the first one, or base itself, serves.
		from := base
		if out, err := w.git("merge-base", "--end-of-options", base, "HEAD").output(ctx); err == nil {
			from = strings.TrimSpace(string(out))
		}
		changed, diffErr = w.git(append(diff, "--end-of-options", from, "--")...).output(ctx)
	})
	wg.Go(func() {
		untracked, untrackedErr = w.git("ls-files", "-z", "-o", "--exclude-standard").output(ctx)
	})
	wg.Wait()
	if diffErr != nil {
		return nil, errs.E(errs.NotFound, "%q is not a revision of %s; is it fetched?: %w", base, w.Root, diffErr)
	}
	if untrackedErr != nil {
		return nil, w.explain(untrackedErr)
	}
	paths := strings.Split(string(changed)+string(untracked), "\x00")
	slices.Sort(paths)
	paths = slices.Compact(paths)
	return slices.DeleteFunc(paths, func(p string) bool { return p == "" }), nil
}

// MergeBase is the commit at which HEAD left base, which is as in Changed. Without
// a common history it is the commit of base.
func (w *Worktree) MergeBase(ctx context.Context, base string) (string, error) {
	if !w.InRepository() || strings.HasPrefix(base, "-") || base == "" {
		return "", errs.E(errs.NotFound, "%q is not a revision of %s", base, w.Root)
	}
	out, err := w.git("merge-base", "--end-of-options", base, "HEAD").output(ctx)
	if err != nil {
		out, err = w.git("rev-parse", "--verify", "--quiet", "--end-of-options", base+"^{commit}").output(ctx)
	}
	if err != nil {
		return "", errs.E(errs.NotFound, "%q is not a revision of %s; is it fetched?: %w", base, w.Root, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Modified reports whether files that git tracks differ from HEAD. Files that it
// does not track say nothing of a commit.
func (w *Worktree) Modified(ctx context.Context) (bool, error) {
	out, err := w.git("diff", "--name-only", "-z", "--no-ext-diff", "--ignore-submodules=dirty", "HEAD", "--").output(ctx)
	if err != nil {
		return false, w.explain(err)
	}
	return len(out) > 0, nil
}

// explain classifies the error of a command in the working tree.
func (w *Worktree) explain(err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return err
	}
	for _, known := range []struct {
		kind errs.Kind
		says string
		sign string
	}{
		{errs.Invalid, "the index of %s is damaged; rebuild it: rm .git/index, then git reset (git: %s)", "index file"},
		{errs.Invalid, "the index of %s is damaged; rebuild it: rm .git/index, then git reset (git: %s)", "bad index"},
		{errs.Invalid, "the repository %s lacks objects of its HEAD; git fsck names them, git fetch --refetch brings them back (git: %s)", "bad tree object"},
		{errs.Invalid, "the repository %s lacks objects of its HEAD; git fsck names them, git fetch --refetch brings them back (git: %s)", "unable to read"},
		{errs.Invalid, "the repository %s has a damaged object; git fsck names it (git: %s)", "is corrupt"},
	} {
		if line := lineWith(f.stderr, known.sign); line != "" {
			return errs.E(known.kind, known.says, w.Root, line)
		}
	}
	return translate(err, address{scheme: "file", text: w.Root}, nil)
}

package git

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
)

// carried are the settings of the user's repository that say how its files are
// to be read. Without them "git status" in a job would see changes.
var carried = []string{
	"core.filemode", "core.symlinks", "core.ignorecase", "core.precomposeunicode",
	"core.autocrlf", "core.eol", "core.safecrlf", "core.sparsecheckout", "core.sparsecheckoutcone", "index.sparse",
}

// Snapshot makes dst/.git for a copy of the working tree in dst, so that git
// status, describe, diff and log work there as they would after GitLab's
// checkout: HEAD detached at the commit, origin/BRANCH and the tags present, no
// hooks. Objects are borrowed from the user's repository, whose object folders
// are returned: they must be readable where a job runs. No process is started
// unless the refs are kept where only git can read them.
//
// The copy must keep modification times, else git status reads every file.
// Outside a repository nothing is made.
func (w *Worktree) Snapshot(ctx context.Context, dst string) (borrowed []string, err error) {
	if !w.InRepository() {
		return nil, nil
	}
	g := gitDir{head: w.SHA, config: w.snapshotConfig(), info: map[string]string{}}
	if w.SHA == "" {
		g.head = "ref: refs/heads/" + or(w.Branch, "main")
	}
	if g.refs, err = w.snapshotRefs(ctx); err != nil {
		return nil, err
	}
	objects := filepath.Join(w.place.common, "objects")
	g.alternates = []string{objects}
	if shallow, err := os.ReadFile(filepath.Join(w.place.common, "shallow")); err == nil {
		g.shallow = string(shallow)
	}
	for _, name := range []string{"exclude", "attributes"} {
		if text, err := os.ReadFile(filepath.Join(w.place.common, "info", name)); err == nil && saysSomething(string(text)) {
			g.info[name] = string(text)
		}
	}
	if text, err := os.ReadFile(filepath.Join(w.GitDir, "info", "sparse-checkout")); err == nil {
		g.info["sparse-checkout"] = string(text)
	}
	dir := filepath.Join(dst, ".git")
	if err := g.write(dir); err != nil {
		return nil, errs.E(errs.Internal, "make %s: %w", dir, err)
	}
	if err := w.copyIndex(dir); err != nil {
		return nil, errs.E(errs.Internal, "make %s: %w", dir, err)
	}
	return append([]string{objects}, alternates(objects)...), nil
}

func (w *Worktree) snapshotConfig() []setting {
	settings := workspaceConfig()
	if format := w.config["extensions.objectformat"]; format != "" {
		settings[0].value = "1"
		settings = append(settings, setting{"extensions.objectFormat", format})
	}
	for _, key := range carried {
		if value, ok := w.config[key]; ok {
			settings = append(settings, setting{key, value})
		}
	}
	if w.RemoteURL == "" {
		return settings
	}
	settings = append(settings, setting{"remote.origin.url", w.RemoteURL},
		setting{"remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"})
	if filter := w.config["remote."+w.RemoteName+".partialclonefilter"]; filter != "" {
		settings[0].value = "1"
		settings = append(settings, setting{"extensions.partialClone", "origin"},
			setting{"remote.origin.promisor", "true"}, setting{"remote.origin.partialclonefilter", filter})
	}
	return settings
}

// snapshotRefs are the tags and what is known of the remote, with the current
// branch where a fetch of it would put it.
func (w *Worktree) snapshotRefs(ctx context.Context) ([]refEntry, error) {
	remote := "refs/remotes/" + w.RemoteName + "/"
	prefixes := []string{"refs/tags/"}
	if w.RemoteName != "" {
		prefixes = append(prefixes, remote)
	}
	refs, err := w.refs(ctx, prefixes...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the refs of %s: %w", w.Root, err)
	}
	const origin = "refs/remotes/origin/"
	for i, r := range refs {
		if rest, ok := strings.CutPrefix(r.name, remote); ok && w.RemoteName != "" {
			refs[i].name = origin + rest
		}
	}
	if w.Branch != "" && w.SHA != "" {
		name := origin + w.Branch
		refs = slices.DeleteFunc(refs, func(r refEntry) bool {
			return r.name == name || strings.HasPrefix(r.name, name+"/") || strings.HasPrefix(name, r.name+"/")
		})
		refs = append(refs, refEntry{name: name, id: w.SHA})
	}
	slices.SortFunc(refs, func(a, b refEntry) int { return strings.Compare(a.name, b.name) })
	return refs, nil
}

// copyIndex takes the index as it is, with the file it may be split into. git
// replaces it whole, so a copy is never half of one.
func (w *Worktree) copyIndex(dir string) error {
	names, err := filepath.Glob(filepath.Join(globEscape(w.GitDir), "sharedindex.*"))
	if err != nil {
		return err
	}
	for _, from := range append(names, filepath.Join(w.GitDir, "index")) {
		if err := copyFile(from, filepath.Join(dir, filepath.Base(from))); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func globEscape(path string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(path)
}

// copyFile copies with the modification time, which the index compares with
// those of the files to find which it must read again.
func copyFile(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o666); err != nil {
		return err
	}
	return os.Chtimes(to, st.ModTime(), st.ModTime())
}

// saysSomething is false for git's template of comments.
func saysSomething(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return true
		}
	}
	return false
}

package git

import (
	"context"
	"path"
	"slices"
	"strings"

	"refline/internal/errs"
)

// checkSparse reports all paths that are not in the commit, with similar ones.
func (r *Remote) checkSparse(ctx context.Context, c Resolved, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	reader := r.Reader(ctx)
	defer reader.Close()
	var missing []string
	for _, p := range paths {
		clean, err := cleanPath(p)
		if err != nil {
			return err
		}
		kind, _, _, err := reader.object(c.Commit + ":" + clean)
		if err != nil {
			return err
		}
		if kind == "" {
			missing = append(missing, clean)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	entries, err := reader.List(c.Commit)
	if err != nil {
		return err
	}
	known := withFolders(entries)
	missing = slices.DeleteFunc(missing, func(p string) bool { return slices.Contains(known, p) }) // a submodule
	if len(missing) == 0 {
		return nil
	}
	texts := make([]string, len(missing))
	for i, p := range missing {
		texts[i] = "there is no " + p
		if near := outermost(nearNames(p, known)); len(near) > 0 {
			texts[i] += " (near: " + strings.Join(near, ", ") + ")"
		}
	}
	return errs.E(errs.NotFound, "sparse paths of %s in %s: %s", c.describe(), r.URL(), strings.Join(texts, "; "))
}

// outermost leaves out what lies below another of the paths.
func outermost(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return slices.ContainsFunc(paths, func(other string) bool { return strings.HasPrefix(p, other+"/") })
	})
}

// withFolders lists the files and submodules, and the folders they are in.
func withFolders(entries []Entry) []string {
	var all []string
	for _, e := range entries {
		for at := e.Path; at != "."; at = path.Dir(at) {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sparsePatterns are the files at the top and all below each path.
func sparsePatterns(paths []string) string {
	lines := []string{"/*", "!/*/"}
	for _, p := range paths {
		if clean, err := cleanPath(p); err == nil {
			lines = append(lines, "/"+strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, " ", `\ `).Replace(clean))
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

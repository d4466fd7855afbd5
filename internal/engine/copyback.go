package engine

import (
	"path"
	"refline/internal/workspace"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// readAfter are the paths in the workspace that artifacts, reports and caches
// are taken from, for a sandbox that has a copy of the workspace and copies back
// only these; nil means all of it.
func (a *attempt) readAfter() []string {
	if a.InPlace != "" || a.keeps() {
		return nil
	}
	var patterns []string
	if artifacts := a.Job.Artifacts; artifacts != nil {
		if artifacts.Untracked {
			return nil
		}
		patterns = append(patterns, artifacts.Paths...)
		for _, paths := range artifacts.Reports {
			patterns = append(patterns, paths...)
		}
	}
	for _, c := range a.caches {
		switch {
		case c.request.Cache.Policy == "pull":
		case c.request.Cache.Untracked:
			return nil
		default:
			patterns = append(patterns, c.request.Cache.Paths...)
		}
	}
	want := workspace.Wanted{Expand: a.expand, ProjectDir: a.paths.project}
	bases := []string{}
	for _, written := range patterns {
		p, ok := want.Relative(a.workspace, written)
		if !ok || p == ".." || strings.HasPrefix(p, "../") {
			continue // reported when they are taken
		}
		if strings.ContainsAny(p, `*?[{\`) {
			p, _ = doublestar.SplitPattern(p)
			p = path.Clean(p)
		}
		if p == "." {
			return nil
		}
		bases = append(bases, p)
	}
	return outermost(bases)
}

// outermost sorts paths and leaves out those that are inside of others.
func outermost(paths []string) []string {
	slices.Sort(paths)
	kept := []string{}
	for _, p := range paths {
		inside := slices.ContainsFunc(kept, func(k string) bool { return p == k || strings.HasPrefix(p, k+"/") })
		if !inside {
			kept = append(kept, p)
		}
	}
	return kept
}

package source

import (
	"cmp"
	"context"
	"strings"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// isNone reports whether a commit is the one of zeros, which means none: the
// state of a branch before it was made.
func isNone(commit string) bool { return strings.Trim(commit, "0") == "" }

// Changed implements [History]: it finds what a push or a merge request changes, as GitLab does: a push
// is compared with the commit before it, a merge request with the merge base of
// its target. A tag, a schedule, a manual pipeline and a new branch have no diff
// to look at, so rules:changes is true.
func (c *Commit) Changed(ctx context.Context, f gitlabci.Facts) gitlabci.Changed {
	out := gitlabci.Changed{CompareTo: func(ref string) ([]string, error) { return c.compare(ctx, ref) }}
	switch {
	case f.Tag != "":
	case f.Trigger == pipeline.TriggerMergeRequest && f.MergeRequest != nil:
		out.Load = func() ([]string, bool, error) { return known(c.compare(ctx, f.MergeRequest.TargetBranch)) }
	case f.Trigger == pipeline.TriggerPush && !isNone(f.BeforeSHA):
		out.Load = func() ([]string, bool, error) { return known(c.pushed(ctx, f)) }
	}
	return out
}

func known(files []string, err error) ([]string, bool, error) {
	if errs.Is(err, errs.NotFound) {
		return nil, false, nil
	}
	return files, err == nil, err
}

// pushed compares with the commit before the push. After a forced push that
// commit may be gone from the server; then it is the merge base with the default
// branch, as on GitLab.
func (c *Commit) pushed(ctx context.Context, f gitlabci.Facts) ([]string, error) {
	// Two commits, so that a mirror of --depth 1 gets the parent.
	if err := c.remote.Fetch(ctx, c.resolved, deepened(c.options.Depth, 2)); err != nil {
		return nil, err
	}
	files, err := c.remote.Changed(ctx, f.BeforeSHA, c.resolved.Commit)
	if !errs.Is(err, errs.NotFound) {
		return files, err
	}
	before := git.Resolved{Kind: git.KindCommit, Commit: f.BeforeSHA}
	err = c.remote.Fetch(ctx, before, c.options.Depth)
	if err == nil {
		return c.remote.Changed(ctx, f.BeforeSHA, c.resolved.Commit)
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	c.options.notice("commit %s before the push is not on the server any more; rules:changes compares with the merge base of %s", short(f.BeforeSHA), f.DefaultBranch)
	return c.compare(ctx, f.DefaultBranch)
}

// deepened is depth, but at least so many commits; 0 is all of them.
func deepened(depth, commits int) int {
	if depth == 0 {
		return 0
	}
	return max(depth, commits)
}

// compare lists what changed since the commit left a branch, tag or commit. It
// needs all history.
func (c *Commit) compare(ctx context.Context, ref string) ([]string, error) {
	if ref == "" {
		return nil, errs.E(errs.NotFound, "%s has no default branch to compare with", c.remote.URL())
	}
	base, err := c.MergeBase(ctx, ref)
	if err != nil {
		return nil, err
	}
	return c.remote.Changed(ctx, base, c.resolved.Commit)
}

// MergeBase implements [History]. It needs all history.
func (c *Commit) MergeBase(ctx context.Context, ref string) (string, error) {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	other, err := resolveAny(ctx, c.remote, ref)
	if err != nil {
		return "", err
	}
	for _, at := range []git.Resolved{c.resolved, other} {
		if err := c.remote.Fetch(ctx, at, 0); err != nil {
			return "", err
		}
	}
	base, err := c.remote.MergeBase(ctx, other.Commit, c.resolved.Commit)
	return cmp.Or(base, other.Commit), err
}

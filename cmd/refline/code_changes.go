package main

import (
	"context"
	"strings"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
	"refline/internal/pipeline"
)

// isNone reports whether a commit is the one of zeros, which stands for none: the
// state of a branch before it was made.
func isNone(commit string) bool { return strings.Trim(commit, "0") == "" }

// changed finds what a push or a merge request changes, as GitLab does: a push
// is compared with the commit before it, a merge request with the merge base of
// its target. A tag, a schedule, a manual pipeline and a new branch have no diff
// to look at, so rules:changes is true.
func (r *repository) changed(ctx context.Context, f gitlabci.Facts) gitlabci.Changed {
	c := gitlabci.Changed{CompareTo: func(ref string) ([]string, error) { return r.compare(ctx, ref) }}
	switch {
	case f.Tag != "":
	case f.Trigger == pipeline.TriggerMergeRequest && f.MergeRequest != nil:
		c.Load = func() ([]string, bool, error) { return known(r.compare(ctx, f.MergeRequest.TargetBranch)) }
	case f.Trigger == pipeline.TriggerPush && !isNone(f.BeforeSHA):
		c.Load = func() ([]string, bool, error) { return known(r.pushed(ctx, f)) }
	}
	return c
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
func (r *repository) pushed(ctx context.Context, f gitlabci.Facts) ([]string, error) {
	// Two commits, so that a mirror of --depth 1 gets the parent.
	if err := r.remote.Fetch(ctx, r.resolved, deepened(r.depth, 2)); err != nil {
		return nil, err
	}
	files, err := r.remote.Changed(ctx, f.BeforeSHA, r.resolved.Commit)
	if !errs.Is(err, errs.NotFound) {
		return files, err
	}
	before := git.Resolved{Kind: git.KindCommit, Commit: f.BeforeSHA}
	err = r.remote.Fetch(ctx, before, r.depth)
	if err == nil {
		return r.remote.Changed(ctx, f.BeforeSHA, r.resolved.Commit)
	}
	if !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	r.e.notef("commit %s before the push is not on the server any more; rules:changes compares with the merge base of %s", short(f.BeforeSHA), f.DefaultBranch)
	return r.compare(ctx, f.DefaultBranch)
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
func (r *repository) compare(ctx context.Context, ref string) ([]string, error) {
	if ref == "" {
		return nil, errs.E(errs.NotFound, "%s has no default branch to compare with", r.remote.URL())
	}
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
	other, err := resolveAny(ctx, r.remote, ref)
	if err != nil {
		return nil, err
	}
	for _, c := range []git.Resolved{r.resolved, other} {
		if err := r.remote.Fetch(ctx, c, 0); err != nil {
			return nil, err
		}
	}
	base, err := r.remote.MergeBase(ctx, other.Commit, r.resolved.Commit)
	if err != nil {
		return nil, err
	}
	if base == "" {
		base = other.Commit
	}
	return r.remote.Changed(ctx, base, r.resolved.Commit)
}

// beforePush is the commit that a push replaced: what the user names, else the
// first parent. Only a push to a branch has one.
func beforePush(o *pipelineOptions, event pipeline.Trigger, f gitlabci.Facts) (string, error) {
	switch {
	case event != pipeline.TriggerPush || f.Tag != "":
		return "", nil
	case o.before == "":
		return f.BeforeSHA, nil
	case len(o.before) != len(f.SHA) || strings.Trim(strings.ToLower(o.before), "0123456789abcdef") != "":
		return "", usagef("--before %s: give the whole name of the commit, or zeros for a new branch", o.before)
	}
	return strings.ToLower(o.before), nil
}

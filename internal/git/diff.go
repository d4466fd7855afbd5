package git

import (
	"context"
	"errors"
	"os"
	"strings"

	"refline/internal/errs"
)

// Changed lists the paths that differ between the trees of two commits of the
// mirror, sorted; a rename counts as both its paths. Fetch must have brought
// both commits, else the kind is NotFound. It takes one process.
func (r *Remote) Changed(ctx context.Context, from, to string) ([]string, error) {
	for _, c := range []string{from, to} {
		if !isObjectID(c) {
			return nil, errs.E(errs.Invalid, "%q is not the whole name of a commit", c)
		}
	}
	diff := r.own("--git-dir="+r.mirror(), "diff-tree", "-r", "--name-only", "-z", "--no-renames", "--no-ext-diff",
		"--end-of-options", from+"^{commit}", to+"^{commit}")
	before, _ := os.Stat(r.mirror())
	out, err := diff.output(ctx)
	if f, failed := errors.AsType[*failure](err); failed && namesDamage(f.stderr) {
		if err := r.heal(ctx, Resolved{Kind: KindCommit, Commit: to}, 0, before, &damage{lastLine(f.stderr)}); err != nil {
			return nil, err
		}
		out, err = diff.output(ctx)
	}
	if f, failed := errors.AsType[*failure](err); failed {
		return nil, errs.E(errs.NotFound, "compare %.12s with %.12s in the mirror of %s: %s", from, to, r.URL(), lastLine(f.stderr))
	}
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// namesDamage reports whether git gave up because of an object that it has but
// cannot read.
func namesDamage(stderr string) bool {
	for _, sign := range []string{"is corrupt", "unable to read", "inflate: ", "cannot be accessed", "unable to unpack", "bad tree object"} {
		if strings.Contains(stderr, sign) {
			return true
		}
	}
	return false
}

// MergeBase is the newest commit that two commits of the mirror have in their
// history, "" if they have none. Fetch must have brought both with all history.
func (r *Remote) MergeBase(ctx context.Context, a, b string) (string, error) {
	out, err := r.own("--git-dir="+r.mirror(), "merge-base", "--end-of-options", a, b).output(ctx)
	if f, failed := errors.AsType[*failure](err); failed {
		if f.code == 1 && f.stderr == "" {
			return "", nil
		}
		return "", errs.E(errs.NotFound, "merge base of %.12s and %.12s in the mirror of %s: %s", a, b, r.URL(), lastLine(f.stderr))
	}
	return strings.TrimSpace(string(out)), err
}

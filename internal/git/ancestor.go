package git

import (
	"context"
	"strings"

	"refline/internal/errs"
)

// Contains reports whether a commit is HEAD or one before it. The kind is
// NotFound when this repository does not have the commit.
func (w *Worktree) Contains(ctx context.Context, commit string) (bool, error) {
	if !w.InRepository() || strings.HasPrefix(commit, "-") || commit == "" {
		return false, errs.E(errs.Invalid, "%q is not a commit of %s", commit, w.Root)
	}
	out, err := w.git("rev-list", "--count", "--end-of-options", commit, "^HEAD", "--").output(ctx)
	if err != nil {
		return false, errs.E(errs.NotFound, "%q is not a commit of %s; is it fetched?: %w", commit, w.Root, err)
	}
	return strings.TrimSpace(string(out)) == "0", nil
}

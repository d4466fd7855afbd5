package git

import (
	"context"
	"strconv"
	"strings"
)

// Unpushed counts the commits of HEAD that a remote branch, which is at a commit, does
// not have. If that commit is not in this repository, because others pushed it, those
// are counted that no remote-tracking branch has.
func (w *Worktree) Unpushed(ctx context.Context, at string) (int, error) {
	if !isObjectID(at) {
		return 0, nil
	}
	out, err := w.git("rev-list", "--count", "HEAD", "^"+at, "--").output(ctx)
	if err != nil {
		out, err = w.git("rev-list", "--count", "HEAD", "--not", "--remotes", "--").output(ctx)
	}
	if err != nil {
		return 0, w.explain(err)
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
)

// LastCommit is the commit that last changed a path, "" if none did or it is
// unknown.
func (w *Worktree) LastCommit(ctx context.Context, path string) string {
	if w.SHA == "" {
		return ""
	}
	return lastCommit(ctx, w.git, w.SHA, path)
}

// LastCommit is the commit, at or before commit, that last changed a path. The
// mirror must hold the history.
func (r *Remote) LastCommit(ctx context.Context, commit, path string) string {
	inMirror := func(args ...string) process {
		return r.own(append([]string{"--git-dir=" + r.mirror()}, args...)...)
	}
	return lastCommit(ctx, inMirror, commit, path)
}

func lastCommit(ctx context.Context, git func(...string) process, commit, path string) string {
	if !isObjectID(commit) {
		return ""
	}
	// Not git log: a user's log.showSignature adds output to it.
	out, err := git("rev-list", "-1", "--end-of-options", commit, "--", ":(literal)"+path).output(ctx)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// headAge is how long the name of the remote's default branch is believed.
const headAge = 24 * time.Hour

// DefaultBranch is the branch that the remote's HEAD names, "" when it names
// none. It changes about never, so the answer is kept for a day. HEAD of a folder
// is what is checked out there; for a clone it is the branch that the clone
// knows as the default of its origin.
func (r *Remote) DefaultBranch(ctx context.Context) (string, error) {
	if w := r.folder(ctx); w != nil {
		return or(w.DefaultBranch, w.Branch), nil
	}
	note := r.headNote()
	if info, err := os.Stat(note); err == nil && time.Since(info.ModTime()) < headAge {
		if name, err := os.ReadFile(note); err == nil {
			return string(name), nil
		}
	}
	head, err := r.Resolve(ctx, Ref{})
	if errs.Is(err, errs.NotFound) {
		return "", nil
	}
	if err != nil || head.Kind != KindBranch {
		return "", err
	}
	return head.Name, nil
}

func (r *Remote) headNote() string { return filepath.Join(r.dir, "head") }

// noteHead keeps what the remote said its HEAD names. Not being able to costs
// another question.
func (r *Remote) noteHead(branch string) {
	note := r.headNote()
	if os.MkdirAll(r.dir, 0o700) == nil && os.WriteFile(note+".new", []byte(branch), 0o600) == nil {
		_ = os.Rename(note+".new", note)
	}
}

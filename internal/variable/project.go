package variable

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"refline/internal/credential"
	"refline/internal/git"
)

// ProjectIn identifies the project of a folder: by its remote, else by the top
// of its working tree.
func ProjectIn(ctx context.Context, dir string, environ []string) (string, error) {
	w, err := git.Open(ctx, dir, environ)
	if err != nil {
		return "", err
	}
	if w.RemoteURL != "" {
		return ProjectOf(w.RemoteURL), nil
	}
	return ProjectOf(w.Root), nil
}

// ProjectOf identifies a project by a repository's address or folder: the same
// for every clone of a repository.
func ProjectOf(repo string) string {
	if h, err := credential.ParseHost(repo); err == nil && h.Path != "" {
		return h.Name + "/" + strings.TrimSuffix(strings.Trim(h.Path, "/"), ".git")
	}
	return repo
}

// WouldBeCommitted reports whether a path is in a working tree and not ignored.
func WouldBeCommitted(ctx context.Context, path string, environ []string) bool {
	dir := filepath.Dir(path)
	w, err := git.Open(ctx, dir, environ)
	if err != nil || !w.InRepository() {
		return false
	}
	cmd := exec.CommandContext(ctx, "git", "check-ignore", "-q", "--", path)
	cmd.Dir, cmd.Env = dir, environ
	return cmd.Run() != nil
}

package git

import (
	"context"
	"strings"
)

// A folder of this computer is most often a clone. It means the repository
// that it was cloned from: jobs see that URL, and relative submodules and other
// projects are beside that repository.

// Origin is the URL of the repository that this one is a clone of, without
// credentials: for a folder with a remote the URL of that remote, for all others
// their own.
func (r *Remote) Origin(ctx context.Context) string {
	return or(r.access.Shown, r.origin(ctx).text)
}

func (r *Remote) origin(ctx context.Context) address {
	w := r.folder(ctx)
	if w == nil || w.RemoteURL == "" {
		return r.addr
	}
	access := r.access
	access.AllowHTTP = true // this makes no connection
	addr, err := parseAddress(resolveFolder(w.Root, w.RemoteURL), access)
	if err != nil {
		return r.addr
	}
	return addr
}

// resolveFolder makes the URL of a remote absolute if it is a relative folder.
func resolveFolder(root, url string) string {
	if strings.Contains(url, "://") || isScpLike(url) {
		return url
	}
	return resolve(root, url)
}

// folder describes the repository if it is a folder of this computer, nil for
// all others and for one that cannot be read.
func (r *Remote) folder(ctx context.Context) *Worktree {
	if r.addr.scheme != "file" {
		return nil
	}
	if !isGitDir(r.addr.path) {
		w, err := Open(ctx, r.addr.path, r.access.Environ)
		if err != nil || !w.InRepository() {
			return nil
		}
		return w
	}
	w := &Worktree{Root: r.addr.path, GitDir: r.addr.path, env: r.own().env,
		place: place{root: r.addr.path, dir: r.addr.path, common: r.addr.path}}
	var err error
	if w.config, err = readConfig(ctx, w.place, w.env); err != nil || w.readHead(ctx) != nil {
		return nil
	}
	w.readRemote(ctx)
	return w
}

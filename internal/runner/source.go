package runner

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/api"
	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/workspace"
)

// checkout makes the files of a commit for one job.
type checkout struct {
	r      *runner
	source api.JobSource
	dir    string // that is not there
	note   func(string)
}

// make fetches the commit into the runner's mirror, if it is not there, and makes
// a checkout of it that the job may keep.
func (c *checkout) make(ctx context.Context, list bool) (*workspace.Tree, *git.Remote, error) {
	remote, end, err := c.r.remote(c.source, c.note)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	s := c.source
	opts := git.CheckoutOptions{Depth: s.Depth, LFS: s.LFS, Sparse: s.Sparse, Submodules: git.Submodules(s.Submodules)}
	if err := remote.Checkout(ctx, resolved(s), c.dir, opts); err != nil {
		return nil, nil, err
	}
	if s.Before != "" && strings.Trim(s.Before, "0") != "" {
		// The job may compare with it; a push that replaced history may have removed it.
		_ = remote.Fetch(ctx, git.Resolved{Kind: git.KindCommit, Commit: s.Before}, 1)
	}
	if s.NoFiles {
		if err := keepOnlyGit(c.dir); err != nil {
			return nil, nil, err
		}
	}
	c.r.sources.know(s)
	c.r.prepare(prepared{url: s.URL, commit: s.Commit})
	return workspace.NewCheckout(c.dir, list), remote, nil
}

func resolved(s api.JobSource) git.Resolved {
	out := git.Resolved{Kind: git.KindCommit, Name: s.Ref, Commit: s.Commit, Object: s.Object}
	switch s.Kind {
	case "branch":
		out.Kind = git.KindBranch
	case "tag":
		out.Kind = git.KindTag
	default:
		out.Name = ""
	}
	return out
}

// keepOnlyGit empties a checkout but for its .git.
func keepOnlyGit(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.Name() != ".git" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// remote opens a repository with what the server gives for it. end gives back what
// serves its key.
func (r *runner) remote(s api.JobSource, note func(string)) (_ *git.Remote, end func(), err error) {
	access := git.Access{
		Trust: git.Server, AllowFile: r.o.AllowFile, AllowHTTP: r.o.AllowHTTP, Notice: note,
		Login: func(site string) (username, password string) { return loginFor(s.Access.Logins, site) },
	}
	var ends []func()
	end = func() {
		for _, f := range slices.Backward(ends) {
			f()
		}
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if len(s.Access.Keys) > 0 || s.CA != "" {
		dir, err := os.MkdirTemp("", "refline-git-") // sockets need a short path
		if err != nil {
			return nil, nil, errs.E(errs.Unavailable, "folder for the access to %s: %w", s.URL, err)
		}
		ends = append(ends, func() { _ = os.RemoveAll(dir) })
		if s.CA != "" {
			access.CAFile = filepath.Join(dir, "ca.pem")
			if err := os.WriteFile(access.CAFile, []byte(s.CA), 0o600); err != nil {
				return nil, nil, err
			}
		}
		if key := keyFor(s.Access.Keys, s.URL); key != nil {
			stop, err := serveKey(*key, dir, &access)
			if err != nil {
				return nil, nil, err
			}
			ends = append(ends, stop)
		}
	}
	remote, err := git.NewRemote(s.URL, r.mirrors(), access)
	return remote, end, err
}

// serveKey starts an agent for the runner's own git.
func serveKey(key api.JobKey, dir string, access *git.Access) (end func(), err error) {
	set := credentialSet(api.JobCredentials{Keys: []api.JobKey{key}})
	env, stop, err := set.Serve(credential.Place{Dir: dir, Seen: dir})
	if err != nil {
		return nil, err
	}
	for _, kv := range env {
		if socket, ok := strings.CutPrefix(kv, "SSH_AUTH_SOCK="); ok {
			access.IdentityAgent = socket
			access.KnownHosts = filepath.Join(filepath.Dir(socket), "known_hosts")
		}
	}
	return func() { _ = stop() }, nil
}

// keyFor is the key for a repository: the one that names it, else one for its host,
// else the first.
func keyFor(keys []api.JobKey, url string) *api.JobKey {
	host, err := credential.ParseHost(url)
	if len(keys) == 0 {
		return nil
	}
	for i := range keys {
		if slices.Contains(keys[i].Repos, url) {
			return &keys[i]
		}
	}
	for i := range keys {
		if err == nil && slices.Contains(keys[i].Hosts, host.String()) {
			return &keys[i]
		}
	}
	return &keys[0]
}

// loginFor is the login for a site such as https://host:port.
func loginFor(logins []api.JobLogin, site string) (username, password string) {
	_, host, _ := strings.Cut(site, "://")
	for _, l := range logins {
		if l.Host == host {
			return userOf(l), l.Token
		}
	}
	return "", ""
}

package credential

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/git"
)

// ForRepository returns the key for a repository: the one that names it, else one
// for its host, else the first; nil if there are none.
func ForRepository(keys []*Key, url string) *Key {
	if len(keys) == 0 {
		return nil
	}
	host, err := ParseHost(url)
	for _, k := range keys {
		if slices.Contains(k.Repos, url) {
			return k
		}
	}
	for _, k := range keys {
		if err == nil && slices.Contains(k.Hosts, host.String()) {
			return k
		}
	}
	return keys[0]
}

// Reach lets git sign in to a repository with what the set has: by tokens, each at
// its own host and port alone, and by the key for the repository. end stops the
// agent that serves the key, once git is done.
func (s Set) Reach(url string, access git.Access) (_ git.Access, end func(), err error) {
	if len(s.Tokens) > 0 {
		access.Login = s.Tokens.login
	}
	k := ForRepository(s.Keys, url)
	if k == nil {
		return access, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "refline-git-") // sockets need a short path
	if err != nil {
		return access, nil, errs.E(errs.Unavailable, "folder for the access to %s: %w", url, err)
	}
	env, stop, err := Set{Keys: []*Key{k}}.Serve(Place{Dir: dir, Seen: dir})
	if err != nil {
		return access, nil, errors.Join(err, os.RemoveAll(dir))
	}
	for _, kv := range env {
		if socket, ok := strings.CutPrefix(kv, "SSH_AUTH_SOCK="); ok {
			access.IdentityAgent = socket
			access.KnownHosts = filepath.Join(filepath.Dir(socket), "known_hosts")
		}
	}
	return access, func() {
		_ = stop()
		_ = os.RemoveAll(dir)
	}, nil
}

// login returns the user and the token for a site such as https://host:port.
func (ts Tokens) login(site string) (user, token string) {
	_, host, _ := strings.Cut(site, "://")
	for _, t := range ts {
		if t.Host == host {
			return t.User, t.Text.RevealString()
		}
	}
	return "", ""
}

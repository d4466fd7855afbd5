package main

import (
	"net/url"
	"strings"

	"refline/internal/git"
)

// home is the server of the project that is compiled: what a token without a
// host is for.
type home struct {
	scheme, host   string
	user, password string // in the URL that the user gave
}

func homeOf(repo string) home {
	u, err := url.Parse(repo)
	if err != nil || u.Host == "" {
		return home{host: hostOf(repo)}
	}
	h := home{scheme: u.Scheme, host: u.Host, user: u.User.Username()}
	h.password, _ = u.User.Password()
	return h
}

// serves reports whether a token without a host may be sent to a site. It is for
// the project's own server and for servers that the user named by options, never
// for one that a pipeline or .gitmodules names.
func (s includeSources) serves(scheme, host string) bool {
	if scheme == "https" || scheme == s.home.scheme {
		if host == s.home.host {
			return true
		}
	}
	for _, named := range []string{s.projects, s.components} {
		if u, err := url.Parse(named); err == nil && u.Scheme == scheme && u.Host == host {
			return true
		}
	}
	return false
}

// login returns the credentials for a site: those of --git-token for its host,
// else REFLINE_GIT_TOKEN, else those in the URL of --repo.
func (s includeSources) login(e *env) func(site string) (user, password string) {
	return func(site string) (string, string) {
		if t := s.tokens.of(site + "/"); t != nil {
			return t.user, t.text.RevealString()
		}
		scheme, host, _ := strings.Cut(site, "://")
		switch token := e.getenv("REFLINE_GIT_TOKEN"); {
		case !s.serves(scheme, host):
			return "", ""
		case token != "":
			return e.getenv("REFLINE_GIT_USERNAME"), token
		case scheme == s.home.scheme && host == s.home.host:
			return s.home.user, s.home.password
		}
		return "", ""
	}
}

// userAccess is how the person who runs this program reaches repositories:
// with their own git and ssh configuration, tokens for the hosts that they are
// for, and the run's deploy key likewise.
func userAccess(e *env, sources includeSources, repo string) git.Access {
	return git.Access{
		Trust: git.User, AllowFile: true, CAFile: sources.caFile, Environ: sources.key.environ(e.environ(), repo),
		Login:  sources.login(e),
		Notice: func(text string) { e.notef("%s", text) },
	}
}

// hostOf is the host of a repository's URL, with its port, without a user.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	host, _, isSSH := strings.Cut(address, ":")
	if !isSSH || strings.ContainsAny(host, "/\\") {
		return ""
	}
	return host[strings.LastIndexByte(host, '@')+1:]
}

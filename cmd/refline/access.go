package main

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/credential"
	"refline/internal/git"
	"refline/internal/source"
)

// includeOptions say where includes of other places come from, and with what.
type includeOptions struct {
	projects, components, templates string
	caFile                          string
	keys                            *credential.RunKeys // nil: none
	tokens                          credential.Tokens
	home                            homeServer // of the project itself
}

// withDefaults takes from the environment what no flag says.
func (o includeOptions) withDefaults(getenv func(string) string) includeOptions {
	first := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	o.projects = first(o.projects, getenv("REFLINE_PROJECTS"))
	o.components = first(o.components, getenv("REFLINE_COMPONENTS"))
	o.templates = first(o.templates, getenv("REFLINE_TEMPLATES"))
	o.caFile = first(o.caFile, getenv("REFLINE_CA_FILE"))
	return o
}

// caPath is absolute: git reads it from another folder.
func (o includeOptions) caPath(e *env) string {
	if o.caFile == "" {
		return ""
	}
	return e.path(o.caFile)
}

// includes gives the places of includes, reached as the user reaches them.
func (o includeOptions) includes(e *env) source.Includes {
	copies := ""
	if dir, err := e.cacheDir(); err == nil {
		copies = filepath.Join(dir, "includes")
	}
	return source.Includes{
		Projects: o.projects, Components: o.components, Templates: o.templates, CAFile: o.caPath(e),
		Copies: copies, Notice: func(text string) { e.notef("%s", text) }, Now: e.now,
		Remote: func(url string) (*git.Remote, error) {
			access := o.access(e, url)
			access.Attempts, access.Wait = 2, 200*time.Millisecond // somebody waits for a lint
			return openRemote(e, url, access)
		},
	}
}

// access is how the person who runs this program reaches repositories: with
// their own git and ssh configuration, tokens for the hosts that they are for,
// and the run's deploy key likewise.
func (o includeOptions) access(e *env, repo string) git.Access {
	return git.Access{
		Trust: git.User, AllowFile: true, CAFile: o.caPath(e), Environ: o.keys.Environ(e.environ(), repo),
		Login:  o.login(e),
		Notice: func(text string) { e.notef("%s", text) },
	}
}

func openRemote(e *env, url string, access git.Access) (*git.Remote, error) {
	cache, err := e.cacheDir()
	if err != nil {
		return nil, err
	}
	return git.NewRemote(url, filepath.Join(cache, "git"), access)
}

// homeServer is the server of the project that is compiled: what a token
// without a host is for.
type homeServer struct {
	scheme, host   string
	user, password string // in the URL that the user gave
}

func homeOf(repo string) homeServer {
	u, err := url.Parse(repo)
	if err != nil || u.Host == "" {
		return homeServer{host: source.HostOf(repo)}
	}
	h := homeServer{scheme: u.Scheme, host: u.Host, user: u.User.Username()}
	h.password, _ = u.User.Password()
	return h
}

// serves reports whether a token without a host may be sent to a site. It is for
// the project's own server and for servers that the user named by options, never
// for one that a pipeline or .gitmodules names.
func (o includeOptions) serves(scheme, host string) bool {
	if scheme == "https" || scheme == o.home.scheme {
		if host == o.home.host {
			return true
		}
	}
	for _, named := range []string{o.projects, o.components} {
		if u, err := url.Parse(named); err == nil && u.Scheme == scheme && u.Host == host {
			return true
		}
	}
	return false
}

// login returns the credentials for a site: those of --git-token for its host,
// else REFLINE_GIT_TOKEN, else those in the URL of --repo.
func (o includeOptions) login(e *env) func(site string) (user, password string) {
	return func(site string) (string, string) {
		if t := o.tokens.For(site + "/"); t != nil {
			return t.User, t.Text.RevealString()
		}
		scheme, host, _ := strings.Cut(site, "://")
		switch token := e.getenv("REFLINE_GIT_TOKEN"); {
		case !o.serves(scheme, host):
			return "", ""
		case token != "":
			return e.getenv("REFLINE_GIT_USERNAME"), token
		case scheme == o.home.scheme && host == o.home.host:
			return o.home.user, o.home.password
		}
		return "", ""
	}
}

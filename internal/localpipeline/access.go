package localpipeline

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/credential"
	"refline/internal/git"
	"refline/internal/source"
)

// Includes says where includes of other places come from, and with what.
type Includes struct {
	Projects, Components, Templates string
	CAFile                          string
	Keys                            *credential.RunKeys // nil: none
	Tokens                          credential.Tokens

	home homeServer // of the project itself
}

// withDefaults takes from the environment what no flag says.
func (o Includes) withDefaults(getenv func(string) string) Includes {
	first := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	o.Projects = first(o.Projects, getenv("REFLINE_PROJECTS"))
	o.Components = first(o.Components, getenv("REFLINE_COMPONENTS"))
	o.Templates = first(o.Templates, getenv("REFLINE_TEMPLATES"))
	o.CAFile = first(o.CAFile, getenv("REFLINE_CA_FILE"))
	return o
}

// caPath is absolute: git reads it from another folder.
func (o Includes) caPath(p *Place) string {
	if o.CAFile == "" {
		return ""
	}
	return p.path(o.CAFile)
}

// includes gives the places of includes, reached as the user reaches them.
func (o Includes) includes(p *Place) source.Includes {
	copies := ""
	if dir, err := p.Cache(); err == nil {
		copies = filepath.Join(dir, "includes")
	}
	return source.Includes{
		Projects: o.Projects, Components: o.Components, Templates: o.Templates, CAFile: o.caPath(p),
		Copies: copies, Notice: func(text string) { p.notef("%s", text) }, Now: p.Now,
		Remote: func(url string) (*git.Remote, error) {
			access := o.access(p, url)
			access.Attempts, access.Wait = 2, 200*time.Millisecond // somebody waits for a lint
			return openRemote(p, url, access)
		},
	}
}

// access is how the person who runs this program reaches repositories: with
// their own git and ssh configuration, tokens for the hosts that they are for,
// and the run's deploy key likewise.
func (o Includes) access(p *Place, repo string) git.Access {
	return git.Access{
		Trust: git.User, AllowFile: true, CAFile: o.caPath(p), Environ: o.Keys.Environ(p.Environ(), repo),
		Login:  o.login(p),
		Notice: func(text string) { p.notef("%s", text) },
	}
}

func openRemote(p *Place, url string, access git.Access) (*git.Remote, error) {
	cache, err := p.Cache()
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
func (o Includes) serves(scheme, host string) bool {
	if scheme == "https" || scheme == o.home.scheme {
		if host == o.home.host {
			return true
		}
	}
	for _, named := range []string{o.Projects, o.Components} {
		if u, err := url.Parse(named); err == nil && u.Scheme == scheme && u.Host == host {
			return true
		}
	}
	return false
}

// login returns the credentials for a site: those of --git-token for its host,
// else REFLINE_GIT_TOKEN, else those in the URL of --repo.
func (o Includes) login(p *Place) func(site string) (user, password string) {
	return func(site string) (string, string) {
		if t := o.Tokens.For(site + "/"); t != nil {
			return t.User, t.Text.RevealString()
		}
		scheme, host, _ := strings.Cut(site, "://")
		switch token := p.Getenv("REFLINE_GIT_TOKEN"); {
		case !o.serves(scheme, host):
			return "", ""
		case token != "":
			return p.Getenv("REFLINE_GIT_USERNAME"), token
		case scheme == o.home.scheme && host == o.home.host:
			return o.home.user, o.home.password
		}
		return "", ""
	}
}

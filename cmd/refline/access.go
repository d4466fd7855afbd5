package main

import (
	"path/filepath"
	"time"

	"refline/internal/credential"
	"refline/internal/git"
	"refline/internal/source"
)

// includeOptions say where includes of other places come from, and with what.
type includeOptions struct {
	projects, components, templates string
	caFile                          string
	key                             *runKey // nil: none
	tokens                          credential.Tokens
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

// includes gives the places of includes, reached as the user reaches them.
func (o includeOptions) includes(e *env) source.Includes {
	return source.Includes{
		Projects: o.projects, Components: o.components, Templates: o.templates, CAFile: o.caFile,
		Remote: func(url string) (*git.Remote, error) {
			access := o.access(e, url)
			access.Attempts, access.Wait = 2, 200*time.Millisecond // somebody waits for a lint
			return openRemote(e, url, access)
		},
	}
}

// access is how the person who runs this program reaches repositories: with
// their own git and ssh configuration, a token from the environment, and the
// run's deploy key for the hosts that it is for.
func (o includeOptions) access(e *env, repo string) git.Access {
	a := git.Access{
		Trust: git.User, AllowFile: true, CAFile: o.caFile, Environ: o.key.environ(e.environ(), repo),
		Username: e.getenv("REFLINE_GIT_USERNAME"),
		Notice:   func(text string) { e.notef("%s", text) },
	}
	if e.getenv("REFLINE_GIT_TOKEN") != "" {
		a.Password = func() string { return e.getenv("REFLINE_GIT_TOKEN") }
	}
	if t := o.tokens.For(repo); t != nil {
		a.Username, a.Password = t.User, t.Text.RevealString
	}
	return a
}

func openRemote(e *env, url string, access git.Access) (*git.Remote, error) {
	cache, err := e.cacheDir()
	if err != nil {
		return nil, err
	}
	return git.NewRemote(url, filepath.Join(cache, "git"), access)
}

package forge

import (
	"net/url"
	"strings"
)

// Gitea is one repository of a Gitea or a Forgejo, which have one API.
type Gitea struct {
	rest
	repo string
}

// NewGitea checks the options. It does not ask the forge anything.
func NewGitea(o Options) (*Gitea, error) {
	g := &Gitea{}
	if err := g.open("Gitea", o, "https://gitea.example.com"); err != nil {
		return nil, err
	}
	owner, name, err := splitPath(o.Path)
	if err != nil {
		return nil, err
	}
	g.repo = "/api/v1/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name)
	g.write = "the scopes write:repository and write:issue"
	return g, nil
}

func trimSlash(text string) string { return strings.TrimRight(text, "/") }

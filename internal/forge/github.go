package forge

import (
	"net/http"
	"net/url"

	"refline/internal/netguard"
	"refline/internal/secret"
)

// GitHubOptions say which repository and who asks.
type GitHubOptions struct {
	URL        string // of the API: https://api.github.com
	Repository string // owner/name
	Token      secret.Value
	CAFile     string
	Guard      *netguard.Guard
}

// GitHub is one repository of a GitHub.
type GitHub struct {
	rest
	repository string
}

// NewGitHub checks the options. It does not ask GitHub anything.
func NewGitHub(o GitHubOptions) (*GitHub, error) {
	g := &GitHub{}
	if err := g.open("GitHub", Options{URL: o.URL, Token: o.Token, CAFile: o.CAFile, Guard: o.Guard}, "https://api.github.com"); err != nil {
		return nil, err
	}
	owner, name, err := splitPath(o.Repository)
	if err != nil {
		return nil, err
	}
	g.repository = url.PathEscape(owner) + "/" + url.PathEscape(name)
	g.write = "the scope repo, or of a fine-grained token: Commit statuses, Pull requests and Webhooks, each read and write"
	bearer := g.sign
	g.sign = func(req *http.Request) {
		bearer(req)
		req.Header.Set("Accept", "application/vnd.github+json")
		req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	}
	return g, nil
}

// open sets what all forges without a client library have.
func (r *rest) open(name string, o Options, example string) error {
	u, err := checkURL(o.URL, example)
	if err != nil {
		return err
	}
	if r.client, err = newClient(o.CAFile, o.Guard); err != nil {
		return err
	}
	u.RawQuery, u.Fragment = "", ""
	r.name, r.base = name, trimSlash(u.String())
	r.hidden = []string{o.Token.RevealString()}
	r.sign = func(req *http.Request) {
		if o.User != "" {
			req.SetBasicAuth(o.User, o.Token.RevealString())
			return
		}
		req.Header.Set("Authorization", "Bearer "+o.Token.RevealString())
	}
	return nil
}

package server

import (
	"context"
	"net/url"
	"strings"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/secret"
	"refline/internal/store"
)

// address is where a project's repository is reached.
type address struct {
	url    string             // without credentials
	shown  string             // in its place, if it is a secret
	tokens []credential.Token // that were in it
}

// address returns the URL of a project: its own, or that of the variable that it names.
// The latter is a secret, and the project's own URL is shown in its place.
func (s *Server) address(ctx context.Context, p store.Project) (address, error) {
	if p.URLVariable == "" {
		return address{url: p.URL}, nil
	}
	value, err := s.secrets.CheckoutVariable(ctx, p.ID, p.URLVariable)
	if err != nil {
		return address{}, err
	}
	a := address{url: strings.TrimSpace(value.RevealString()), shown: p.URL}
	if u, err := url.Parse(a.url); err == nil && u.User != nil && (u.Scheme == "https" || u.Scheme == "http") {
		if password, has := u.User.Password(); has {
			a.tokens = []credential.Token{{Host: strings.ToLower(u.Host), User: u.User.Username(), Name: p.URLVariable, Text: secret.NewString(password)}}
		}
		u.User = nil
		a.url = u.String()
	}
	if _, err := git.NewRemote(a.url, s.mirrors(), s.access()); err != nil { // its text has the URL
		return address{}, errs.E(errs.Invalid, "the variable %s does not hold the URL of a repository for project %s: want https://HOST/PATH or git@HOST:PATH", p.URLVariable, p.Name)
	}
	if host := hostOf(a.url); !s.hosts.has(host) {
		s.hosts.expect(a.url)
	}
	return a, nil
}

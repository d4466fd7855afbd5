// Package forge asks the places where repositories live (GitLab, GitHub, Gitea,
// Forgejo, Bitbucket) for what is not in the repository: commit statuses,
// comments, webhooks, and the variables of a GitLab project.
//
// It promises that a token and the values of variables are in requests only,
// never in an error, and that tokens go to https, or to this computer.
//
// It does not know where tokens come from, where variables are kept, what a job
// is, and when to try again.
package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"refline/internal/errs"
	"refline/internal/netguard"
	"refline/internal/secret"
)

// TokenKind says how a token is shown to GitLab.
type TokenKind uint8

// The kinds of token.
const (
	UserToken TokenKind = iota // personal, project, group or OAuth token
	JobToken                   // CI_JOB_TOKEN
)

// GitLabOptions say which project and who asks.
type GitLabOptions struct {
	URL     string // of the GitLab: https://gitlab.example.com
	Project string // group/project or its number
	Token   secret.Value
	Kind    TokenKind
	CAFile  string // certificates of a private authority, PEM; may be empty
	Guard   *netguard.Guard
}

// GitLab is one project of a GitLab.
type GitLab struct {
	client  *gitlab.Client
	project string
	where   string // for messages
	kind    TokenKind
	token   secret.Value
}

// NewGitLab checks the options. It does not ask GitLab anything.
func NewGitLab(o GitLabOptions) (*GitLab, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, errs.E(errs.Invalid, "the URL of the GitLab is not like https://gitlab.example.com")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errs.E(errs.Denied, "%s: a token is sent by https only", u.Redacted())
	}
	httpClient, err := newClient(o.CAFile, o.Guard)
	if err != nil {
		return nil, err
	}
	retries := 0 // a server has its own back-off
	if o.Guard == nil {
		httpClient.CheckRedirect, retries = nil, 2 // a project that was renamed redirects
	}
	options := []gitlab.ClientOptionFunc{
		gitlab.WithBaseURL(o.URL), gitlab.WithHTTPClient(httpClient), gitlab.WithCustomRetryMax(retries),
	}
	client, err := gitlab.NewAuthSourceClient(credential{o.Token, o.Kind}, options...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%s: not the URL of a GitLab", u.Redacted())
	}
	return &GitLab{client: client, project: o.Project, where: o.Project + " on " + u.Host, kind: o.Kind, token: o.Token}, nil
}

// credential shows the token with each request.
type credential struct {
	token secret.Value
	kind  TokenKind
}

var _ gitlab.AuthSource = credential{}

// Init has nothing to do.
func (credential) Init(context.Context, *gitlab.Client) error { return nil }

// Header returns the header that goes with the kind of token. As Bearer, GitLab
// takes all tokens of users, those of OAuth too.
func (c credential) Header(context.Context) (key, value string, err error) {
	if c.kind == JobToken {
		return "JOB-TOKEN", c.token.RevealString(), nil
	}
	return "Authorization", "Bearer " + c.token.RevealString(), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(caFile string) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return t, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, errs.E(errs.NotFound, "certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, errs.E(errs.Invalid, "%s: it has no certificate", caFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// failure gives an answer of GitLab its kind and says what to do. The texts of
// GitLab that it keeps are those about fields, which quote no value.
func (g *GitLab) failure(ctx context.Context, doing string, err error) error {
	var answer *gitlab.ErrorResponse
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, gitlab.ErrNotFound):
		return g.notFound(doing)
	case errors.As(err, &answer) && answer.Response != nil:
		return g.refused(doing, answer)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may be long
	}
	return errs.E(errs.Unavailable, "%s: %s does not answer: %w", doing, g.where, err)
}

func (g *GitLab) notFound(doing string) error {
	hint := "GitLab also says so when the token may not see the project"
	if g.kind == JobToken {
		hint = "a CI_JOB_TOKEN may not see a project's variables; give a token of a maintainer: REFLINE_GITLAB_TOKEN"
	}
	return errs.E(errs.NotFound, "%s: no project %s, or no such variable; %s", doing, g.where, hint)
}

func (g *GitLab) refused(doing string, answer *gitlab.ErrorResponse) error {
	switch code := answer.Response.StatusCode; {
	case code == http.StatusUnauthorized:
		return errs.E(errs.Denied, "%s: %s does not take the token; it may have expired", doing, g.where)
	case code == http.StatusForbidden && g.kind == JobToken:
		return errs.E(errs.Denied, "%s: %s gives variables to no CI_JOB_TOKEN; give a token of a maintainer: REFLINE_GITLAB_TOKEN", doing, g.where)
	case code == http.StatusForbidden:
		return errs.E(errs.Denied, "%s: %s gives variables to maintainers only, and the token needs the scope api", doing, g.where)
	case code == http.StatusNotFound:
		return g.notFound(doing)
	case code == http.StatusBadRequest, code == http.StatusConflict, code == http.StatusUnprocessableEntity:
		kind := errs.Invalid
		if strings.Contains(answer.Message, "already been taken") {
			kind = errs.Conflict
		}
		return errs.E(kind, "%s: %s refuses it: %s", doing, g.where, answer.Message)
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError:
		when := "later"
		if s, err := strconv.Atoi(answer.Response.Header.Get("Retry-After")); err == nil {
			when = fmt.Sprintf("in %d s", s)
		}
		return errs.E(errs.Unavailable, "%s: %s answers %s; try again %s", doing, g.where, answer.Response.Status, when)
	default:
		return errs.E(errs.Unavailable, "%s: %s answers %s", doing, g.where, fmt.Sprint(code))
	}
}

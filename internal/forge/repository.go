package forge

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"refline/internal/errs"
	"refline/internal/netguard"
	"refline/internal/secret"
)

// Kind is the sort of a forge.
type Kind string

// The kinds, as triggers name them.
const (
	KindGitLab      Kind = "gitlab"
	KindGitHub      Kind = "github"
	KindGitea       Kind = "gitea"
	KindForgejo     Kind = "forgejo"
	KindBitbucket   Kind = "bitbucket" // Cloud
	KindBitbucketDC Kind = "bitbucket-dc"
)

// Repository is what is asked of a forge for one repository. Errors say what the
// forge answered and what to do; [Retry] says whether the same call may succeed
// later.
type Repository interface {
	// SetStatus shows a state at a commit. The state that is there already is no
	// error.
	SetStatus(ctx context.Context, s Status) error
	// PutComment writes a comment, over the one that it wrote before, and returns
	// its id.
	PutComment(ctx context.Context, c Comment) (id string, err error)
	// EnsureHook creates the webhook or brings it up to date; others with its URL
	// are removed. It returns the id.
	EnsureHook(ctx context.Context, h Hook) (id string, err error)
	// RemoveHook removes the webhooks with a URL, if there are any.
	RemoveHook(ctx context.Context, url string) error
}

var (
	_ Repository = (*GitLab)(nil)
	_ Repository = (*GitHub)(nil)
	_ Repository = (*Gitea)(nil)
	_ Repository = (*Bitbucket)(nil)
	_ Repository = (*BitbucketDC)(nil)
)

// Options say which repository of which forge, and who asks.
type Options struct {
	URL   string // of the forge, as a browser has it: https://git.example.com
	Path  string // group/project, owner/name, workspace/slug, PROJECT/slug
	Token secret.Value
	// User makes Token a password: Bitbucket Cloud's API tokens go with the e-mail
	// address of their account.
	User   string
	CAFile string // certificates of a private authority, PEM; may be empty
	// Guard keeps requests of a server away from private addresses; nil lets all
	// pass.
	Guard *netguard.Guard
}

// Open returns the repository. It asks the forge nothing.
func Open(kind Kind, o Options) (Repository, error) {
	switch kind {
	case KindGitLab:
		return NewGitLab(GitLabOptions{URL: o.URL, Project: o.Path, Token: o.Token, CAFile: o.CAFile, Guard: o.Guard})
	case KindGitHub:
		api, err := githubAPI(o.URL)
		if err != nil {
			return nil, err
		}
		return NewGitHub(GitHubOptions{URL: api, Repository: o.Path, Token: o.Token, CAFile: o.CAFile, Guard: o.Guard})
	case KindGitea, KindForgejo:
		return NewGitea(o)
	case KindBitbucket:
		return NewBitbucket(o)
	case KindBitbucketDC:
		return NewBitbucketDC(o)
	}
	return nil, errs.E(errs.Invalid, "unknown kind of forge %q: it is gitlab, github, gitea, forgejo, bitbucket or bitbucket-dc", kind)
}

// githubAPI is where the API of a GitHub is: github.com and GHE.com have a host
// for it, an own GitHub Enterprise Server a path.
func githubAPI(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", errs.E(errs.Invalid, "the URL of the GitHub is not like https://github.com")
	}
	switch host := u.Hostname(); {
	case host == "github.com", strings.HasSuffix(host, ".ghe.com"):
		return "https://api." + host, nil
	case host == "api.github.com":
		return address, nil
	}
	return strings.TrimSuffix(address, "/") + "/api/v3", nil
}

// splitPath takes owner and name apart; neither is empty or has a slash.
func splitPath(path string) (owner, name string, err error) {
	owner, name, ok := strings.Cut(strings.Trim(path, "/"), "/")
	if !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		return "", "", errs.E(errs.Invalid, "%q is not a repository like owner/name", path)
	}
	return owner, name, nil
}

// checkURL refuses addresses to which a token must not go.
func checkURL(address, example string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, errs.E(errs.Invalid, "the URL of the forge is not like %s", example)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errs.E(errs.Denied, "%s: a token is sent by https only", u.Redacted())
	}
	return u, nil
}

// newClient makes an HTTP client, guarded if there is a guard. Without one
// redirects are not followed.
func newClient(caFile string, guard *netguard.Guard) (*http.Client, error) {
	transport, err := newTransport(caFile)
	if err != nil {
		return nil, err
	}
	if guard == nil {
		return &http.Client{Transport: transport, Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
	}
	o := netguard.ClientOptions{Timeout: requestTimeout, Proxy: http.ProxyFromEnvironment}
	if transport.TLSClientConfig != nil {
		o.Roots = transport.TLSClientConfig.RootCAs
	}
	return guard.Client(o), nil
}

package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
)

// GitHubOptions say which repository and who asks.
type GitHubOptions struct {
	URL        string // of the API: https://api.github.com
	Repository string // owner/name
	Token      secret.Value
}

// GitHub is one repository of a GitHub. Three calls of its API are all that is
// asked of it, so it has no client library.
type GitHub struct {
	base, repository string
	token            secret.Value
	client           *http.Client
}

// NewGitHub checks the options. It does not ask GitHub anything.
func NewGitHub(o GitHubOptions) (*GitHub, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return nil, errs.E(errs.Invalid, "the URL of the GitHub is not like https://api.github.com")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, errs.E(errs.Denied, "%s: a token is sent by https only", u.Redacted())
	}
	owner, name, ok := strings.Cut(o.Repository, "/")
	if !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		return nil, errs.E(errs.Invalid, "%q is not a repository like owner/name", o.Repository)
	}
	return &GitHub{base: strings.TrimSuffix(o.URL, "/"), repository: url.PathEscape(owner) + "/" + url.PathEscape(name), token: o.Token,
		client: &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Comment implements Commenter with the comments of the pull request's issue.
//
// The API is that of https://docs.github.com/rest/issues/comments.
func (g *GitHub) Comment(ctx context.Context, pullRequest int64, marker, body string) error {
	text := map[string]string{"body": fit(body)}
	list := fmt.Sprintf("/repos/%s/issues/%d/comments", g.repository, pullRequest)
	for page := 1; page <= maxPages; page++ {
		var comments []struct {
			ID   int64
			Body string
		}
		if err := g.call(ctx, http.MethodGet, fmt.Sprintf("%s?per_page=%d&page=%d", list, perPage, page), nil, &comments); err != nil {
			return err
		}
		for _, c := range comments {
			if !strings.Contains(c.Body, marker) {
				continue
			}
			err := g.call(ctx, http.MethodPatch, fmt.Sprintf("/repos/%s/issues/comments/%d", g.repository, c.ID), text, nil)
			if errs.Is(err, errs.Denied) {
				continue // somebody else's, that quotes the marker
			}
			return err
		}
		if len(comments) < perPage {
			break
		}
	}
	return g.call(ctx, http.MethodPost, list, text, nil)
}

func (g *GitHub) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+g.token.RevealString())
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	res, err := g.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errs.E(errs.Unavailable, "comment on the pull request: GitHub does not answer: %w", err)
	}
	defer res.Body.Close()
	const most = 32 << 20
	answer := io.LimitReader(res.Body, most)
	if res.StatusCode < 300 {
		if out == nil {
			return nil
		}
		if err := json.NewDecoder(answer).Decode(out); err != nil {
			return errs.E(errs.Unavailable, "comment on the pull request: GitHub's answer cannot be read: %w", err)
		}
		return nil
	}
	kind, hint := errs.Unavailable, ""
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		kind, hint = errs.Denied, "; the token may have expired"
	case res.StatusCode == http.StatusForbidden:
		kind, hint = errs.Denied, "; the job needs the permission pull-requests: write"
	case res.StatusCode == http.StatusNotFound:
		kind, hint = errs.NotFound, "; no such pull request, or the token may not see it"
	case res.StatusCode == http.StatusUnprocessableEntity:
		kind = errs.Invalid
	}
	return errs.E(kind, "comment on the pull request: GitHub answers %s%s", res.Status, hint)
}

package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"refline/internal/errs"
	"refline/internal/secret"
)

// Hook is a webhook as it is to be: JSON, by POST, with the events that lead to
// pipelines.
type Hook struct {
	URL string
	// Secret signs deliveries. One that starts with whsec_ becomes a signing key
	// of GitLab, every other one GitLab's secret token.
	Secret secret.Value
}

const (
	doingHook = "create the webhook"
	hookName  = "Refline"
)

// hooks are the webhooks of one repository.
type hooks interface {
	// find returns the ids of those with a URL.
	find(ctx context.Context, url string) ([]string, error)
	write(ctx context.Context, id string, h Hook) (string, error) // a new one if id is ""
	remove(ctx context.Context, id string) error
}

// ensure leaves one webhook with the URL.
func ensure(ctx context.Context, in hooks, h Hook) (string, error) {
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errs.E(errs.Invalid, "%s: its address must be a URL that the forge can reach: start the server with --public-url https://HOST", doingHook)
	}
	ids, err := in.find(ctx, h.URL)
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return in.write(ctx, "", h)
	}
	for _, id := range ids[1:] {
		if err := in.remove(ctx, id); err != nil {
			return "", err
		}
	}
	return in.write(ctx, ids[0], h)
}

func removeAll(ctx context.Context, in hooks, url string) error {
	ids, err := in.find(ctx, url)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := in.remove(ctx, id); err != nil && !errs.Is(err, errs.NotFound) {
			return err
		}
	}
	return nil
}

// EnsureHook implements Repository.
func (g *GitLab) EnsureHook(ctx context.Context, h Hook) (string, error) {
	return ensure(ctx, gitlabHooks{g}, h)
}

// RemoveHook implements Repository.
func (g *GitLab) RemoveHook(ctx context.Context, url string) error {
	return removeAll(ctx, gitlabHooks{g}, url)
}

// gitlabHooks are https://docs.gitlab.com/api/project_webhooks/.
type gitlabHooks struct{ *GitLab }

func (g gitlabHooks) find(ctx context.Context, url string) ([]string, error) {
	o := &gitlab.ListProjectHooksOptions{ListOptions: gitlab.ListOptions{PerPage: perPage, Page: 1}}
	var ids []string
	for range maxPages {
		list, answer, err := g.client.Projects.ListProjectHooks(g.project, o, gitlab.WithContext(ctx))
		if err != nil {
			return nil, g.answered(ctx, "list the webhooks", hookNeedsGitLab, err)
		}
		for _, h := range list {
			if h.URL == url {
				ids = append(ids, strconv.FormatInt(h.ID, 10))
			}
		}
		if answer.NextPage == 0 {
			break
		}
		o.Page = answer.NextPage
	}
	return ids, nil
}

const hookNeedsGitLab = "the scope api and the role Maintainer"

// gitlabHook has what the client library does not know yet.
type gitlabHook struct {
	gitlab.AddProjectHookOptions
	SigningToken *string `json:"signing_token,omitempty"`
}

func (g gitlabHooks) write(ctx context.Context, id string, h Hook) (string, error) {
	yes, no, name, shown := true, false, hookName, h.Secret.RevealString()
	o := gitlabHook{AddProjectHookOptions: gitlab.AddProjectHookOptions{
		URL: &h.URL, Name: &name, EnableSSLVerification: &yes,
		PushEvents: &yes, TagPushEvents: &yes, MergeRequestsEvents: &yes, NoteEvents: &yes,
		IssuesEvents: &no, ConfidentialIssuesEvents: &no, ConfidentialNoteEvents: &no, JobEvents: &no, PipelineEvents: &no,
		WikiPageEvents: &no, DeploymentEvents: &no, ReleasesEvents: &no,
	}}
	signed := strings.HasPrefix(shown, "whsec_")
	if signed {
		o.SigningToken = &shown
	} else {
		o.Token = &shown
	}
	method, path := http.MethodPost, fmt.Sprintf("projects/%s/hooks", gitlab.PathEscape(g.project))
	if id != "" {
		method, path = http.MethodPut, path+"/"+url.PathEscape(id)
	}
	req, err := g.client.NewRequest(method, path, o, []gitlab.RequestOptionFunc{gitlab.WithContext(ctx)})
	if err != nil {
		return "", err
	}
	var made struct {
		ID     int64 `json:"id"`
		Signed bool  `json:"signing_token_present"`
	}
	if _, err := g.client.Do(req, &made); err != nil {
		return "", g.answered(ctx, doingHook, hookNeedsGitLab, err, shown)
	}
	id = strconv.FormatInt(made.ID, 10)
	if signed && !made.Signed {
		return id, errs.E(errs.Invalid, "%s: this GitLab does not know signing keys, so it would not prove its deliveries; use a secret token, which does not start with whsec_", doingHook)
	}
	return id, nil
}

func (g gitlabHooks) remove(ctx context.Context, id string) error {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return errs.E(errs.Invalid, "%q is not the number of a webhook", id)
	}
	_, err = g.client.Projects.DeleteProjectHook(g.project, n, gitlab.WithContext(ctx))
	return g.answered(ctx, "remove the webhook", hookNeedsGitLab, err)
}

// EnsureHook implements Repository.
func (g *GitHub) EnsureHook(ctx context.Context, h Hook) (string, error) {
	return ensure(ctx, g.hooks(), h)
}

// RemoveHook implements Repository.
func (g *GitHub) RemoveHook(ctx context.Context, url string) error {
	return removeAll(ctx, g.hooks(), url)
}

func (g *GitHub) hooks() hubHooks {
	return hubHooks{&g.rest, "/repos/" + g.repository + "/hooks", "per_page", "web", []string{"push", "pull_request", "issue_comment", "repository"}}
}

// EnsureHook implements Repository.
func (g *Gitea) EnsureHook(ctx context.Context, h Hook) (string, error) {
	return ensure(ctx, g.hooks(), h)
}

// RemoveHook implements Repository.
func (g *Gitea) RemoveHook(ctx context.Context, url string) error {
	return removeAll(ctx, g.hooks(), url)
}

func (g *Gitea) hooks() hubHooks {
	return hubHooks{&g.rest, g.repo + "/hooks", "limit", "gitea", []string{"push", "delete", "pull_request", "issue_comment"}}
}

// hubHooks are https://docs.github.com/rest/repos/webhooks and Gitea's, which are
// alike.
type hubHooks struct {
	*rest
	path, size, kind string
	events           []string
}

type hubHook struct {
	ID     int64 `json:"id"`
	Config struct {
		URL string `json:"url"`
	} `json:"config"`
}

func (t hubHooks) find(ctx context.Context, url string) ([]string, error) {
	var ids []string
	for page := 1; page <= maxPages; page++ {
		var list []hubHook
		if _, err := t.call(ctx, "list the webhooks", http.MethodGet, fmt.Sprintf("%s?%s=50&page=%d", t.path, t.size, page), nil, &list); err != nil {
			return nil, err
		}
		for _, h := range list {
			if h.Config.URL == url {
				ids = append(ids, strconv.FormatInt(h.ID, 10))
			}
		}
		if len(list) < 50 {
			break
		}
	}
	return ids, nil
}

func (t hubHooks) write(ctx context.Context, id string, h Hook) (string, error) {
	shown := h.Secret.RevealString()
	body := map[string]any{"active": true, "events": t.events, "config": map[string]string{"url": h.URL, "content_type": "json", "secret": shown}}
	method, path := http.MethodPost, t.path
	if id != "" {
		method, path = http.MethodPatch, path+"/"+url.PathEscape(id)
	} else {
		body[map[bool]string{true: "type", false: "name"}[t.kind == "gitea"]] = t.kind
	}
	var made hubHook
	_, err := t.hiding(shown).call(ctx, doingHook, method, path, body, &made)
	return strconv.FormatInt(made.ID, 10), err
}

// hiding is the same API whose messages do not have a text either.
func (r *rest) hiding(text string) *rest {
	other := *r
	other.hidden = append(slices.Clone(r.hidden), text)
	return &other
}

func (t hubHooks) remove(ctx context.Context, id string) error {
	_, err := t.call(ctx, "remove the webhook", http.MethodDelete, t.path+"/"+url.PathEscape(id), nil, nil)
	return err
}

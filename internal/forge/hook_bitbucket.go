package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// EnsureHook implements Repository.
func (b *Bitbucket) EnsureHook(ctx context.Context, h Hook) (string, error) {
	return ensure(ctx, cloudHooks{b}, h)
}

// RemoveHook implements Repository.
func (b *Bitbucket) RemoveHook(ctx context.Context, url string) error {
	return removeAll(ctx, cloudHooks{b}, url)
}

// cloudHooks are https://developer.atlassian.com/cloud/bitbucket/rest/api-group-webhooks/.
type cloudHooks struct{ *Bitbucket }

type cloudHook struct {
	UUID string `json:"uuid"`
	URL  string `json:"url"`
}

func (t cloudHooks) find(ctx context.Context, address string) ([]string, error) {
	var ids []string
	path := t.repo + "/hooks?pagelen=100"
	for range maxPages {
		var list struct {
			Values []cloudHook `json:"values"`
			Next   string      `json:"next"`
		}
		if _, err := t.call(ctx, "list the webhooks", http.MethodGet, path, nil, &list); err != nil {
			return nil, err
		}
		for _, h := range list.Values {
			if h.URL == address {
				ids = append(ids, h.UUID)
			}
		}
		next, err := t.nextPath(list.Next)
		if err != nil {
			return nil, err
		}
		if next == "" {
			break
		}
		path = next
	}
	return ids, nil
}

func (t cloudHooks) write(ctx context.Context, id string, h Hook) (string, error) {
	shown := h.Secret.RevealString()
	body := map[string]any{"description": hookName, "url": h.URL, "active": true, "secret": shown, "events": []string{
		"repo:push", "pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled", "pullrequest:rejected", "pullrequest:comment_created",
	}}
	method, path := http.MethodPost, t.repo+"/hooks"
	if id != "" {
		method, path = http.MethodPut, path+"/"+url.PathEscape(id)
	}
	var made cloudHook
	_, err := t.hiding(shown).call(ctx, doingHook, method, path, body, &made)
	return made.UUID, err
}

func (t cloudHooks) remove(ctx context.Context, id string) error {
	_, err := t.call(ctx, "remove the webhook", http.MethodDelete, t.repo+"/hooks/"+url.PathEscape(id), nil, nil)
	return err
}

// EnsureHook implements Repository.
func (b *BitbucketDC) EnsureHook(ctx context.Context, h Hook) (string, error) {
	return ensure(ctx, dcHooks{b}, h)
}

// RemoveHook implements Repository.
func (b *BitbucketDC) RemoveHook(ctx context.Context, url string) error {
	return removeAll(ctx, dcHooks{b}, url)
}

// dcHooks are the webhooks of https://developer.atlassian.com/server/bitbucket/rest/.
type dcHooks struct{ *BitbucketDC }

type dcHook struct {
	ID  int64  `json:"id"`
	URL string `json:"url"`
}

func (t dcHooks) find(ctx context.Context, address string) ([]string, error) {
	var ids []string
	start := int64(0)
	for range maxPages {
		var list struct {
			Values []dcHook `json:"values"`
			Last   bool     `json:"isLastPage"`
			Next   int64    `json:"nextPageStart"`
		}
		if _, err := t.call(ctx, "list the webhooks", http.MethodGet, fmt.Sprintf("%s/webhooks?limit=100&start=%d", t.repo, start), nil, &list); err != nil {
			return nil, err
		}
		for _, h := range list.Values {
			if h.URL == address {
				ids = append(ids, strconv.FormatInt(h.ID, 10))
			}
		}
		if list.Last || list.Next <= start {
			break
		}
		start = list.Next
	}
	return ids, nil
}

func (t dcHooks) write(ctx context.Context, id string, h Hook) (string, error) {
	shown := h.Secret.RevealString()
	body := map[string]any{"name": hookName, "url": h.URL, "active": true, "sslVerificationRequired": true, "configuration": map[string]string{"secret": shown}, "events": []string{
		"repo:refs_changed", "pr:opened", "pr:from_ref_updated", "pr:modified", "pr:merged", "pr:declined", "pr:deleted", "pr:comment:added",
	}}
	method, path := http.MethodPost, t.repo+"/webhooks"
	if id != "" {
		method, path = http.MethodPut, path+"/"+url.PathEscape(id)
	}
	var made dcHook
	_, err := t.hiding(shown).call(ctx, doingHook, method, path, body, &made)
	return strconv.FormatInt(made.ID, 10), err
}

func (t dcHooks) remove(ctx context.Context, id string) error {
	_, err := t.call(ctx, "remove the webhook", http.MethodDelete, t.repo+"/webhooks/"+url.PathEscape(id), nil, nil)
	return err
}

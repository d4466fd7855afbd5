package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Bitbucket is one repository of Bitbucket Cloud.
type Bitbucket struct {
	rest
	repo string
}

// NewBitbucket checks the options. It does not ask Bitbucket anything.
func NewBitbucket(o Options) (*Bitbucket, error) {
	b := &Bitbucket{}
	if u, err := url.Parse(o.URL); err == nil && (o.URL == "" || u.Hostname() == "bitbucket.org") {
		o.URL = "https://api.bitbucket.org"
	}
	if err := b.open("Bitbucket", o, "https://bitbucket.org"); err != nil {
		return nil, err
	}
	workspace, slug, err := splitPath(o.Path)
	if err != nil {
		return nil, err
	}
	b.repo = "/2.0/repositories/" + url.PathEscape(workspace) + "/" + url.PathEscape(slug)
	b.write = "the scopes repository, pullrequest and webhook"
	return b, nil
}

// PutComment implements Repository.
// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/
func (b *Bitbucket) PutComment(ctx context.Context, c Comment) (string, error) {
	return put(ctx, cloudThread{b, c.MergeRequest}, c, hideMarkdown, maxBucketComment)
}

type cloudThread struct {
	*Bitbucket
	number int64
}

type cloudComment struct {
	ID      int64 `json:"id"`
	Deleted bool  `json:"deleted"`
	Content struct {
		Raw string `json:"raw"`
	} `json:"content"`
}

func (t cloudThread) path() string {
	return fmt.Sprintf("%s/pullrequests/%d/comments", t.repo, t.number)
}

func (t cloudThread) notes(ctx context.Context, page string) ([]note, string, error) {
	var list struct {
		Values []cloudComment `json:"values"`
		Next   string         `json:"next"`
	}
	path := t.path() + "?pagelen=100"
	if page != "" {
		path = page
	}
	if _, err := t.call(ctx, doingComment, http.MethodGet, path, nil, &list); err != nil {
		return nil, "", err
	}
	var notes []note
	for _, c := range list.Values {
		notes = append(notes, note{id: strconv.FormatInt(c.ID, 10), body: c.Content.Raw, fixed: c.Deleted})
	}
	next, err := t.nextPath(list.Next)
	return notes, next, err
}

// nextPath is the path of the next page. A URL to elsewhere is not followed, since
// the token goes with it.
func (b *Bitbucket) nextPath(next string) (string, error) {
	if next == "" {
		return "", nil
	}
	path, own := strings.CutPrefix(next, b.base+"/")
	if !own {
		return "", errs.E(errs.Unavailable, "Bitbucket continues its list on another host")
	}
	return "/" + path, nil
}

func (t cloudThread) edit(ctx context.Context, n note, body string) error {
	_, err := t.call(ctx, doingComment, http.MethodPut, t.path()+"/"+url.PathEscape(n.id), cloudBody(body), nil)
	return err
}

func (t cloudThread) add(ctx context.Context, body string) (string, error) {
	var made cloudComment
	_, err := t.call(ctx, doingComment, http.MethodPost, t.path(), cloudBody(body), &made)
	return strconv.FormatInt(made.ID, 10), err
}

func cloudBody(body string) any {
	return map[string]any{"content": map[string]string{"raw": body}}
}

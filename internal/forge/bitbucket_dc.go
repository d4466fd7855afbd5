package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// BitbucketDC is one repository of a Bitbucket Data Center.
type BitbucketDC struct {
	rest
	repo string
}

// NewBitbucketDC checks the options. It does not ask Bitbucket anything.
func NewBitbucketDC(o Options) (*BitbucketDC, error) {
	b := &BitbucketDC{}
	if err := b.open("Bitbucket", o, "https://bitbucket.example.com"); err != nil {
		return nil, err
	}
	project, slug, err := splitPath(o.Path)
	if err != nil {
		return nil, err
	}
	b.repo = "/rest/api/latest/projects/" + url.PathEscape(project) + "/repos/" + url.PathEscape(slug)
	b.write = "the permission Repository read, and Repository admin for webhooks"
	return b, nil
}

// PutComment implements Repository. https://developer.atlassian.com/server/bitbucket/rest/
func (b *BitbucketDC) PutComment(ctx context.Context, c Comment) (string, error) {
	return put(ctx, dcThread{b, c.MergeRequest}, c, hideMarkdown, maxBucketComment)
}

type dcThread struct {
	*BitbucketDC
	number int64
}

type dcComment struct {
	ID      int64  `json:"id"`
	Version int64  `json:"version"`
	Text    string `json:"text"`
}

func (t dcThread) path() string { return fmt.Sprintf("%s/pull-requests/%d", t.repo, t.number) }

// notes reads the activities: there is no list of all comments.
func (t dcThread) notes(ctx context.Context, page string) ([]note, string, error) {
	var list struct {
		Values []struct {
			Action  string    `json:"action"`
			Comment dcComment `json:"comment"`
		} `json:"values"`
		Last bool  `json:"isLastPage"`
		Next int64 `json:"nextPageStart"`
	}
	if page == "" {
		page = "0"
	}
	if _, err := t.call(ctx, doingComment, http.MethodGet, t.path()+"/activities?limit=100&start="+page, nil, &list); err != nil {
		return nil, "", err
	}
	var notes []note
	for _, a := range list.Values {
		if a.Action == "COMMENTED" {
			notes = append(notes, note{id: strconv.FormatInt(a.Comment.ID, 10), body: a.Comment.Text, version: a.Comment.Version})
		}
	}
	if list.Last || list.Next == 0 {
		return notes, "", nil
	}
	return notes, strconv.FormatInt(list.Next, 10), nil
}

// edit changes a comment in the version that is there now: another one conflicts.
func (t dcThread) edit(ctx context.Context, n note, body string) error {
	path := t.path() + "/comments/" + url.PathEscape(n.id)
	var now dcComment
	if _, err := t.call(ctx, doingComment, http.MethodGet, path, nil, &now); err != nil {
		return err
	}
	_, err := t.call(ctx, doingComment, http.MethodPut, path, map[string]any{"text": body, "version": now.Version}, nil)
	return err
}

func (t dcThread) add(ctx context.Context, body string) (string, error) {
	var made dcComment
	_, err := t.call(ctx, doingComment, http.MethodPost, t.path()+"/comments", map[string]string{"text": body}, &made)
	return strconv.FormatInt(made.ID, 10), err
}

package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"refline/internal/errs"
)

// Commenter keeps one comment on a merge request up to date.
type Commenter interface {
	// Comment writes body as a comment of the merge request, over the one that
	// an earlier call with the same marker left there. The marker is a text that
	// body has; an HTML comment is not shown.
	Comment(ctx context.Context, mergeRequest int64, marker, body string) error
}

var (
	_ Commenter = (*GitLab)(nil)
	_ Commenter = (*GitHub)(nil)
)

// Comment is a comment on a merge request that is edited in place.
type Comment struct {
	MergeRequest int64
	ID           string // from the call before; "" if it is not known
	Key          string // finds the comment when the id is not known; hidden in its first line
	Body         string // Markdown
	URL          string // where the rest is if the body is cut; "" for nowhere
}

// How many bytes a comment may have: less than the characters that the forges take.
const (
	maxHubComment    = 65_000
	maxGitLabComment = 1_000_000
	maxBucketComment = 32_000
)

const doingComment = "comment on the merge request"

// note is a comment as a forge has it.
type note struct {
	id, body string
	version  int64 // of Bitbucket Data Center
	fixed    bool  // by the forge itself, or deleted
}

// thread is the comments of one merge request.
type thread interface {
	// notes returns a page of comments; next is "" after the last one.
	notes(ctx context.Context, page string) (list []note, next string, err error)
	edit(ctx context.Context, n note, body string) error
	add(ctx context.Context, body string) (id string, err error)
}

// upsert writes a comment over the one with an id or, if there is none, over the
// one that has the marker; else it adds one.
func upsert(ctx context.Context, t thread, id, marker, body string) (string, error) {
	if id != "" {
		if err := t.edit(ctx, note{id: id}, body); !errs.Is(err, errs.NotFound) {
			return id, err
		}
	}
	page := ""
	for range maxPages {
		list, next, err := t.notes(ctx, page)
		if err != nil {
			return "", err
		}
		for _, n := range list {
			if n.fixed || !strings.Contains(n.body, marker) {
				continue
			}
			if err := t.edit(ctx, n, body); !errs.Is(err, errs.Denied) {
				return n.id, err
			} // else somebody else's, that quotes the marker
		}
		if next == "" || next == page {
			break
		}
		page = next
	}
	return t.add(ctx, body)
}

// put writes a comment whose first line hides its key.
func put(ctx context.Context, t thread, c Comment, hide func(string) string, most int) (string, error) {
	marker := hide("refline:" + strings.Map(keyRune, c.Key))
	rest := "*Cut here.*"
	if c.URL != "" {
		rest = fmt.Sprintf("*Cut here: [the whole text](%s).*", c.URL)
	}
	return upsert(ctx, t, c.ID, marker, CutMarkdown(marker+"\n"+c.Body, most, rest))
}

// keyRune keeps what can be in a comment of HTML and of Markdown.
func keyRune(r rune) rune {
	if r <= ' ' || strings.ContainsRune("<>()[]\"'`-", r) {
		return '_'
	}
	return r
}

func hideHTML(text string) string     { return "<!-- " + text + " -->" }
func hideMarkdown(text string) string { return "[//]: # (" + text + ")" } // Bitbucket shows HTML as text

// cutComment cuts a comment of a job in someone else's CI.
func cutComment(body string) string {
	return CutMarkdown(body, maxHubComment, "*Cut here: the rest is in the files of the job.*")
}

// Comment implements Commenter.
func (g *GitLab) Comment(ctx context.Context, mergeRequest int64, marker, body string) error {
	_, err := upsert(ctx, gitlabThread{g, mergeRequest}, "", marker, cutComment(body))
	return err
}

// PutComment implements Repository.
func (g *GitLab) PutComment(ctx context.Context, c Comment) (string, error) {
	return put(ctx, gitlabThread{g, c.MergeRequest}, c, hideHTML, maxGitLabComment)
}

// gitlabThread are notes: https://docs.gitlab.com/api/notes/#merge-requests.
type gitlabThread struct {
	*GitLab
	number int64
}

func (t gitlabThread) notes(ctx context.Context, page string) ([]note, string, error) {
	n, _ := strconv.ParseInt(page, 10, 64)
	o := &gitlab.ListMergeRequestNotesOptions{ListOptions: gitlab.ListOptions{PerPage: perPage, Page: max(n, 1)}}
	list, answer, err := t.client.Notes.ListMergeRequestNotes(t.project, t.number, o, gitlab.WithContext(ctx))
	if err != nil {
		return nil, "", t.uncommented(ctx, err)
	}
	var notes []note
	for _, n := range list {
		notes = append(notes, note{id: strconv.FormatInt(n.ID, 10), body: n.Body, fixed: n.System})
	}
	if answer.NextPage == 0 {
		return notes, "", nil
	}
	return notes, strconv.FormatInt(answer.NextPage, 10), nil
}

func (t gitlabThread) edit(ctx context.Context, n note, body string) error {
	id, err := strconv.ParseInt(n.id, 10, 64)
	if err != nil {
		return errs.E(errs.NotFound, "%q is not the number of a comment", n.id)
	}
	_, _, err = t.client.Notes.UpdateMergeRequestNote(t.project, t.number, id, &gitlab.UpdateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx))
	return t.uncommented(ctx, err)
}

func (t gitlabThread) add(ctx context.Context, body string) (string, error) {
	n, _, err := t.client.Notes.CreateMergeRequestNote(t.project, t.number, &gitlab.CreateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx))
	if err != nil {
		return "", t.uncommented(ctx, err)
	}
	return strconv.FormatInt(n.ID, 10), nil
}

func (g *GitLab) uncommented(ctx context.Context, err error) error {
	var answer *gitlab.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gitlab.ErrNotFound):
		return errs.E(errs.NotFound, "%s: not in %s, or the token may not see it", doingComment, g.where)
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode == http.StatusForbidden:
		return errs.E(errs.Denied, "%s: %s does not let this token comment; it needs the scope api, which no CI_JOB_TOKEN has", doingComment, g.where)
	}
	return g.answered(ctx, doingComment, "the scope api", err)
}

// Comment implements Commenter.
func (g *GitHub) Comment(ctx context.Context, pullRequest int64, marker, body string) error {
	_, err := upsert(ctx, g.thread(pullRequest), "", marker, cutComment(body))
	return err
}

// PutComment implements Repository.
func (g *GitHub) PutComment(ctx context.Context, c Comment) (string, error) {
	return put(ctx, g.thread(c.MergeRequest), c, hideHTML, maxHubComment)
}

func (g *GitHub) thread(number int64) hubThread {
	return hubThread{&g.rest, "/repos/" + g.repository, number, perPage}
}

// PutComment implements Repository.
func (g *Gitea) PutComment(ctx context.Context, c Comment) (string, error) {
	return put(ctx, hubThread{&g.rest, g.repo, c.MergeRequest, 0}, c, hideHTML, maxHubComment)
}

// hubThread are the comments of the pull request's issue, on GitHub
// (https://docs.github.com/rest/issues/comments) and Gitea.
type hubThread struct {
	*rest
	repo   string
	number int64
	pages  int // comments on a page; 0: all come at once (Gitea)
}

func (t hubThread) notes(ctx context.Context, page string) ([]note, string, error) {
	path, n := fmt.Sprintf("%s/issues/%d/comments", t.repo, t.number), 1
	if t.pages > 0 {
		if page != "" {
			n, _ = strconv.Atoi(page)
		}
		path += fmt.Sprintf("?per_page=%d&page=%d", t.pages, n)
	}
	var list []struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
	}
	if _, err := t.call(ctx, doingComment, http.MethodGet, path, nil, &list); err != nil {
		return nil, "", err
	}
	var notes []note
	for _, c := range list {
		notes = append(notes, note{id: strconv.FormatInt(c.ID, 10), body: c.Body})
	}
	if t.pages == 0 || len(list) < t.pages {
		return notes, "", nil
	}
	return notes, strconv.Itoa(n + 1), nil
}

func (t hubThread) edit(ctx context.Context, n note, body string) error {
	_, err := t.call(ctx, doingComment, http.MethodPatch, t.repo+"/issues/comments/"+url.PathEscape(n.id), map[string]string{"body": body}, nil)
	return err
}

func (t hubThread) add(ctx context.Context, body string) (string, error) {
	var made struct {
		ID int64 `json:"id"`
	}
	_, err := t.call(ctx, doingComment, http.MethodPost, fmt.Sprintf("%s/issues/%d/comments", t.repo, t.number), map[string]string{"body": body}, &made)
	return strconv.FormatInt(made.ID, 10), err
}

package forge

import (
	"context"
	"errors"
	"net/http"
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

// longest is how many bytes a comment may have: GitHub takes 65,536 characters,
// GitLab more.
const longest = 65_000

// fit cuts a comment that the forge would refuse, and says so.
func fit(body string) string {
	if len(body) <= longest {
		return body
	}
	const note = "\n\n*Cut here: the rest is in the files of the job.*\n"
	cut := strings.LastIndexByte(body[:longest-len(note)], '\n')
	return strings.ToValidUTF8(body[:max(cut, 0)], "") + note
}

// Comment implements Commenter with notes.
//
// The API is that of https://docs.gitlab.com/api/notes/#merge-requests.
func (g *GitLab) Comment(ctx context.Context, mergeRequest int64, marker, body string) error {
	body = fit(body)
	options := &gitlab.ListMergeRequestNotesOptions{ListOptions: gitlab.ListOptions{PerPage: perPage, Page: 1}}
	for range maxPages {
		notes, answer, err := g.client.Notes.ListMergeRequestNotes(g.project, mergeRequest, options, gitlab.WithContext(ctx))
		if err != nil {
			return g.uncommented(ctx, err)
		}
		for _, n := range notes {
			if n.System || !strings.Contains(n.Body, marker) {
				continue
			}
			_, _, err := g.client.Notes.UpdateMergeRequestNote(g.project, mergeRequest, n.ID,
				&gitlab.UpdateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx))
			if errs.Is(g.uncommented(ctx, err), errs.Denied) {
				continue // somebody else's, that quotes the marker
			}
			return g.uncommented(ctx, err)
		}
		if answer.NextPage == 0 {
			break
		}
		options.Page = answer.NextPage
	}
	_, _, err := g.client.Notes.CreateMergeRequestNote(g.project, mergeRequest,
		&gitlab.CreateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx))
	return g.uncommented(ctx, err)
}

func (g *GitLab) uncommented(ctx context.Context, err error) error {
	const doing = "comment on the merge request"
	var answer *gitlab.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gitlab.ErrNotFound):
		return errs.E(errs.NotFound, "%s: not in %s, or the token may not see it", doing, g.where)
	case errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode == http.StatusForbidden:
		return errs.E(errs.Denied, "%s: %s does not let this token comment; it needs the scope api, which no CI_JOB_TOKEN has", doing, g.where)
	}
	return g.failure(ctx, doing, err)
}

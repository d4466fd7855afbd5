package forge

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"refline/internal/errs"
)

// answered makes of an error of GitLab's client the one that the other forges'
// calls return. needs is what the token must have.
func (g *GitLab) answered(ctx context.Context, doing, needs string, err error, hidden ...string) error {
	if err == nil {
		return nil
	}
	r := rest{name: "GitLab", hidden: append(hidden, g.token.RevealString()), write: needs}
	var answer *gitlab.ErrorResponse
	switch {
	case errors.Is(err, gitlab.ErrNotFound):
		res := &http.Response{StatusCode: http.StatusNotFound, Header: http.Header{}}
		return errs.E(errs.NotFound, "%s in %s: %w", doing, g.where, r.refused("the request", res, bytes.NewReader(nil)))
	case errors.As(err, &answer) && answer.Response != nil:
		return r.refused(doing+" in "+g.where, answer.Response, bytes.NewReader(answer.Body))
	}
	return r.unanswered(ctx, doing+" in "+g.where, err)
}

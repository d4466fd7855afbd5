package main

import (
	"cmp"
	"context"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
	"refline/internal/stack"
)

// commentPlans puts plans on the merge request that this pipeline is for, in
// one comment for each environment. Where nobody may comment, a fork's pipeline
// for one, that is told and no failure: the plans are there all the same.
func commentPlans(ctx context.Context, e *env, s *stack.Session, r *stack.Review) error {
	g, number, err := commenter(ctx, e)
	if errs.Is(err, errs.Denied) {
		e.notef("no comment: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if g == nil {
		e.notef("no comment: this pipeline has no merge request")
		return nil
	}
	marker, text, err := r.Comment(s.Config, s.Env.Name)
	if err != nil {
		return err
	}
	err = g.Comment(ctx, number, marker, text)
	if errs.Is(err, errs.Denied) {
		e.notef("no comment: %v", err)
		return nil
	}
	return err
}

// commenter is what comments on the merge request of this pipeline, nil where
// there is none.
func commenter(ctx context.Context, e *env) (forge.Commenter, int64, error) {
	r, ok := forge.RequestOfCI(e.getenv)
	if !ok {
		return nil, 0, nil
	}
	if r.GitHub {
		token := cmp.Or(e.getenv("REFLINE_GITHUB_TOKEN"), e.getenv("GITHUB_TOKEN"))
		if token == "" {
			return nil, 0, errs.E(errs.Denied, "it needs a token in GITHUB_TOKEN, which forks do not get: env: {GITHUB_TOKEN: ${{ github.token }}}")
		}
		g, err := forge.NewGitHub(forge.GitHubOptions{URL: r.URL, Repository: r.Project, Token: secret.NewString(token)})
		return g, r.Number, err
	}
	token, kind, err := gitlabToken(ctx, e, r.URL)
	if err != nil {
		return nil, 0, err
	}
	g, err := forge.NewGitLab(forge.GitLabOptions{URL: r.URL, Project: r.Project, Token: token, Kind: kind, CAFile: e.getenv("REFLINE_CA_FILE")})
	return g, r.Number, err
}

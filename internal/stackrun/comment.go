package stackrun

import (
	"cmp"
	"context"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
	"refline/internal/stack"
	"refline/internal/variable"
)

// commentPlans puts plans on the merge request of this pipeline, in one comment for
// each environment. If comments are not allowed, as in a fork's pipeline, that is a
// note and not a failure: the plans exist all the same.
func commentPlans(ctx context.Context, p *Place, s *stack.Session, r *stack.Review) error {
	g, number, err := commenter(ctx, p)
	if errs.Is(err, errs.Denied) {
		p.notef("no comment: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if g == nil {
		p.notef("no comment: this pipeline has no merge request")
		return nil
	}
	marker, text, err := r.Comment(s.Config, s.Env.Name)
	if err != nil {
		return err
	}
	err = g.Comment(ctx, number, marker, text)
	if errs.Is(err, errs.Denied) {
		p.notef("no comment: %v", err)
		return nil
	}
	return err
}

// commenter comments on the merge request of this pipeline. It is nil if there is
// none.
func commenter(ctx context.Context, p *Place) (forge.Commenter, int64, error) {
	r, ok := forge.RequestOfCI(p.Getenv)
	if !ok {
		return nil, 0, nil
	}
	if r.GitHub {
		token := cmp.Or(p.Getenv("REFLINE_GITHUB_TOKEN"), p.Getenv("GITHUB_TOKEN"))
		if token == "" {
			return nil, 0, errs.E(errs.Denied, "it needs a token in GITHUB_TOKEN, which forks do not get: env: {GITHUB_TOKEN: ${{ github.token }}}")
		}
		g, err := forge.NewGitHub(forge.GitHubOptions{URL: r.URL, Repository: r.Project, Token: secret.NewString(token)})
		return g, r.Number, err
	}
	token, kind, err := variable.GitLabToken(ctx, p.Getenv, p.Dir, p.Environ(), r.URL)
	if err != nil {
		return nil, 0, err
	}
	g, err := forge.NewGitLab(forge.GitLabOptions{URL: r.URL, Project: r.Project, Token: token, Kind: kind, CAFile: p.Getenv("REFLINE_CA_FILE")})
	return g, r.Number, err
}

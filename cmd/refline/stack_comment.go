package main

import (
	"context"
	"strconv"
	"strings"

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

// commenter finds the merge request in the variables of GitLab CI or GitHub
// Actions. It is nil where there is none.
func commenter(ctx context.Context, e *env) (forge.Commenter, int64, error) {
	if repository := e.getenv("GITHUB_REPOSITORY"); repository != "" {
		number, _, _ := strings.Cut(strings.TrimPrefix(e.getenv("GITHUB_REF"), "refs/pull/"), "/")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, 0, nil //nolint:nilerr // a branch or a tag
		}
		token := firstOf(e.getenv("REFLINE_GITHUB_TOKEN"), e.getenv("GITHUB_TOKEN"))
		if token == "" {
			return nil, 0, errs.E(errs.Denied, "it needs a token in GITHUB_TOKEN, which forks do not get: env: {GITHUB_TOKEN: ${{ github.token }}}")
		}
		g, err := forge.NewGitHub(forge.GitHubOptions{URL: firstOf(e.getenv("GITHUB_API_URL"), "https://api.github.com"),
			Repository: repository, Token: secret.NewString(token)})
		return g, n, err
	}
	number, project := e.getenv("CI_MERGE_REQUEST_IID"), firstOf(e.getenv("CI_MERGE_REQUEST_PROJECT_PATH"), e.getenv("CI_PROJECT_PATH"))
	if number == "" {
		// A branch's pipeline knows the merge requests from the branch.
		first, _, _ := strings.Cut(e.getenv("CI_OPEN_MERGE_REQUESTS"), ",")
		if path, iid, ok := strings.Cut(first, "!"); ok {
			project, number = path, iid
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return nil, 0, nil //nolint:nilerr // no merge request
	}
	base := firstOf(e.getenv("REFLINE_GITLAB_URL"), e.getenv("CI_SERVER_URL"))
	token, kind, err := gitlabToken(ctx, e, base)
	if err != nil {
		return nil, 0, err
	}
	g, err := forge.NewGitLab(forge.GitLabOptions{URL: base, Project: project, Token: token, Kind: kind, CAFile: e.getenv("REFLINE_CA_FILE")})
	return g, n, err
}

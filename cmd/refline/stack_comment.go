package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
	"refline/internal/stack"
)

// commentPlans puts plans on the merge request that this pipeline is for, in
// one comment for each environment.
func commentPlans(ctx context.Context, e *env, environment string, plans []*stack.Plan) error {
	g, number, err := commenter(ctx, e)
	if err != nil {
		return err
	}
	if g == nil {
		e.notef("no comment: this pipeline has no merge request")
		return nil
	}
	marker := "<!-- refline stack plans " + environment + " -->"
	var b strings.Builder
	b.WriteString(marker + "\n")
	for _, p := range plans {
		if err := p.WriteMarkdown(&b); err != nil {
			return err
		}
		b.WriteString("\n")
	}
	return g.Comment(ctx, number, marker, b.String())
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
			return nil, 0, errs.E(errs.Denied, "--comment needs a token in GITHUB_TOKEN: env: {GITHUB_TOKEN: ${{ github.token }}}")
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
		return nil, 0, fmt.Errorf("--comment: %w", err)
	}
	g, err := forge.NewGitLab(forge.GitLabOptions{URL: base, Project: project, Token: token, Kind: kind, CAFile: e.getenv("REFLINE_CA_FILE")})
	return g, n, err
}

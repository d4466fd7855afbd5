package variable

import (
	"context"
	"net/url"
	"strings"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/git"
	"refline/internal/secret"
)

// GitLabToken finds a token for the GitLab at base: in the environment, in git's
// credential helper as of the folder dir, at last that of the job. If there is
// none, the error is errs.Denied.
func GitLabToken(ctx context.Context, getenv func(string) string, dir string, environ []string, base string) (secret.Value, forge.TokenKind, error) {
	for _, name := range []string{"REFLINE_GITLAB_TOKEN", "GITLAB_TOKEN"} {
		if t := getenv(name); t != "" {
			return secret.NewString(t), forge.UserToken, nil
		}
	}
	if t := credential.FromHelper(ctx, dir, environ, base); t.Len() > 0 {
		return t, forge.UserToken, nil
	}
	if t := getenv("CI_JOB_TOKEN"); t != "" {
		return secret.NewString(t), forge.JobToken, nil
	}
	return secret.Value{}, 0, errs.E(errs.Denied, "no token for %s: set REFLINE_GITLAB_TOKEN to one with the scope api, or let git's credential helper know one", base)
}

// Where is what a project of GitLab is looked for with.
type Where struct {
	Dir     string // of a working tree, for its remote
	Getenv  func(string) string
	Environ []string
}

// OpenGitLab returns a project: its URL, or group/project on the GitLab of
// REFLINE_GITLAB_URL, CI_SERVER_URL or the origin remote.
func OpenGitLab(ctx context.Context, w Where, name string) (*forge.GitLab, error) {
	if name == "" {
		return nil, errs.Usage("say which project: --gitlab group/project")
	}
	base, project, err := w.find(ctx, name)
	if err != nil {
		return nil, err
	}
	token, kind, err := GitLabToken(ctx, w.Getenv, w.Dir, w.Environ, base)
	if err != nil {
		return nil, err
	}
	return forge.NewGitLab(forge.GitLabOptions{URL: base, Project: project, Token: token, Kind: kind, CAFile: w.Getenv("REFLINE_CA_FILE")})
}

func (w Where) find(ctx context.Context, name string) (base, project string, err error) {
	if strings.Contains(name, "://") {
		u, err := url.Parse(name)
		if err != nil || u.Host == "" || u.User != nil {
			return "", "", errs.Usage("--gitlab: not the URL of a project")
		}
		return u.Scheme + "://" + u.Host, strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"), nil
	}
	project = strings.TrimSuffix(strings.Trim(name, "/"), ".git")
	for _, from := range []string{"REFLINE_GITLAB_URL", "CI_SERVER_URL"} {
		if base = w.Getenv(from); base != "" {
			return base, project, nil
		}
	}
	if tree, err := git.Open(ctx, w.Dir, w.Environ); err == nil && strings.Contains(tree.RemoteURL, "://") {
		if h, err := credential.ParseHost(tree.RemoteURL); err == nil {
			return "https://" + h.Name, project, nil
		}
	}
	return "", "", errs.Usage("on which GitLab is %s? Give its URL (--gitlab https://gitlab.example.com/%s) or set REFLINE_GITLAB_URL", project, project)
}

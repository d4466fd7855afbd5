package variable

import (
	"context"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/forge"
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

package credential

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"refline/internal/secret"
)

// FromHelper returns the password that the user's git credential helper has for
// the server at a base URL; an empty value if it has none. Nothing asks the
// user.
func FromHelper(ctx context.Context, dir string, environ []string, base string) secret.Value {
	u, err := url.Parse(base)
	if err != nil {
		return secret.Value{}
	}
	cmd := exec.CommandContext(ctx, "git", "-c", "core.askPass=", "credential", "fill")
	cmd.Dir, cmd.Env = dir, append(slices.Clone(environ), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "GCM_INTERACTIVE=never")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("protocol=%s\nhost=%s\n\n", u.Scheme, u.Host))
	out, err := cmd.Output()
	if err != nil {
		return secret.Value{}
	}
	for line := range strings.Lines(string(out)) {
		if password, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "password="); ok {
			return secret.NewString(password)
		}
	}
	return secret.Value{}
}

package forge

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"refline/internal/secret"
)

const (
	// minMasked is the shortest value that GitLab masks.
	minMasked = 8

	// maxGitLabValue is the longest value of a variable on GitLab.
	maxGitLabValue = 10_000
)

// gitlabMaskable is GitLab's rule for the value of a masked variable that is
// expanded (app/models/concerns/ci/maskable.rb).
var gitlabMaskable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\A[a-zA-Z0-9_+=/@:.~-]{8,}\z`)
})

// GitLabMaskable says why GitLab would not mask value, "" if it would. With
// raw, the variable is not expanded, and GitLab takes more characters.
func GitLabMaskable(value string, raw bool) (reason string) {
	switch {
	case strings.ContainsAny(value, "\r\n"):
		return "it has line breaks"
	case strings.ContainsAny(value, " \t\v\f"):
		return "it has white space"
	case len([]rune(value)) < minMasked:
		return fmt.Sprintf("it has %d characters, GitLab wants at least %d", len([]rune(value)), minMasked)
	case raw || gitlabMaskable().MatchString(value):
		return ""
	}
	return "it has characters other than A–Z a–z 0–9 and _ + = / @ : . ~ -; with expansion switched off GitLab takes them"
}

// GitLabRefuses says why GitLab would not take a variable as it is, "" if it
// would.
func GitLabRefuses(x secret.Variable) (reason string) {
	value := x.Value.RevealString()
	if n := len([]rune(value)); n > maxGitLabValue {
		return fmt.Sprintf("GitLab takes at most %d characters, it has %d", maxGitLabValue, n)
	}
	if !x.Masked {
		return ""
	}
	if why := GitLabMaskable(value, x.Raw); why != "" {
		return "GitLab cannot mask it: " + why
	}
	return ""
}

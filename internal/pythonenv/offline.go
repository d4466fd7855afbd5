package pythonenv

import (
	"cmp"
	"regexp"

	"refline/internal/errs"
)

// offline gives the error for a package index that was not reached, nil if the output
// of a tool does not say so. pip's own last line then names a package that it does not
// find, as if there were none.
func offline(what, output string) error {
	said := regexp.MustCompile(`(?i)connection broken by|failed to establish a new connection|name resolution|name or service not known|error sending request|dns error|failed to (?:fetch|connect)|connection refused|network is unreachable|connect ?timeout|read timed out|max retries exceeded|proxyerror`)
	if !said.MatchString(output) {
		return nil
	}
	index := "the package index"
	if m := regexp.MustCompile(`host='([^']+)'|https?://(?:[^/@\s'"]*@)?([^/:\s'")]+)`).FindStringSubmatch(output); m != nil {
		index += " " + cmp.Or(m[1], m[2])
	}
	return errs.E(errs.Unavailable, "%s: %s cannot be reached; a set that was installed before needs no network; another index is named by PIP_INDEX_URL, or UV_INDEX_URL for uv", what, index)
}

package source

import (
	"strings"

	"golang.org/x/mod/semver"
)

// partialVersion is true for "1" and "1.2", which mean the newest version that
// begins so.
func partialVersion(v string) bool {
	return strings.Count(v, ".") < 2 && !strings.HasPrefix(v, "v") && semver.IsValid("v"+v)
}

// newestVersion picks the newest of the tags that are released semantic
// versions (with or without a leading v) and begin with prefix ("" for any); ""
// when there is none.
func newestVersion(tags []string, prefix string) string {
	best, bestVersion := "", ""
	for _, tag := range tags {
		version := "v" + strings.TrimPrefix(tag, "v")
		// Canonical adds what a short version leaves out: only whole ones count.
		if semver.Canonical(version) != version || semver.Prerelease(version) != "" {
			continue
		}
		if prefix != "" && !strings.HasPrefix(version+".", "v"+prefix+".") {
			continue
		}
		if best == "" || semver.Compare(version, bestVersion) > 0 {
			best, bestVersion = tag, version
		}
	}
	return best
}

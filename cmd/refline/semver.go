package main

import (
	"strconv"
	"strings"
)

// partialVersion is true for "1" and "1.2": what stands for the newest version
// that begins so.
func partialVersion(v string) bool {
	parts := strings.Split(v, ".")
	if len(parts) > 2 {
		return false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil {
			return false
		}
	}
	return true
}

// newestVersion picks, of tags that are released semantic versions (with or
// without a leading v), the newest below prefix ("" for any); "" for none.
func newestVersion(tags []string, prefix string) string {
	best, bestParts := "", [3]uint64{}
	for _, tag := range tags {
		parts, ok := releaseVersion(tag)
		if !ok || prefix != "" && !hasVersionPrefix(parts, prefix) {
			continue
		}
		if best == "" || less(bestParts, parts) {
			best, bestParts = tag, parts
		}
	}
	return best
}

func releaseVersion(tag string) (v [3]uint64, ok bool) {
	parts := strings.Split(strings.TrimPrefix(tag, "v"), ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

func hasVersionPrefix(v [3]uint64, prefix string) bool {
	for i, p := range strings.Split(prefix, ".") {
		if strconv.FormatUint(v[i], 10) != p {
			return false
		}
	}
	return true
}

func less(a, b [3]uint64) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

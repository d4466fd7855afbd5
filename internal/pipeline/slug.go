package pipeline

import (
	"crypto/sha256"
	"math/big"
	"strings"
)

// Slug formats text as GitLab does for CI_COMMIT_REF_SLUG, CI_PROJECT_PATH_SLUG
// and similar variables: lower case, a dash for everything but a–z and 0–9, at
// most 63 characters, no dash at either end.
func Slug(text string) string {
	slug := dashed(text)
	if len(slug) > 63 {
		slug = slug[:63]
	}
	return strings.Trim(slug, "-")
}

// EnvironmentSlug formats a name as CI_ENVIRONMENT_SLUG: valid in a DNS name, at
// most 24 characters, starting with a letter. If the name had to change, the slug
// ends with six characters of its hash, so that two environments stay different.
func EnvironmentSlug(name string) string {
	slug := dashed(name)
	if slug == "" || slug[0] < 'a' || slug[0] > 'z' {
		slug = "env-" + slug
	}
	for strings.Contains(slug, "--") {
		slug = strings.ReplaceAll(slug, "--", "-")
	}
	if len(slug) <= 24 && slug == name {
		return strings.TrimSuffix(slug, "-")
	}
	if len(slug) > 17 {
		slug = slug[:17]
	}
	sum := sha256.Sum256([]byte(name))
	digits := new(big.Int).SetBytes(sum[:]).Text(36)
	return strings.TrimSuffix(slug, "-") + "-" + digits[max(0, len(digits)-6):]
}

// dashed returns text in lower case with a dash for each character that is not an
// ASCII letter or digit. The result is ASCII.
func dashed(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
}

package pipeline

import (
	"crypto/sha256"
	"math/big"
	"strings"
)

// Slug is text as GitLab's CI_COMMIT_REF_SLUG, CI_PROJECT_PATH_SLUG and the
// like have it: lower case, everything but a–z and 0–9 a dash, at most 63
// characters, no dash at the ends.
func Slug(text string) string {
	slug := dashed(text)
	if len(slug) > 63 {
		slug = slug[:63]
	}
	return strings.Trim(slug, "-")
}

// EnvironmentSlug is CI_ENVIRONMENT_SLUG: fit for a DNS name of at most 24
// characters that starts with a letter. A name that is changed by that gets six
// characters of its hash, so that two environments do not become one.
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

// dashed puts a dash for each character that is not a letter or a digit of
// ASCII. The result is ASCII only.
func dashed(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
}

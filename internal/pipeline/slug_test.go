package pipeline_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"refline/internal/pipeline"
)

func TestSlug(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"main", "main"},
		{"feature/JIRA-12_Fix", "feature-jira-12-fix"},
		{"v1.2.3", "v1-2-3"},
		{"-a--b-", "a--b"},
		{"Ünïcode/ß", "n-code"},
		{strings.Repeat("a", 70), strings.Repeat("a", 63)},
		{strings.Repeat("a", 62) + "/b", strings.Repeat("a", 62)},
		{"---", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := pipeline.Slug(tt.text); got != tt.want {
			t.Errorf("Slug(%q) is %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestEnvironmentSlug(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{
		{"production", "production"},
		{"staging-1234567890123456", "staging-1234567890123456"},
		{"staging-12345678901234567", "staging-123456789-s729ne"},
		{"review/Feature_1", "review-feature-1-mdfxnb"},
		{"1-a", "env-1-a-8bkzf0"},
		{"prod-", "prod"},
		{"a--b", "a-b-m3ql0o"},
		{"ÄÖ", "env-0bu4t9"},
		{"abcdefghijklmnopq-rstuvwxyz", "abcdefghijklmnopq-t3w9ta"},
		{"", "env-qhkd3p"},
	}
	for _, tt := range tests {
		if got := pipeline.EnvironmentSlug(tt.name); got != tt.want {
			t.Errorf("EnvironmentSlug(%q) is %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSlugsAreFitForHostNames(t *testing.T) {
	t.Parallel()
	ref := regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$`)
	env := regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9/._-]{0,80}`)).Draw(t, "text")
		if s := pipeline.Slug(text); len(s) > 63 || !ref.MatchString(s) {
			t.Fatalf("Slug(%q) is %q", text, s)
		}
		if s := pipeline.EnvironmentSlug(text); len(s) > 24 || !env.MatchString(s) {
			t.Fatalf("EnvironmentSlug(%q) is %q", text, s)
		}
	})
}

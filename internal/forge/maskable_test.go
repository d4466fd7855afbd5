package forge

import (
	"strings"
	"testing"
)

func TestGitLabMaskable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, expanded, raw string }{
		{"abcdefgh", "", ""},
		{"abcdefg", "it has 7 characters", "it has 7 characters"},
		{"aZ09_+=/@:.~-", "", ""},
		{"pa$$word!", "it has characters other than", ""},
		{"pässwörter", "it has characters other than", ""},
		{"two words", "it has white space", "it has white space"},
		{"two\nlines", "it has line breaks", "it has line breaks"},
	} {
		for raw, want := range map[bool]string{false: tt.expanded, true: tt.raw} {
			got := GitLabMaskable(tt.value, raw)
			if want == "" && got != "" || !strings.HasPrefix(got, want) {
				t.Errorf("GitLabMaskable(%q, %v) = %q, want %q", tt.value, raw, got, want)
			}
		}
	}
}

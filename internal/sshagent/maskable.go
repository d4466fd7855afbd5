package sshagent

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// minMasked is the shortest value that GitLab masks.
const minMasked = 8

// gitlabMaskable is GitLab's rule for the value of a masked variable that is
// expanded (app/models/concerns/ci/maskable.rb).
var gitlabMaskable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\A[a-zA-Z0-9_+=/@:.~-]{8,}\z`)
})

// GitLabMaskable says why GitLab would not mask value, "" when it would.
// With raw, the variable is not expanded, and GitLab takes more characters.
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

// ShortLines returns the numbers, from 1, of the body's lines that are too
// short to be masked when each line is a variable.
func (k *KeyFile) ShortLines() []int {
	var out []int
	for i, line := range k.Lines {
		if len(line) < minMasked {
			out = append(out, i+1)
		}
	}
	return out
}

// maxComment is the longest comment that CommentLengths looks at.
const maxComment = 64

// CommentLengths returns the lengths of comments, from 0 to 64, with which the
// last line of this key would be long enough to be masked; nil for formats
// that hold no comment and for encrypted keys, whose comment is hidden.
func (k *KeyFile) CommentLengths() []Range {
	l, ok := layoutOf(k.der)
	if !ok {
		return nil
	}
	var out []Range
	for n := range maxComment + 1 {
		section := (l.comment - l.section + n + 7) / 8 * 8 // OpenSSH pads to blocks of 8
		last := base64.StdEncoding.EncodedLen(l.section+section) % k.width()
		if last != 0 && last < minMasked {
			continue
		}
		if i := len(out) - 1; i >= 0 && out[i].To == n-1 {
			out[i].To = n
		} else {
			out = append(out, Range{n, n})
		}
	}
	return out
}

// Range is a range of lengths, both ends included.
type Range struct{ From, To int }

func (r Range) String() string {
	if r.From == r.To {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d–%d", r.From, r.To)
}

package sshagent

import (
	"encoding/base64"
	"fmt"
)

// minMasked is the length of the shortest value that CI systems mask.
const minMasked = 8

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

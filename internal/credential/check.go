package credential

import (
	"fmt"

	"refline/internal/sshagent"
)

// CheckedKey is what is found out about the text of a key.
type CheckedKey struct {
	File       string   `json:"file"`
	Type       string   `json:"type,omitempty"`
	Format     string   `json:"format"`
	Lines      int      `json:"lines"`
	Passphrase bool     `json:"passphrase"`
	Mended     []string `json:"mended,omitempty"` // what is wrong with the text and can be put right
	Maskable   bool     `json:"maskable"`         // by GitLab, as it is
	Reason     string   `json:"reason,omitempty"`
	OneLine    int      `json:"one_line"`              // characters of the body in one line
	ShortLines []int    `json:"short_lines,omitempty"` // too short to be masked
	Comments   []string `json:"comments,omitempty"`    // lengths of comments that avoid short lines

	Key *sshagent.KeyFile `json:"-"`
}

// CheckKey reads the text of a private key. file names it; reason says why GitLab
// would not mask the text as it is, "" if it would.
func CheckKey(file string, text []byte, reason string) (CheckedKey, error) {
	key, err := sshagent.ReadKeyFile(text)
	if err != nil {
		return CheckedKey{}, fmt.Errorf("%s: %w", file, err)
	}
	c := CheckedKey{
		File: file, Type: key.Type, Format: key.Format, Lines: len(key.Lines), Passphrase: key.Passphrase,
		Mended: key.Mended, OneLine: len(key.OneLine()), ShortLines: key.ShortLines(), Key: key,
		Reason: reason, Maskable: reason == "",
	}
	for _, r := range key.CommentLengths() {
		c.Comments = append(c.Comments, r.String())
	}
	return c, nil
}

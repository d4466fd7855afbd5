package credential

import (
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/secret"
)

// Token logs in to one host over HTTPS.
type Token struct {
	Host string // HOST or HOST:PORT
	User string
	Name string // of the variable or file that it comes from
	Text secret.Value
}

// Tokens are the tokens of a run.
type Tokens []Token

// AddTo adds the tokens to the values that are masked.
func (ts Tokens) AddTo(set *mask.Set) error {
	for _, t := range ts {
		if err := set.Add(t.Name, t.Text.Reveal()); err != nil {
			return errs.E(errs.Invalid, "token for %s: %w", t.Host, err)
		}
	}
	return nil
}

// For returns the token for a repository's URL; nil if there is none.
func (ts Tokens) For(repo string) *Token {
	h, err := ParseHost(repo)
	if err != nil || !strings.HasPrefix(repo, "http") {
		return nil
	}
	rest := repo[strings.Index(repo, "://")+3:]
	host, _, _ := strings.Cut(rest, "/")
	for i, t := range ts {
		if t.Host == h.Name || t.Host == host {
			return &ts[i]
		}
	}
	return nil
}

// WithoutNames returns an environment without the tokens' variables.
func (ts Tokens) WithoutNames(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(ts, func(t Token) bool { return t.Name == name })
	})
}

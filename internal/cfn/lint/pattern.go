package lint

import (
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"
)

// pattern is a regular expression of a schema: Python's syntax, searched for
// anywhere in the text. It is compiled when it is first needed, by Go's engine
// if that can, else by one that backtracks.
type pattern struct {
	text string
	once sync.Once
	fast *regexp.Regexp
	slow *regexp2.Regexp
}

func newPattern(text string) *pattern { return &pattern{text: text} }

// match reports whether p occurs in s. What cannot be decided (no expression,
// or one that takes too long) counts as a match.
func (p *pattern) match(s string) bool {
	p.once.Do(p.compile)
	switch {
	case p.fast != nil:
		return p.fast.MatchString(s)
	case p.slow != nil:
		ok, err := p.slow.MatchString(s)
		return ok || err != nil
	default:
		return true
	}
}

// valid reports whether p is an expression at all.
func (p *pattern) valid() bool {
	p.once.Do(p.compile)
	return p.fast != nil || p.slow != nil
}

func (p *pattern) compile() {
	text := strings.ReplaceAll(p.text, `\Z`, `\z`)
	if !hasLargeRepeat(text) {
		if re, err := regexp.Compile(text); err == nil {
			p.fast = re
			return
		}
	}
	re, err := regexp2.Compile(text, regexp2.None)
	if err != nil {
		// CloudFormation is Java, which has possessive quantifiers: a*+ is a*
		// without a second thought.
		re, err = regexp2.Compile(strings.NewReplacer("}+", "}", "*+", "*", "++", "+", "?+", "?").Replace(text), regexp2.None)
	}
	if err == nil {
		re.MatchTimeout = 200 * time.Millisecond
		p.slow = re
	}
}

// hasLargeRepeat finds {n,m} with three digits: Go's engine writes such a
// repetition out, which costs more than it saves.
func hasLargeRepeat(s string) bool {
	for i := 0; i+4 < len(s); i++ {
		if s[i] != '{' {
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return false
		}
		digits := 0
		for _, c := range s[i+1 : i+end] {
			if c >= '0' && c <= '9' {
				digits++
			} else {
				digits = 0
			}
			if digits >= 3 {
				return true
			}
		}
	}
	return false
}

package expr

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// pattern is a regular expression in RE2's syntax, which Go's regexp speaks.
type pattern struct{ re *regexp.Regexp }

func (p *pattern) match(text string) bool { return p.re.MatchString(text) }

var errNotPattern = errors.New("not of the form /…/")

// compilePattern compiles /…/flags, in which \/ means /. As in GitLab, the pattern
// may be one line of several.
func compilePattern(text string) (*pattern, error) {
	text = strings.ReplaceAll(text, `\/`, `/`)
	for line := range strings.SplitSeq(text, "\n") {
		if body, flags, ok := cutPattern(line); ok {
			if flags != "" {
				body = "(?" + flags + ")" + body
			}
			re, err := regexp.Compile(body)
			if err != nil {
				return nil, err
			}
			return &pattern{re}, nil
		}
	}
	return nil, errNotPattern
}

// cutPattern splits a line /body/flags; body may be empty and hold slashes.
func cutPattern(line string) (body, flags string, ok bool) {
	last := strings.LastIndexByte(line, '/')
	if last < 1 || line[0] != '/' || strings.Trim(line[last+1:], "ismU") != "" {
		return "", "", false
	}
	return line[1:last], line[last+1:], true
}

// compiled is the pattern of a text on the right side, nil when the text is not a
// pattern.
type compiled struct {
	text    string
	pattern *pattern
}

// patternOf compiles the text of a variable or string. It keeps the last result,
// which is usually the same for each job.
func (n *match) patternOf(text string) *pattern {
	if last := n.last.Load(); last != nil && last.text == text {
		return last.pattern
	}
	p, err := compilePattern(text)
	if err != nil {
		p = nil
	}
	n.last.Store(&compiled{text, p})
	return p
}

// reason is the part of a regexp error for people.
func reason(err error) string {
	var e *syntax.Error
	if errors.As(err, &e) {
		return strings.TrimPrefix(string(e.Code), "invalid or unsupported ") + " in " + e.Expr
	}
	return err.Error()
}

func lookaroundHint(text string) string {
	for _, s := range []string{"(?!", "(?=", "(?<!", "(?<="} {
		if strings.Contains(text, s) {
			return "RE2 has no look-ahead and look-behind; use a second condition with !~"
		}
	}
	return "the syntax is RE2's"
}

// Pattern compiles /…/flags outside of an expression, such as in refs of only:, and
// returns its test. ok is false when text does not have that form. The error means
// that it has and the regular expression is invalid.
func Pattern(text string) (match func(string) bool, ok bool, err error) {
	p, err := compilePattern(text)
	if errors.Is(err, errNotPattern) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, errors.New(reason(err))
	}
	return p.match, true, nil
}

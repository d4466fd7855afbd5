package gitlabci

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"

	"refline/internal/errs"
)

// maxPathRegexp is how many characters regexp: of a rule may have, as written
// and with its variables replaced.
const maxPathRegexp = 255

// maxPathMatch ends the matching of one path against an expression that goes
// back and forth without end.
const maxPathMatch = 2 * time.Second

// pathRegexp is regexp: of changes or exists. Other than in if, GitLab reads it
// as Ruby does, without slashes around it: ^ and $ are the ends of a line, and
// look-ahead is allowed.
type pathRegexp struct {
	linear *regexp.Regexp  // where it can be
	ruby   *regexp2.Regexp // else
}

const multiline = "(?m)"

func compilePathRegexp(text string) (pathRegexp, error) {
	if n := utf8.RuneCountInString(text); n > maxPathRegexp {
		return pathRegexp{}, errs.E(errs.Invalid, "the regular expression may have at most %d characters, not %d", maxPathRegexp, n)
	}
	linear, err := regexp.Compile(multiline + text)
	if err == nil {
		return pathRegexp{linear: linear}, nil
	}
	var fault *syntax.Error
	if errors.As(err, &fault) && fault.Code != syntax.ErrInvalidRepeatSize {
		if ruby, err := regexp2.Compile(text, regexp2.Multiline); err == nil {
			ruby.MatchTimeout = maxPathMatch
			return pathRegexp{ruby: ruby}, nil
		}
	}
	if fault != nil {
		return pathRegexp{}, errs.E(errs.Invalid, "the regular expression cannot be read: %s in %s",
			fault.Code, strings.TrimPrefix(fault.Expr, multiline))
	}
	return pathRegexp{}, errs.E(errs.Invalid, "the regular expression cannot be read: %w", err)
}

// find returns the first path that matches, "" for none.
func (p pathRegexp) find(paths []string) (string, error) {
	if p.linear != nil {
		if i := slices.IndexFunc(paths, p.linear.MatchString); i >= 0 {
			return paths[i], nil
		}
		return "", nil
	}
	for _, path := range paths {
		matched, err := p.ruby.MatchString(path)
		if err != nil {
			return "", errs.E(errs.Invalid, "the regular expression takes too long to match %q", path)
		}
		if matched {
			return path, nil
		}
	}
	return "", nil
}

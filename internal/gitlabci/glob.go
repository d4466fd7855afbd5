package gitlabci

import (
	"strings"
	"unicode/utf8"
)

// maxBraces bounds how many patterns the braces of one pattern expand to.
const maxBraces = 1024

// glob matches paths as Ruby's File.fnmatch does with FNM_PATHNAME,
// FNM_DOTMATCH and FNM_EXTGLOB: * and ? do not cross a slash, **/ matches any
// number of folders, [a-z] and [!a-z] match one character, {a,b} matches either.
// A ** without a slash after it is a plain *.
type glob struct{ alternatives [][]string }

func compileGlob(pattern string) glob {
	var g glob
	for _, p := range unfoldBraces(pattern, nil) {
		g.alternatives = append(g.alternatives, strings.Split(p, "/"))
	}
	return g
}

func (g glob) match(path string) bool {
	segments := strings.Split(path, "/")
	for _, a := range g.alternatives {
		if matchSegments(a, segments) {
			return true
		}
	}
	return false
}

// matchSegments backtracks only to the last **. That is enough: the last one can
// match whatever an earlier one gives up.
func matchSegments(pattern, path []string) bool {
	retryPattern, retryPath := []string(nil), []string(nil)
	again := false
	for {
		for len(pattern) > 1 && pattern[0] == "**" {
			pattern = pattern[1:]
			retryPattern, retryPath, again = pattern, path, true
		}
		switch {
		case len(pattern) == 0 && len(path) == 0:
			return true
		case len(pattern) > 0 && len(path) > 0 && matchSegment(pattern[0], path[0]):
			pattern, path = pattern[1:], path[1:]
			continue
		}
		if !again || len(retryPath) < 2 {
			return false
		}
		retryPath = retryPath[1:]
		pattern, path = retryPattern, retryPath
	}
}

// matchSegment matches the part between two slashes.
func matchSegment(p, s string) bool {
	star, from := -1, 0
	i, j := 0, 0
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			for i < len(p) && p[i] == '*' {
				i++
			}
			star, from = i, j
			continue
		}
		if n, ok := matchOne(p[i:], s[j:]); ok {
			_, size := utf8.DecodeRuneInString(s[j:])
			i, j = i+n, j+size
			continue
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[from:])
		from += size
		i, j = star, from
	}
	return strings.Trim(p[i:], "*") == ""
}

// matchOne matches the first character of s and returns how many bytes of p it used.
func matchOne(p, s string) (n int, ok bool) {
	if p == "" {
		return 0, false
	}
	want, size := utf8.DecodeRuneInString(p)
	got, _ := utf8.DecodeRuneInString(s)
	switch want {
	case '?':
		return 1, true
	case '[':
		return matchSet(p, got)
	case '\\':
		if len(p) > 1 {
			want, size = utf8.DecodeRuneInString(p[1:])
			return 1 + size, want == got
		}
	}
	return size, want == got
}

// matchSet matches [abc], [a-z], [^a] and [!a]. An unclosed set matches nothing.
func matchSet(p string, got rune) (n int, ok bool) {
	i := 1
	not := i < len(p) && (p[i] == '!' || p[i] == '^')
	if not {
		i++
	}
	next := func() (rune, bool) {
		if i < len(p) && p[i] == '\\' {
			i++
		}
		if i >= len(p) {
			return 0, false
		}
		r, size := utf8.DecodeRuneInString(p[i:])
		i += size
		return r, true
	}
	found := false
	for i < len(p) && p[i] != ']' {
		low, ok := next()
		if !ok {
			return 0, false
		}
		high := low
		if i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			i++
			if high, ok = next(); !ok {
				return 0, false
			}
		}
		found = found || low <= got && got <= high
	}
	if i >= len(p) {
		return 0, false
	}
	return i + 1, found != not
}

// unfoldBraces appends to out the patterns that the leftmost braces expand to,
// with the braces in those expanded too.
func unfoldBraces(pattern string, out []string) []string {
	open, end := -1, -1
	depth := 0
	var commas []int
scan:
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '{':
			if depth++; depth == 1 {
				open = i
			}
		case ',':
			if depth == 1 {
				commas = append(commas, i)
			}
		case '}':
			if depth == 0 {
				continue
			}
			if depth--; depth == 0 {
				end = i
				break scan
			}
		}
	}
	if end < 0 || len(out) >= maxBraces {
		return append(out, pattern)
	}
	start := open + 1
	for _, comma := range append(commas, end) {
		out = unfoldBraces(pattern[:open]+pattern[start:comma]+pattern[end+1:], out)
		start = comma + 1
	}
	return out
}

// exact reports whether a pattern has no special character.
func exact(pattern string) bool { return !strings.ContainsAny(pattern, "*?[{") }

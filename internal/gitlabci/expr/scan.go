package expr

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxTokens is where GitLab stops reading an expression.
const maxTokens = 100

type tokenKind uint8

const (
	tokenOpen tokenKind = iota + 1
	tokenClose
	tokenVariable // text is the name
	tokenInput    // text is the name after "inputs."
	tokenString   // text is the part between the quotes
	tokenPattern  // text is /…/flags as written
	tokenNull
	tokenTrue
	tokenFalse
	tokenEqual
	tokenNotEqual
	tokenMatch
	tokenNotMatch
	tokenAnd
	tokenOr
	tokenNot
)

type token struct {
	kind       tokenKind
	text       string
	start, end int // bytes of the expression
}

// scan cuts text into tokens.
func scan(text string) ([]token, *SyntaxError) {
	tokens := make([]token, 0, 8)
	for i := 0; i < len(text); {
		if isSpace(text[i]) {
			i++
			continue
		}
		t, fault := next(text, i)
		if fault != nil {
			return nil, fault
		}
		if tokens = append(tokens, t); len(tokens) >= maxTokens {
			return nil, at(text, i, len(text), "an expression must have fewer than "+
				strconv.Itoa(maxTokens)+" parts", "split it into several rules")
		}
		i = t.end
	}
	return tokens, nil
}

// next reads the token that begins at byte i.
func next(text string, i int) (token, *SyntaxError) {
	rest := text[i:]
	switch c := rest[0]; c {
	case '(':
		return token{kind: tokenOpen, start: i, end: i + 1}, nil
	case ')':
		return token{kind: tokenClose, start: i, end: i + 1}, nil
	case '"', '\'':
		return scanString(text, i)
	case '/':
		return scanPattern(text, i)
	case '$':
		return scanDollar(text, i)
	}
	for _, fixed := range fixedTokens {
		if strings.HasPrefix(rest, fixed.text) {
			return token{kind: fixed.kind, start: i, end: i + len(fixed.text)}, nil
		}
	}
	return token{}, unknown(text, i)
}

// fixedTokens is in the order they are tried: "!=" before "!".
var fixedTokens = [...]struct {
	text string
	kind tokenKind
}{
	{"null", tokenNull}, {"true", tokenTrue}, {"false", tokenFalse},
	{"==", tokenEqual}, {"!=", tokenNotEqual}, {"=~", tokenMatch}, {"!~", tokenNotMatch},
	{"&&", tokenAnd}, {"||", tokenOr}, {"!", tokenNot},
}

func scanDollar(text string, i int) (token, *SyntaxError) {
	end := i + 1
	for end < len(text) && isWord(text[end]) {
		end++
	}
	if end > i+1 {
		return token{kind: tokenVariable, text: text[i+1 : end], start: i, end: end}, nil
	}
	rest := text[i+1:]
	if strings.HasPrefix(rest, "[[") {
		if name, width, ok := inputName(rest); ok {
			return token{kind: tokenInput, text: name, start: i, end: i + 1 + width}, nil
		}
		return token{}, at(text, i, i+3, "$[[ ]] may only hold inputs.NAME here", "")
	}
	if strings.HasPrefix(rest, "{") {
		hint := ""
		if name, _, ok := strings.Cut(rest[1:], "}"); ok && name != "" {
			hint = "write $" + name
		}
		return token{}, at(text, i, i+2, "${…} is not allowed in an expression", hint)
	}
	return token{}, at(text, i, i+1, "a variable's name must follow $", "")
}

// inputName reads "[[ inputs.NAME ]]" and returns the name and the bytes read.
func inputName(s string) (name string, width int, ok bool) {
	inner, _, ok := strings.Cut(s[2:], "]]")
	if !ok {
		return "", 0, false
	}
	name, ok = strings.CutPrefix(strings.Trim(inner, " \t"), "inputs.")
	if !ok || name == "" {
		return "", 0, false
	}
	for j := range len(name) {
		if !isWord(name[j]) && name[j] != '-' {
			return "", 0, false
		}
	}
	return name, len(inner) + 4, true
}

// scanString reads a quoted string; there are no escapes and no line breaks.
func scanString(text string, i int) (token, *SyntaxError) {
	for j := i + 1; j < len(text) && text[j] != '\n'; j++ {
		if text[j] == text[i] {
			return token{kind: tokenString, text: text[i+1 : j], start: i, end: j + 1}, nil
		}
	}
	return token{}, at(text, i, len(text), "this string has no closing "+string(text[i]), "")
}

// scanPattern reads /…/flags. A slash ends it unless a backslash comes before it. Of
// two adjacent slashes, the first is part of the pattern.
func scanPattern(text string, i int) (token, *SyntaxError) {
	for j := i + 1; j < len(text); j++ {
		if text[j] != '/' || (j > i+1 && text[j-1] == '\\') {
			continue
		}
		if j > i+1 && j+1 < len(text) && text[j+1] == '/' {
			j++
		}
		if j-i-1 < 2 {
			return token{}, at(text, i, j+1, "a regular expression must have at least two characters",
				"compare with == instead, or write "+text[i:j]+"{1}/")
		}
		end := j + 1
		for end < len(text) && strings.IndexByte("ismU", text[end]) >= 0 {
			end++
		}
		return token{kind: tokenPattern, text: text[i:end], start: i, end: end}, nil
	}
	return token{}, at(text, i, len(text), "this regular expression has no closing /", "")
}

// unknown explains common mistakes that are not part of the language.
func unknown(text string, i int) *SyntaxError {
	rest := text[i:]
	end := i
	for end < len(text) && !isSpace(text[end]) && text[end] != '(' && text[end] != ')' {
		end++
	}
	word := text[i:end]
	hint := ""
	switch {
	case rest[0] == '&':
		hint = `"and" is written &&`
	case rest[0] == '|':
		hint = `"or" is written ||`
	case rest[0] == '=':
		hint = "use == to compare, =~ to match"
	case rest[0] == '<' || rest[0] == '>':
		hint = "there is no order of values; match with =~"
	case strings.EqualFold(word, "and"):
		hint = "write &&"
	case strings.EqualFold(word, "or"):
		hint = "write ||"
	case strings.EqualFold(word, "not"):
		hint = "write !"
	case strings.EqualFold(word, "nil"), strings.EqualFold(word, "undefined"):
		hint = "write null"
	case isWord(rest[0]):
		hint = "a variable is written $" + strings.TrimRight(word, "=~!&|\"'/") + ", a string in quotes"
	}
	return at(text, i, end, strconv.Quote(word)+" is not part of the language of rules", hint)
}

// at makes an error about the bytes from start to end.
func at(text string, start, end int, message, hint string) *SyntaxError {
	end = min(max(end, start+1), max(len(text), start))
	return &SyntaxError{
		Column:  utf8.RuneCountInString(text[:start]) + 1,
		Width:   max(1, utf8.RuneCountInString(text[start:end])),
		Message: message, Hint: hint,
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// Package jobexpr evaluates the expressions of ${{ }}, which a runner replaces
// for one job and which read the values of the job's inputs. GitLab calls the
// language Moa.
//
// It promises the semantics that GitLab documents, and errors that name the
// character. It does not know where values come from or what a job is.
package jobexpr

import (
	"strings"
	"unicode/utf8"

	"refline/internal/errs"
)

// Values of expressions are nil, bool, float64, string, []any and
// map[string]any. A Scope has those that an expression may name.
type Scope map[string]any

// Expand replaces each ${{ }} in text by the value of the expression in it.
// \${{ means ${{ itself. Errors are Invalid and come without a text.
func Expand(text string, scope Scope) (string, error) {
	if !strings.Contains(text, opening) {
		return text, nil
	}
	p := parser{text: text}
	template, err := p.template(false)
	if err != nil {
		return "", err
	}
	v, err := template(scope)
	if err != nil {
		return "", err
	}
	return toText(v), nil
}

const (
	opening = "${{"
	closing = "}}"
)

// node is a parsed part of an expression.
type node func(Scope) (any, error)

// faultAt is an error about the byte at of text.
func faultAt(text string, at int, format string, args ...any) error {
	at = min(at, len(text))
	return errs.E(errs.Invalid, format+" at character %d", append(args, utf8.RuneCountInString(text[:at])+1)...)
}

// template reads text with expressions in it: all that is left, or, in a string
// of double quotes, up to the closing one.
func (p *parser) template(quoted bool) (node, error) {
	var parts []node
	var b strings.Builder
	constant := func() {
		if b.Len() > 0 {
			text := b.String()
			parts = append(parts, func(Scope) (any, error) { return text, nil })
			b.Reset()
		}
	}
	for {
		rest := p.text[p.pos:]
		switch {
		case rest == "" && quoted:
			return nil, faultAt(p.text, p.pos, "a string has no closing \"")
		case rest == "":
			constant()
			return joined(parts), nil
		case quoted && rest[0] == '"':
			p.pos++
			constant()
			return joined(parts), nil
		case strings.HasPrefix(rest, `\`+opening):
			b.WriteString(opening)
			p.pos += len(opening) + 1
		case quoted && rest[0] == '\\':
			r, err := p.escape()
			if err != nil {
				return nil, err
			}
			b.WriteRune(r)
		case strings.HasPrefix(rest, opening):
			constant()
			n, err := p.block()
			if err != nil {
				return nil, err
			}
			parts = append(parts, n)
		default:
			b.WriteByte(rest[0])
			p.pos++
		}
	}
}

// joined is the text of all parts, or the value of the only one.
func joined(parts []node) node {
	if len(parts) == 1 {
		return parts[0]
	}
	return func(s Scope) (any, error) {
		var b strings.Builder
		for _, part := range parts {
			v, err := part(s)
			if err != nil {
				return nil, err
			}
			b.WriteString(toText(v))
		}
		return b.String(), nil
	}
}

// block reads ${{ expression }}.
func (p *parser) block() (node, error) {
	start := p.pos
	p.pos += len(opening)
	n, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if !strings.HasPrefix(p.text[p.pos:], closing) {
		if p.pos == len(p.text) {
			return nil, faultAt(p.text, start, "${{ has no closing }}")
		}
		return nil, faultAt(p.text, p.pos, "an operator is missing")
	}
	p.pos += len(closing)
	return n, nil
}

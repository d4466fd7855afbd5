// Package expr is the language of rules:if, only:variables and the conditions
// of includes and inputs: comparisons of variables, strings and regular
// expressions, joined by && and ||.
//
// It promises GitLab's semantics, including Ruby's truth values, and errors with a
// column. An [Expr] is compiled once and is safe for concurrent use. The package
// does not know where variables come from.
package expr

import (
	"strings"

	"refline/internal/errs"
)

// Scope provides the values that an expression may use. A nil function has none.
type Scope struct {
	// Variable returns the value of $NAME and whether it is defined.
	Variable func(name string) (string, bool)
	// Input returns the value of $[[ inputs.NAME ]]: a string, bool, float64 or
	// anything else, which then equals nothing.
	Input func(name string) (any, bool)
}

// Expr is a compiled expression.
type Expr struct {
	text   string
	tokens []token
	root   node
}

// SyntaxError is a mistake in an expression and its place in the text.
type SyntaxError struct {
	Column  int // in characters, from 1
	Width   int // in characters, at least 1
	Message string
	Hint    string // what to do about it; may be empty
}

func (e *SyntaxError) Error() string { return e.Message }

// Parse compiles text. An error is of kind Invalid and holds a *[SyntaxError].
func Parse(text string) (*Expr, error) {
	tokens, fault := scan(text)
	if fault == nil {
		p := parser{text: text, tokens: tokens}
		var root node
		if root, fault = p.parse(); fault == nil {
			return &Expr{text: text, tokens: tokens, root: root}, nil
		}
	}
	return nil, errs.E(errs.Invalid, "%w", fault)
}

// String returns the text as it was written.
func (e *Expr) String() string { return e.text }

// True reports whether the expression holds: its value is true, a regular
// expression, a number, or a string that is not blank.
func (e *Expr) True(s Scope) bool { return e.root.eval(&s).present() }

// Show returns the text with each variable and input replaced by what show
// returns for it, as `"main" == "main"` for `$CI_COMMIT_BRANCH == "main"`. An
// input is shown by the name "inputs.NAME".
func (e *Expr) Show(show func(name string) string) string {
	var b strings.Builder
	last := 0
	for _, t := range e.tokens {
		name := t.text
		switch t.kind {
		case tokenVariable:
		case tokenInput:
			name = "inputs." + name
		default:
			continue
		}
		b.WriteString(e.text[last:t.start])
		b.WriteString(show(name))
		last = t.end
	}
	b.WriteString(e.text[last:])
	return b.String()
}

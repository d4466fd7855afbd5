package expr

import (
	"strings"
	"sync/atomic"
)

type valueKind uint8

const (
	isNull valueKind = iota
	isBool
	isNumber
	isString
	isPattern
	isOther
)

// value is what a part of an expression evaluates to. The zero value is null.
type value struct {
	kind    valueKind
	truth   bool
	number  float64
	text    string // of a string; of a pattern as written
	pattern *pattern
}

func boolean(b bool) value { return value{kind: isBool, truth: b} }

// truthy follows Ruby: only null and false are falsy, so "" is truthy.
func (v value) truthy() bool { return v.kind != isNull && (v.kind != isBool || v.truth) }

// present is the test of the final value: truthy and not blank.
func (v value) present() bool {
	return v.truthy() && (v.kind != isString || strings.TrimSpace(v.text) != "")
}

func (v value) equal(w value) bool {
	if v.kind != w.kind {
		return false
	}
	switch v.kind {
	case isNull:
		return true
	case isBool:
		return v.truth == w.truth
	case isNumber:
		return v.number == w.number
	case isString, isPattern:
		return v.text == w.text
	default:
		return false
	}
}

// node is a part of a compiled expression.
type node interface{ eval(s *Scope) value }

type (
	variable string
	input    string
	constant struct{ value }
	negation struct{ operand node }
	logical  struct {
		and         bool
		left, right node
	}
	equality struct {
		not         bool
		left, right node
	}
	match struct {
		not         bool
		left, right node
		last        atomic.Pointer[compiled]
	}
)

func (n variable) eval(s *Scope) value {
	if s.Variable != nil {
		if text, ok := s.Variable(string(n)); ok {
			return value{kind: isString, text: text}
		}
	}
	return value{}
}

func (n input) eval(s *Scope) value {
	if s.Input == nil {
		return value{}
	}
	data, ok := s.Input(string(n))
	if !ok {
		return value{}
	}
	switch x := data.(type) {
	case nil:
		return value{}
	case bool:
		return boolean(x)
	case string:
		return value{kind: isString, text: x}
	case int:
		return value{kind: isNumber, number: float64(x)}
	case float64:
		return value{kind: isNumber, number: x}
	default:
		return value{kind: isOther}
	}
}

func (n *constant) eval(*Scope) value { return n.value }

func (n *negation) eval(s *Scope) value { return boolean(!n.operand.eval(s).present()) }

// eval returns the value of a side and not a boolean: `$EMPTY || $X` is "".
func (n *logical) eval(s *Scope) value {
	if left := n.left.eval(s); left.truthy() != n.and {
		return left
	}
	return n.right.eval(s)
}

func (n *equality) eval(s *Scope) value {
	return boolean(n.left.eval(s).equal(n.right.eval(s)) != n.not)
}

// eval matches the left side against the right. A string on the right is parsed as
// /…/. If it is not a pattern, the test is whether it contains the left side.
func (n *match) eval(s *Scope) value {
	right := n.right.eval(s)
	if !right.truthy() {
		return boolean(n.not)
	}
	text := n.left.eval(s).text
	var found bool
	switch right.kind {
	case isPattern:
		found = right.pattern.match(text)
	case isString:
		if p := n.patternOf(right.text); p != nil {
			found = p.match(text)
		} else {
			found = strings.Contains(right.text, text)
		}
	}
	return boolean(found != n.not)
}

package expr

// maxDepth bounds nesting; maxTokens keeps real expressions far below it.
const maxDepth = maxTokens

// parser reads tokens by recursive descent: ! binds tightest, then the
// comparisons, then &&, then ||; all from left to right.
type parser struct {
	text   string
	tokens []token
	pos    int
	depth  int
}

func (p *parser) parse() (node, *SyntaxError) {
	if len(p.tokens) == 0 {
		return nil, at(p.text, 0, 0, "the expression is empty", "")
	}
	n, fault := p.or()
	if fault != nil {
		return nil, fault
	}
	if p.pos < len(p.tokens) {
		t := p.tokens[p.pos]
		if t.kind == tokenClose {
			return nil, p.fault(t, "this ) closes nothing", "")
		}
		return nil, p.fault(t, "an operator is missing before this", "join conditions with && or ||")
	}
	return n, nil
}

func (p *parser) fault(t token, message, hint string) *SyntaxError {
	return at(p.text, t.start, t.end, message, hint)
}

// take consumes the next token if it is one of kinds.
func (p *parser) take(kinds ...tokenKind) (token, bool) {
	if p.pos < len(p.tokens) {
		for _, k := range kinds {
			if t := p.tokens[p.pos]; t.kind == k {
				p.pos++
				return t, true
			}
		}
	}
	return token{}, false
}

func (p *parser) or() (node, *SyntaxError) {
	left, fault := p.and()
	for fault == nil {
		if _, ok := p.take(tokenOr); !ok {
			return left, nil
		}
		var right node
		if right, fault = p.and(); fault == nil {
			left = &logical{left: left, right: right}
		}
	}
	return nil, fault
}

func (p *parser) and() (node, *SyntaxError) {
	left, fault := p.comparison()
	for fault == nil {
		if _, ok := p.take(tokenAnd); !ok {
			return left, nil
		}
		var right node
		if right, fault = p.comparison(); fault == nil {
			left = &logical{and: true, left: left, right: right}
		}
	}
	return nil, fault
}

func (p *parser) comparison() (node, *SyntaxError) {
	left, fault := p.unary()
	for fault == nil {
		t, ok := p.take(tokenEqual, tokenNotEqual, tokenMatch, tokenNotMatch)
		if !ok {
			return left, nil
		}
		var right node
		if right, fault = p.unary(); fault == nil {
			switch t.kind {
			case tokenEqual, tokenNotEqual:
				left = &equality{not: t.kind == tokenNotEqual, left: left, right: right}
			default:
				left = &match{not: t.kind == tokenNotMatch, left: left, right: right}
			}
		}
	}
	return nil, fault
}

func (p *parser) unary() (node, *SyntaxError) {
	if p.depth++; p.depth > maxDepth {
		return nil, at(p.text, 0, len(p.text), "the expression is nested too deeply", "")
	}
	defer func() { p.depth-- }()
	if _, ok := p.take(tokenNot); ok {
		n, fault := p.unary()
		if fault != nil {
			return nil, fault
		}
		return &negation{n}, nil
	}
	return p.value()
}

func (p *parser) value() (node, *SyntaxError) {
	if p.pos == len(p.tokens) {
		return nil, at(p.text, len(p.text), len(p.text), "a value is missing at the end", "")
	}
	t := p.tokens[p.pos]
	p.pos++
	switch t.kind {
	case tokenVariable:
		return variable(t.text), nil
	case tokenInput:
		return input(t.text), nil
	case tokenString:
		return &constant{value{kind: isString, text: t.text}}, nil
	case tokenNull:
		return &constant{}, nil
	case tokenTrue, tokenFalse:
		return &constant{boolean(t.kind == tokenTrue)}, nil
	case tokenPattern:
		re, err := compilePattern(t.text)
		if err != nil {
			return nil, p.fault(t, "this regular expression cannot be read: "+reason(err), lookaroundHint(t.text))
		}
		return &constant{value{kind: isPattern, text: t.text, pattern: re}}, nil
	case tokenOpen:
		n, fault := p.or()
		if fault != nil {
			return nil, fault
		}
		if _, ok := p.take(tokenClose); !ok {
			return nil, p.fault(t, "this ( is not closed", "")
		}
		return n, nil
	default:
		return nil, p.fault(t, "a value is missing before this", "")
	}
}

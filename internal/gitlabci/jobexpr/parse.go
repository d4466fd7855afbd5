package jobexpr

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep expressions nest.
const maxDepth = 100

// parser reads a text from left to right.
type parser struct {
	text  string
	pos   int
	depth int
}

func (p *parser) space() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

// take consumes s, white space before it included.
func (p *parser) take(s string) bool {
	p.space()
	if !strings.HasPrefix(p.text[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

func (p *parser) fault(format string, args ...any) error {
	return faultAt(p.text, p.pos, format, args...)
}

// operators by precedence, the weakest first; of those that begin alike the
// longer comes first.
var operators = [...][]string{
	{"||"}, {"&&"}, {"==", "!=", "<=", ">=", "<", ">"}, {"+", "-"}, {"*", "/", "%"},
}

// expression reads operators of a level and all that bind tighter.
func (p *parser) expression(level int) (node, error) {
	if level == len(operators) {
		return p.unary()
	}
	left, err := p.expression(level + 1)
	for err == nil {
		p.space()
		at := p.pos
		i := slices.IndexFunc(operators[level], p.take)
		if i < 0 {
			return left, nil
		}
		var right node
		if right, err = p.expression(level + 1); err == nil {
			left = p.binary(operators[level][i], at, left, right)
		}
	}
	return nil, err
}

func (p *parser) binary(op string, at int, left, right node) node {
	text := p.text
	return func(s Scope) (any, error) {
		a, err := left(s)
		if err != nil || op == "||" && truthy(a) || op == "&&" && !truthy(a) {
			return a, err
		}
		b, err := right(s)
		if err != nil || op == "||" || op == "&&" {
			return b, err
		}
		v, problem := apply(op, a, b)
		if problem != "" {
			return nil, faultAt(text, at, "%s", problem)
		}
		return v, nil
	}
}

func (p *parser) unary() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fault("the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	p.space()
	at := p.pos
	for _, op := range []string{"!", "-", "+"} {
		if !p.take(op) {
			continue
		}
		operand, err := p.unary()
		if err != nil {
			return nil, err
		}
		text := p.text
		return func(s Scope) (any, error) {
			v, err := operand(s)
			if err != nil {
				return nil, err
			}
			number, ok := v.(float64)
			switch {
			case op == "!":
				return !truthy(v), nil
			case !ok:
				return nil, faultAt(text, at, "%s takes a number, not %s", op, kindOf(v))
			case op == "-":
				return -number, nil
			}
			return number, nil
		}, nil
	}
	return p.postfix()
}

// postfix reads a value and the properties of it that are asked for.
func (p *parser) postfix() (node, error) {
	n, err := p.primary()
	for err == nil {
		p.space()
		at := p.pos
		switch {
		case p.take("."):
			p.space()
			name := p.name()
			if name == "" {
				return nil, p.fault("a name must follow the dot")
			}
			n = p.property(at, n, func(Scope) (any, error) { return name, nil })
		case p.take("["):
			var key node
			if key, err = p.expression(0); err == nil && !p.take("]") {
				err = p.fault("] is missing")
			}
			n = p.property(at, n, key)
		default:
			return n, nil
		}
	}
	return nil, err
}

func (p *parser) property(at int, of, key node) node {
	text := p.text
	return func(s Scope) (any, error) {
		v, err := of(s)
		if err != nil {
			return nil, err
		}
		k, err := key(s)
		if err != nil {
			return nil, err
		}
		switch container := v.(type) {
		case map[string]any:
			if name, ok := k.(string); ok {
				if value, there := container[name]; there {
					return value, nil
				}
				return nil, faultAt(text, at, "there is no %q", name)
			}
		case []any:
			if i, ok := k.(float64); ok && i == float64(int(i)) {
				if i < 0 || int(i) >= len(container) {
					return nil, faultAt(text, at, "[%d] is past the end of a list of %d", int(i), len(container))
				}
				return container[int(i)], nil
			}
		}
		return nil, faultAt(text, at, "%s has no property %s", kindOf(v), toText(k))
	}
}

func (p *parser) name() string {
	start := p.pos
	for p.pos < len(p.text) && isWord(p.text[p.pos], p.pos > start) {
		p.pos++
	}
	return p.text[start:p.pos]
}

func isWord(c byte, digits bool) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || digits && c >= '0' && c <= '9'
}

func (p *parser) primary() (node, error) {
	p.space()
	if p.pos == len(p.text) {
		return nil, p.fault("a value is missing")
	}
	switch c := p.text[p.pos]; {
	case c == '"':
		p.pos++
		n, err := p.template(true)
		if err != nil {
			return nil, err
		}
		return func(s Scope) (any, error) { v, err := n(s); return toText(v), err }, nil
	case c == '\'':
		return p.raw()
	case c >= '0' && c <= '9' || c == '.':
		return p.number()
	case p.take("("):
		n, err := p.expression(0)
		if err == nil && !p.take(")") {
			err = p.fault(") is missing")
		}
		return n, err
	case p.take("["):
		return p.list()
	case p.take("{"):
		return p.object()
	case isWord(c, false):
		return p.word()
	}
	return nil, p.fault("a value is missing")
}

// raw reads a string of single quotes.
func (p *parser) raw() (node, error) {
	start := p.pos
	var b strings.Builder
	for p.pos++; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		switch {
		case c == '\'':
			p.pos++
			text := b.String()
			return func(Scope) (any, error) { return text, nil }, nil
		case c == '\\' && p.pos+1 < len(p.text) && strings.IndexByte(`\'`, p.text[p.pos+1]) >= 0:
			p.pos++
			c = p.text[p.pos]
		}
		b.WriteByte(c)
	}
	return nil, faultAt(p.text, start, "a string has no closing '")
}

// escape reads what a backslash begins in a string of double quotes.
func (p *parser) escape() (rune, error) {
	const letters, meant = `\"nrtabfv/`, "\\\"\n\r\t\a\b\f\v/"
	rest := p.text[p.pos+1:]
	if rest != "" {
		if i := strings.IndexByte(letters, rest[0]); i >= 0 {
			p.pos += 2
			return rune(meant[i]), nil
		}
		if rest[0] == 'u' && len(rest) >= 5 {
			if code, err := strconv.ParseUint(rest[1:5], 16, 16); err == nil {
				p.pos += 6
				return rune(code), nil
			}
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return 0, p.fault("\\%c means nothing in a string", r)
}

func (p *parser) number() (node, error) {
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		exponent := (c == '+' || c == '-') && strings.IndexByte("eE", p.text[p.pos-1]) >= 0
		if !exponent && c != '.' && !isWord(c, true) {
			break
		}
		p.pos++
	}
	v, err := strconv.ParseFloat(p.text[start:p.pos], 64)
	if err != nil || strings.ContainsAny(p.text[start:p.pos], "xXpP_") {
		return nil, faultAt(p.text, start, "%q is not a number", p.text[start:p.pos])
	}
	return func(Scope) (any, error) { return v, nil }, nil
}

// word reads null, true, false, a function call or the name of a value.
func (p *parser) word() (node, error) {
	start := p.pos
	name := p.name()
	constants := map[string]any{"null": nil, "true": true, "false": false}
	if v, ok := constants[name]; ok {
		return func(Scope) (any, error) { return v, nil }, nil
	}
	text := p.text
	if p.take("(") {
		arg, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, p.fault(") is missing")
		}
		function := functions(name)
		if function == nil {
			return nil, faultAt(text, start, "there is no function %s", name)
		}
		return func(s Scope) (any, error) {
			v, err := arg(s)
			if err != nil {
				return nil, err
			}
			v, problem := function(v)
			if problem != "" {
				return nil, faultAt(text, start, "%s", problem)
			}
			return v, nil
		}, nil
	}
	return func(s Scope) (any, error) {
		if v, ok := s[name]; ok {
			return v, nil
		}
		return nil, faultAt(text, start, "there is no %q", name)
	}, nil
}

func (p *parser) list() (node, error) {
	var items []node
	for !p.take("]") {
		item, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if !p.take(",") && !p.closes("]") {
			return nil, p.fault("] is missing")
		}
	}
	return func(s Scope) (any, error) {
		list := make([]any, len(items))
		for i, item := range items {
			var err error
			if list[i], err = item(s); err != nil {
				return nil, err
			}
		}
		return list, nil
	}, nil
}

func (p *parser) closes(s string) bool {
	p.space()
	return strings.HasPrefix(p.text[p.pos:], s)
}

// object reads {key: value}; a bare name as a key is that text.
func (p *parser) object() (node, error) {
	var keys, values []node
	for !p.take("}") {
		p.space()
		at := p.pos
		var key node
		var err error
		if name := p.name(); name != "" {
			key = func(Scope) (any, error) { return name, nil }
		} else if key, err = p.expression(0); err != nil {
			return nil, err
		}
		if !p.take(":") {
			return nil, p.fault(": is missing")
		}
		value, err := p.expression(0)
		if err != nil {
			return nil, err
		}
		keys, values = append(keys, p.mustBeText(at, key)), append(values, value)
		if !p.take(",") && !p.closes("}") {
			return nil, p.fault("} is missing")
		}
	}
	return func(s Scope) (any, error) {
		object := make(map[string]any, len(keys))
		for i := range keys {
			k, err := keys[i](s)
			if err != nil {
				return nil, err
			}
			if object[toText(k)], err = values[i](s); err != nil {
				return nil, err
			}
		}
		return object, nil
	}, nil
}

func (p *parser) mustBeText(at int, key node) node {
	text := p.text
	return func(s Scope) (any, error) {
		k, err := key(s)
		if _, ok := k.(string); err == nil && !ok {
			err = faultAt(text, at, "a key must be a string, not %s", kindOf(k))
		}
		return k, err
	}
}

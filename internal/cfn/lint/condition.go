package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// assumption is a condition taken to be true or false, here and below.
type assumption struct {
	name  string
	value bool
	hard  bool // a fact of the place, not one of the cases that are tried
	next  *assumption
}

func (a *assumption) find(name string) (value, ok bool) {
	for ; a != nil; a = a.next {
		if a.name == name {
			return a.value, true
		}
	}
	return false, false
}

// formula is a condition: and, or, not over atoms and other conditions.
type formula struct {
	op   formulaOp
	args []*formula
	atom int
	name string
}

type formulaOp uint8

const (
	opTrue formulaOp = iota
	opFalse
	opAtom
	opName
	opAnd
	opOr
	opNot
)

// atom is a comparison whose result is not known: of a parameter with a text,
// or of anything else with anything else.
type atom struct {
	parameter string // "" when it is not a Ref to one
	value     string
}

// conditions are those of a template, and what can be true together.
type conditions struct {
	named   map[string]*formula
	atoms   []atom
	index   map[string]int
	allowed map[string][]string // AllowedValues of parameters
	memo    map[string]bool
}

func newConditions(section, parameters *cfn.Node) *conditions {
	c := &conditions{named: map[string]*formula{}, index: map[string]int{}, allowed: map[string][]string{}, memo: map[string]bool{}}
	if parameters != nil {
		for _, p := range parameters.Fields {
			if list := p.Value.Get("AllowedValues"); list != nil && list.Kind == cfn.List {
				for _, v := range list.Items {
					c.allowed[p.Name] = append(c.allowed[p.Name], textOf(v))
				}
			}
		}
	}
	if section != nil {
		for _, f := range section.Fields {
			c.named[f.Name] = c.formula(f.Value)
		}
	}
	return c
}

func (c *conditions) formula(n *cfn.Node) *formula {
	bit, arg := anyFunction(n)
	many := func(op formulaOp) *formula {
		f := &formula{op: op}
		for _, item := range arg.Items {
			f.args = append(f.args, c.formula(item))
		}
		if arg.Kind != cfn.List {
			return c.open()
		}
		return f
	}
	switch bit {
	case fnAnd:
		return many(opAnd)
	case fnOr:
		return many(opOr)
	case fnNot:
		if arg.Kind == cfn.List && len(arg.Items) == 1 {
			return &formula{op: opNot, args: []*formula{c.formula(arg.Items[0])}}
		}
	case fnCondition:
		if arg.IsString() {
			return &formula{op: opName, name: arg.Text}
		}
	case fnEquals:
		if arg.Kind == cfn.List && len(arg.Items) == 2 {
			return c.equals(arg.Items[0], arg.Items[1])
		}
	}
	return c.open()
}

// open is a formula that nothing is known of.
func (c *conditions) open() *formula {
	c.atoms = append(c.atoms, atom{})
	return &formula{op: opAtom, atom: len(c.atoms) - 1}
}

func (c *conditions) equals(a, b *cfn.Node) *formula {
	aText, aFixed := fixedText(a)
	bText, bFixed := fixedText(b)
	switch {
	case aFixed && bFixed:
		// W8003 reports it once; a switch that is turned by hand is no reason to
		// call every use of it unreachable.
	case aFixed:
		a, b, bText, bFixed = b, a, aText, true
	}
	at := atom{value: bText}
	key := canonical(a) + "\x00" + canonical(b)
	if bFixed {
		key = canonical(a) + "\x00=" + bText // 1 and "1", yes and "true" are the same
	}
	if !bFixed {
		if other := canonical(b) + "\x00" + canonical(a); other < key {
			key = other
		}
	} else if bit, arg := anyFunction(a); bit == fnRef && arg.IsString() {
		at.parameter = arg.Text
	}
	i, ok := c.index[key]
	if !ok {
		i = len(c.atoms)
		c.atoms, c.index[key] = append(c.atoms, at), i
	}
	return &formula{op: opAtom, atom: i}
}

// fixedText is the text of a value that is written out, as Fn::Equals compares.
func fixedText(n *cfn.Node) (string, bool) {
	switch n.Kind {
	case cfn.String, cfn.Int, cfn.Float:
		return n.Text, true
	case cfn.Bool:
		return strconv.FormatBool(n.Bool()), true
	}
	return "", false
}

// canonical writes a value so that equal ones give the same text.
func canonical(n *cfn.Node) string {
	var b strings.Builder
	writeCanonical(&b, n)
	return b.String()
}

func writeCanonical(b *strings.Builder, n *cfn.Node) {
	switch {
	case n == nil:
		b.WriteString("null")
	case n.Kind == cfn.List:
		b.WriteByte('[')
		for _, item := range n.Items {
			writeCanonical(b, item)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case n.Kind == cfn.Map:
		b.WriteByte('{')
		fields := slices.Clone(n.Fields)
		slices.SortFunc(fields, func(x, y cfn.Field) int { return strings.Compare(x.Name, y.Name) })
		for _, f := range fields {
			b.WriteString(strconv.Quote(f.Name))
			writeCanonical(b, f.Value)
			b.WriteByte(',')
		}
		b.WriteByte('}')
	default:
		b.WriteByte(byte('0' + n.Kind))
		b.WriteString(strconv.Quote(n.Text))
	}
}

// assume adds a condition's value. It reports whether that can be at all,
// together with what is assumed already.
func (c *conditions) assume(a *assumption, name string, value, hard bool) (*assumption, bool) {
	if old, ok := a.find(name); ok && old == value {
		return a, true
	}
	if c.named[name] == nil {
		return a, true
	}
	next := &assumption{name: name, value: value, hard: hard, next: a}
	return next, c.possible(next, nil, false)
}

// reachable is assume against the facts alone.
func (c *conditions) reachable(a *assumption, name string, value bool) bool {
	if c.named[name] == nil {
		return true
	}
	return c.possible(&assumption{name: name, value: value, hard: true, next: a}, nil, true)
}

// possible reports whether all that is assumed can be true together, with the
// given values of parameters.
func (c *conditions) possible(a *assumption, refs *reference, hardOnly bool) bool {
	if a == nil {
		return true
	}
	s := solver{c: c, value: make([]int8, len(c.atoms)), budget: 5000}
	var key strings.Builder
	for x := a; x != nil; x = x.next {
		if hardOnly && !x.hard {
			continue
		}
		f := c.named[x.name]
		if f == nil {
			continue
		}
		s.want = append(s.want, wanted{f, x.value})
		key.WriteString(x.name)
		key.WriteString(strconv.FormatBool(x.value))
	}
	for i, at := range c.atoms {
		if at.parameter == "" {
			continue
		}
		if v := refs.find(at.parameter); v != nil {
			if text, ok := fixedText(v); ok {
				s.value[i] = -1
				if text == at.value {
					s.value[i] = 1
				}
				key.WriteString("\x00" + at.parameter + "=" + text)
			}
		}
	}
	if known, ok := c.memo[key.String()]; ok {
		return known
	}
	ok := s.solve()
	c.memo[key.String()] = ok
	return ok
}

type wanted struct {
	f     *formula
	value bool
}

// solver looks for values of the atoms (1 true, -1 false, 0 open) that give
// every wanted formula its value. When its budget is spent the answer is yes.
type solver struct {
	c      *conditions
	want   []wanted
	value  []int8
	budget int
}

func (s *solver) solve() bool {
	if s.budget--; s.budget < 0 {
		return true
	}
	open := -1
	for _, w := range s.want {
		got, atom := s.eval(w.f, 0)
		switch {
		case got != 0 && got > 0 != w.value:
			return false
		case got == 0 && open < 0:
			open = atom
		}
	}
	if open < 0 {
		return true
	}
	for _, v := range []int8{1, -1} {
		saved := slices.Clone(s.value)
		if s.set(open, v) && s.solve() {
			return true
		}
		s.value = saved
	}
	return false
}

// set gives an atom its value, and with it those about the same parameter.
func (s *solver) set(i int, v int8) bool {
	s.value[i] = v
	at := s.c.atoms[i]
	if at.parameter == "" {
		return true
	}
	open, any := len(s.c.allowed[at.parameter]), false
	listed := open > 0
	for j, other := range s.c.atoms {
		if other.parameter != at.parameter {
			continue
		}
		if v > 0 && j != i {
			if s.value[j] > 0 {
				return false
			}
			s.value[j] = -1
		}
		any = any || s.value[j] > 0
		if listed && slices.Contains(s.c.allowed[at.parameter], other.value) && s.value[j] < 0 {
			open--
		}
	}
	if v > 0 && listed && !slices.Contains(s.c.allowed[at.parameter], at.value) {
		return false
	}
	return !listed || any || open > 0
}

// eval gives a formula's value, 0 while it is open; then also an atom to decide.
func (s *solver) eval(f *formula, depth int) (int8, int) {
	const deepest = 100 // conditions that name each other in a circle
	if depth > deepest {
		return 0, -1
	}
	switch f.op {
	case opTrue:
		return 1, -1
	case opFalse:
		return -1, -1
	case opAtom:
		return s.value[f.atom], f.atom
	case opName:
		if g := s.c.named[f.name]; g != nil {
			return s.eval(g, depth+1)
		}
		return 0, -1
	case opNot:
		v, atom := s.eval(f.args[0], depth+1)
		return -v, atom
	case opAnd, opOr:
		decisive := int8(-1)
		if f.op == opOr {
			decisive = 1
		}
		result, open := -decisive, -1
		for _, a := range f.args {
			v, atom := s.eval(a, depth+1)
			if v == decisive {
				return decisive, -1
			}
			if v == 0 {
				result = 0
				if open < 0 {
					open = atom
				}
			}
		}
		return result, open
	}
	return 0, -1
}

// implies reports whether a condition must be true under what is assumed.
func (c *conditions) implies(a *assumption, name string) bool {
	if c.named[name] == nil {
		return true
	}
	return !c.possible(&assumption{name: name, value: false, next: a}, nil, false)
}

package lint

import (
	"strconv"
	"unicode/utf8"

	"refline/internal/cfn"
)

func (e *engine) object(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	names := sc
	if sc.below && s.ref == nil {
		sc = sc.with(func(c *scope) { c.keywords, c.below = true, false })
	}
	open := s.types&tObject != 0 && s.properties == nil && s.additional == nil && s.patternProperties == nil && sc.functions != 0
	for _, f := range n.Fields {
		here := at.key(f)
		if open {
			e.check(sc, here.as("*"), allTypes, f.Value, out)
			continue
		}
		known := false
		if p := s.properties[f.Name]; p != nil {
			known = true
			e.check(sc, here.as(f.Name), p, f.Value, out)
		}
		for _, p := range s.patternProperties {
			if !f.Bare && p.pattern.match(f.Name) {
				known = true
				e.check(sc, here.as("*"), p.schema, f.Value, out)
			}
		}
		if s.additional != nil && !known && functionBit(f.Name)&sc.functions&(fnTransform|fnForEach) == 0 {
			e.extra(sc, at, here, s, n, f, out)
		}
	}
	if s.propertyNames != nil {
		for _, f := range n.Fields {
			e.name(names, at.key(f), s.propertyNames, f, out)
		}
	}
}

// name checks a key by propertyNames. Its problems may have a rule of their own.
func (e *engine) name(sc *scope, at place, s *schema, f cfn.Field, out *problems) {
	if f.Bare {
		return
	}
	if length := utf8.RuneCountInString(f.Name); s.maxLength > 0 && near(length, s.maxLength) {
		e.nearLimit(sc, at, "name", strconv.Quote(f.Name)+" has "+strconv.Itoa(length)+" characters, near the "+strconv.Itoa(s.maxLength)+" that are allowed", out)
	}
	var own problems
	e.check(sc.with(func(c *scope) { c.keywords = false }), at, s, &cfn.Node{Kind: cfn.String, Text: f.Name, Pos: f.Pos}, &own)
	for _, p := range own.list {
		if sc.rules != nil {
			if id, ok := sc.rules.of["propertyNames/"+p.keyword]; ok {
				p.rule = id
			} else if id, ok := sc.rules.of["propertyNames"]; ok {
				p.rule = id
			}
		}
		out.add(p)
	}
}

// extra checks a key that the schema does not name.
func (e *engine) extra(sc *scope, at, here place, s *schema, n *cfn.Node, f cfn.Field, out *problems) {
	if !s.additional.never {
		e.check(sc, here.as("*"), s.additional, f.Value, out)
		return
	}
	p := problem{path: here.path, keyword: "additionalProperties", rule: sc.rules.rule("additionalProperties"),
		message: strconv.Quote(f.Name) + " is not a known key here"}
	switch near := nearest(f.Name, s.properties); {
	case f.Bare:
		p.message = "the key " + f.Name + " must be a string"
		p.hint = "put it in quotes: \"" + f.Name + "\""
	case len(s.patternProperties) > 0 && len(s.properties) == 0:
		p.message = strconv.Quote(f.Name) + " is not an allowed name: it must match " + s.patternProperties[0].pattern.text
	case near != "":
		p.hint = "did you mean " + strconv.Quote(near) + "?"
	}
	if m := s.message["additionalProperties"]; m != "" {
		p.message = m
	}
	out.add(p)
}

func (e *engine) countKeys(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	for _, name := range s.required {
		if v := n.Get(name); v == nil || v.Kind == cfn.Null {
			e.report(sc, at, s, n, "required", strconv.Quote(name)+" is required", out)
		}
	}
	if len(s.requiredOr) > 0 && len(present(n, s.requiredOr)) == 0 {
		e.report(sc, at, s, n, "requiredOr", "one of "+quoted(s.requiredOr)+" is required", out)
	}
	if len(s.requiredXor) > 0 {
		switch have := present(n, s.requiredXor); {
		case len(have) == 0:
			e.report(sc, at, s, n, "requiredXor", "one of "+quoted(s.requiredXor)+" is required", out)
		case len(have) > 1:
			for _, name := range have {
				e.report(sc, at.key(n.Fields[fieldIndex(n, name)]), s, n, "requiredXor", "only one of "+quoted(s.requiredXor)+" is allowed here", out)
			}
		}
	}
	for name, others := range s.dependentRequired {
		for _, other := range others {
			if n.Has(name) && !n.Has(other) {
				e.report(sc, at, s, n, "dependentRequired", strconv.Quote(name)+" also needs "+strconv.Quote(other), out)
			}
		}
	}
	for name, others := range s.dependentExcluded {
		for _, other := range others {
			if n.Has(name) && n.Has(other) {
				e.report(sc, at.key(n.Fields[fieldIndex(n, other)]), s, n, "dependentExcluded", strconv.Quote(other)+" is not allowed together with "+strconv.Quote(name), out)
			}
		}
	}
	for name, sub := range s.dependencies {
		if n.Has(name) {
			e.check(sc, at, sub, n, out)
		}
	}
	keys := 0
	for _, f := range n.Fields {
		if f.Value == nil || f.Value.Kind != cfn.Null {
			keys++
		}
	}
	if keys < s.minProperties {
		e.report(sc, at, s, n, "minProperties", "at least "+counted(s.minProperties, "key")+", found "+strconv.Itoa(keys), out)
	}
	switch most := s.maxProperties; {
	case most >= 0 && keys > most:
		e.report(sc, at, s, n, "maxProperties", "at most "+counted(most, "key")+", found "+strconv.Itoa(keys), out)
	case most > 1 && near(keys, most):
		e.nearLimit(sc, at, "maxProperties", counted(keys, "key")+", near the "+strconv.Itoa(most)+" that are allowed here", out)
	}
}

// near reports whether a number has used more than nine tenths of a limit.
func near(number, limit int) bool { return number <= limit && number*10 > limit*9 }

// nearLimit notes that a limit is near, where the section has a rule for that.
func (e *engine) nearLimit(sc *scope, at place, keyword, message string, out *problems) {
	if sc.rules != nil && sc.rules.near[keyword] != "" {
		out.add(problem{path: at.path, rule: sc.rules.near[keyword], fixed: true, message: message})
	}
}

package lint

import (
	"strconv"

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
			if p.pattern.match(f.Name) {
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
		message: strconv.Quote(f.Name) + " is not a key that is known here"}
	switch near := nearest(f.Name, s.properties); {
	case len(s.patternProperties) > 0 && len(s.properties) == 0:
		p.message = strconv.Quote(f.Name) + " is not a name that is allowed here: it must match " + s.patternProperties[0].pattern.text
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
				e.report(sc, at.key(n.Fields[fieldIndex(n, name)]), s, n, "requiredXor", "only one of "+quoted(s.requiredXor)+" may stand here", out)
			}
		}
	}
	for name, others := range s.dependentRequired {
		for _, other := range others {
			if n.Has(name) && !n.Has(other) {
				e.report(sc, at, s, n, "dependentRequired", strconv.Quote(name)+" needs "+strconv.Quote(other)+" beside it", out)
			}
		}
	}
	for name, others := range s.dependentExcluded {
		for _, other := range others {
			if n.Has(name) && n.Has(other) {
				e.report(sc, at.key(n.Fields[fieldIndex(n, other)]), s, n, "dependentExcluded", strconv.Quote(other)+" must not stand beside "+strconv.Quote(name), out)
			}
		}
	}
	for name, sub := range s.dependencies {
		if n.Has(name) {
			e.check(sc, at, sub, n, out)
		}
	}
	if len(n.Fields) < s.minProperties {
		e.report(sc, at, s, n, "minProperties", "at least "+counted(s.minProperties, "key")+", found "+strconv.Itoa(len(n.Fields)), out)
	}
	if s.maxProperties >= 0 && len(n.Fields) > s.maxProperties {
		e.report(sc, at, s, n, "maxProperties", "at most "+counted(s.maxProperties, "key")+", found "+strconv.Itoa(len(n.Fields)), out)
	}
}

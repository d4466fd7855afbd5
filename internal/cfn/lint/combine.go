package lint

import (
	"refline/internal/cfn"
)

// branch is if, then, else.
func (e *engine) branch(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	quiet := sc.with(func(c *scope) { c.keywords, c.unknown, c.silent = false, true, true })
	var test problems
	e.check(quiet, at, s.cond, n, &test)
	next := s.then
	switch {
	case test.unknown():
		out.add(problem{unknown: true})
		return
	case len(test.list) > 0:
		next = s.other
	}
	if next != nil {
		e.check(sc.with(func(c *scope) { c.keywords = false }), at, next, n, out)
	}
}

// combined checks allOf, anyOf, oneOf and not.
func (e *engine) combined(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if s.allOf == nil && s.anyOf == nil && s.oneOf == nil && s.not == nil {
		return
	}
	plain := sc.with(func(c *scope) { c.keywords = false })
	for _, sub := range s.allOf {
		e.check(plain, at, sub, n, out)
	}
	if s.anyOf == nil && s.oneOf == nil && s.not == nil {
		return
	}
	quiet := plain.with(func(c *scope) { c.unknown = true })
	if s.anyOf != nil {
		e.anyOf(quiet, at, s, n, out)
	}
	if s.oneOf != nil {
		e.oneOf(quiet, at, s, n, out)
	}
	if s.not != nil {
		var inner problems
		e.check(quiet.with(func(c *scope) { c.silent = true }), at, s.not, n, &inner)
		switch {
		case inner.unknown():
			out.add(problem{unknown: true})
		case len(inner.list) == 0:
			e.report(sc, at, s, n, "not", show(n)+" has a form that is not allowed here", out)
		}
	}
}

func (e *engine) anyOf(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	var all, minor []problem
	open := false
	for _, sub := range s.anyOf {
		var inner, errors problems
		e.check(sc, at, sub, n, &inner)
		for _, p := range inner.list {
			if p.fixed && p.rule != "" && p.rule[0] != 'E' {
				minor = append(minor, p)
				continue
			}
			errors.add(p)
		}
		switch {
		case errors.unknown():
			open = true
		case len(errors.list) == 0:
			return
		default:
			all = append(all, errors.list...)
		}
	}
	if open {
		out.add(problem{unknown: true})
		return
	}
	e.report(sc, at, s, n, "anyOf", show(n)+" matches none of the allowed forms", out)
	out.list[len(out.list)-1].under = append(all, minor...)
}

func (e *engine) oneOf(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	var all []problem
	valid, open := 0, false
	for _, sub := range s.oneOf {
		var inner problems
		e.check(sc, at, sub, n, &inner)
		switch {
		case inner.unknown():
			open = true
		case len(inner.list) == 0:
			valid++
		default:
			all = append(all, inner.list...)
		}
	}
	switch {
	case open && valid < 2:
		out.add(problem{unknown: true})
	case valid == 0:
		e.report(sc, at, s, n, "oneOf", show(n)+" matches none of the allowed forms", out)
		out.list[len(out.list)-1].under = all
	case valid > 1:
		e.report(sc, at, s, n, "oneOf", show(n)+" matches more than one of the allowed forms; it must match exactly one", out)
	}
}

// dynamicCheck is dynamicValidation: what the template itself defines.
func (e *engine) dynamicCheck(sc *scope, at place, d *dynamicSchema, n *cfn.Node, out *problems) {
	fail := func(message, hint string) {
		out.add(problem{path: at.path, keyword: "enum", rule: sc.rules.rule("dynamicValidation"), message: message, hint: hint})
	}
	if d.transform != "" && !e.template.HasTransform(d.transform) {
		fail("needs the transform "+d.transform, "")
	}
	if d.path != "" && at.path.first(0) != d.path {
		fail("only in "+d.path, "")
	}
	if !single(n) {
		return
	}
	switch d.context {
	case "conditions":
		if e.conds.named[n.Text] == nil {
			fail(show(n)+" is not a condition of this template", nearestHint(n.Text, e.conds.named))
		}
	case "mappings":
		if !e.mappings.Has(n.Text) {
			fail(show(n)+" is not a mapping of this template", "")
		}
	case "refs":
		switch {
		case e.canRef(sc, n.Text):
		case e.resources[n.Text] != nil:
			fail(show(n)+" is a resource, and resources cannot be used here", "")
		default:
			fail(show(n)+" is neither a parameter nor a resource of this template", e.nearRef(n.Text))
		}
	}
}

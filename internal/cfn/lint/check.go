package lint

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"refline/internal/cfn"
)

// engine checks one template.
type engine struct {
	lint      *rulebook
	template  *cfn.Template
	root      *cfn.Node
	regions   []string
	conds     *conditions
	resources map[string]*resource
	order     []string // the resources' names, as in the template
	params    map[string]*parameter
	mappings  *cfn.Node
	modules   []string // names of resources that stand for others with the same beginning
	languages bool     // AWS::LanguageExtensions
	sam       bool
	found     problems
	now       time.Time
	nested    func(url string) *cfn.Template // the template of a nested stack in a file, or nil
	filled    map[*cfn.Node]bool             // texts that a loop has put something into
	open      []*regexp.Regexp               // names of resources that a loop may make
	strict    bool
	cdk       bool // made by the CDK, whose way some advice does not suit
}

// check adds to out what is wrong with n by s.
func (e *engine) check(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	switch {
	case s.any:
		// Rules registered for this path still run.
		if sc.keywords && at.rule != nil {
			e.standard(sc, at, s, n, out)
		}
		return
	case s.never:
		what := show(n)
		if at.path != nil {
			what = strconv.Quote(at.path.name)
		}
		e.report(sc, at, s, n, "", what+" is not allowed here", out)
		return
	case s.context != nil:
		e.inContext(sc, at, s.context, n, out)
		return
	case n.Kind == cfn.String && e.special(sc, at, n, out):
		return
	case sc.functions == 0:
		e.standard(sc, at, s, n, out)
		e.counting(sc, at, s, n, out)
		return
	}
	bit, arg := sc.function(n)
	if s.grouped && (bit == 0 || bit == fnIf) {
		for _, c := range e.cases(sc, n) {
			if b, _ := sc.function(c.value); b == 0 {
				e.counting(c.scope, at, s, c.value, out)
			}
		}
	} else if s.grouped && neverObject(bit) && !n.IsNoValue() {
		e.counting(sc, at, s, n, out)
	}
	if bit != 0 {
		e.function(sc, at, s.withoutCounting(), n, bit, arg, out)
		return
	}
	e.standard(sc, at, s, n, out)
}

// neverObject reports whether a function cannot give a map, so that what a map
// needs is missing for certain.
func neverObject(bit fnSet) bool {
	in, ok := intrinsicOf(bit)
	return ok && in.gives&tObject == 0 || bit == fnRef
}

func (e *engine) inContext(sc *scope, at place, ctx *contextSchema, n *cfn.Node, out *problems) {
	inner := sc.with(func(c *scope) {
		if ctx.hasFunctions {
			c.functions = ctx.functions
		}
		if ctx.pseudo != nil {
			c.pseudo = ctx.pseudo
		}
		c.noResources = c.noResources || ctx.noResources
	})
	e.check(inner, at, ctx.schema, n, out)
}

// special handles texts that are not what they look like: dynamic references
// and bare names of pseudo parameters. It reports whether that was all.
func (e *engine) special(sc *scope, at place, n *cfn.Node, out *problems) bool {
	if sc.dynamic && strings.Contains(n.Text, "{{") {
		switch {
		case isDynamicReference(n.Text):
			if !insideFunction(at.path) {
				e.dynamicReference(sc, at, n, out)
			}
			return true
		case spacedReference().MatchString(n.Text):
			out.add(problem{path: at.path, rule: "W1053", fixed: true,
				message: "a dynamic reference must not contain spaces: CloudFormation leaves " + show(n) + " unresolved"})
			return true
		}
	}
	if strings.HasPrefix(n.Text, "AWS::") && isPseudo(n.Text) && !at.path.has("Ref") {
		out.add(problem{path: at.path, rule: "W1054", fixed: true,
			message: show(n) + " is plain text here", hint: "for the pseudo parameter write Ref: " + n.Text})
		return true
	}
	return false
}

// insideFunction reports whether a path goes through a function other than If.
func insideFunction(s *step) bool {
	for ; s != nil; s = s.parent {
		if strings.HasPrefix(s.name, "Fn::") && s.name != "Fn::If" || s.name == "Ref" {
			return true
		}
	}
	return false
}

// report adds a problem of a keyword of s.
func (e *engine) report(sc *scope, at place, s *schema, n *cfn.Node, keyword, message string, out *problems) {
	if m := s.message[keyword]; m != "" {
		message = m
	}
	p := problem{path: at.path, keyword: keyword, rule: sc.rules.rule(keyword), message: message, typed: s.types != 0 && s.types&kindTypes(n) != 0}
	if sc.origin != nil {
		switch keyword {
		case "enum", "enumCaseInsensitive", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
			p.origin = sc.origin
		}
	}
	out.add(p)
}

// standard checks the keywords that hold for a value as written.
func (e *engine) standard(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if s.ref != nil {
		e.check(sc, at, s.ref, n, out)
	} else if sc.keywords {
		e.atPath(sc, at, s, n, out)
	}
	for _, name := range s.named {
		e.byName(sc, at, name, s, n, out)
	}
	if s.any {
		return
	}
	if sc.silent {
		if s.types != 0 && !fits(sc, s.types, n) || s.enum != nil && !oneOfNodes(n, s.enum, false) || s.constant != nil && !same(n, s.constant) {
			out.add(problem{path: at.path})
		}
	} else if s.types != 0 && !fits(sc, s.types, n) && !(n.Kind == cfn.String && sc.resource != nil && packaged(at.kind)) {
		e.report(sc, at, s, n, "type", show(n)+" is "+kindWord(n)+", not "+typeWords(s.types), out)
	}
	switch n.Kind {
	case cfn.Map:
		e.object(sc, at, s, n, out)
		if s.types&tObject != 0 && (s.minLength > 0 || s.maxLength >= 0) {
			e.length(sc, at, s, n, written(n), out)
		}
	case cfn.List:
		e.list(sc, at, s, n, out)
	default:
		e.scalar(sc, at, s, n, out)
	}
	e.values(sc, at, s, n, out)
	e.combined(sc, at, s, n, out)
	if s.unresolved {
		out.add(problem{unknown: true})
	}
	if s.dynamic != nil {
		e.dynamicCheck(sc, at, s.dynamic, n, out)
	}
	if s.gather != nil {
		e.gather(sc, at, s.gather, n, out)
	}
}

var allTypes = &schema{types: tAll, maxItems: -1, maxLength: -1, maxProperties: -1}

// counting checks the keywords that depend on what conditions leave of a value.
func (e *engine) counting(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	switch n.Kind {
	case cfn.List:
		if len(n.Items) < s.minItems {
			e.report(sc, at, s, n, "minItems", "at least "+counted(s.minItems, "item")+", found "+strconv.Itoa(len(n.Items)), out)
		}
		if s.maxItems >= 0 && len(n.Items) > s.maxItems {
			e.report(sc, at, s, n, "maxItems", "at most "+counted(s.maxItems, "item")+", found "+strconv.Itoa(len(n.Items)), out)
		}
		if s.uniqueItems != nil && (*s.uniqueItems || sc.rules.rule("uniqueItems") == "E3037") {
			e.unique(sc, at, s, n, out)
		}
	case cfn.Map:
		e.countKeys(sc, at, s, n, out)
	}
	if s.cond != nil {
		e.branch(sc, at, s, n, out)
	}
}

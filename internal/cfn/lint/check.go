package lint

import (
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
	filled    map[*cfn.Node]bool // texts that a loop has put something into
	strict    bool
	cdk       bool // made by the CDK, whose way some advice does not suit
}

// check adds to out what is wrong with n by s.
func (e *engine) check(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	switch {
	case s.any:
		// Rules that stand at this path are asked all the same.
		if sc.keywords && at.rule != nil {
			e.standard(sc, at, s, n, out)
		}
		return
	case s.never:
		e.report(sc, at, s, n, "", "is not allowed here", out)
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
	}
	if bit != 0 {
		e.function(sc, at, s.withoutCounting(), n, bit, arg, out)
		return
	}
	e.standard(sc, at, s, n, out)
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
				message: "a dynamic reference has no spaces: CloudFormation takes " + show(n) + " as it is"})
			return true
		}
	}
	if strings.HasPrefix(n.Text, "AWS::") && isPseudo(n.Text) && !at.path.has("Ref") {
		out.add(problem{path: at.path, rule: "W1054", fixed: true,
			message: show(n) + " is just a text here", hint: "for the pseudo parameter write Ref: " + n.Text})
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

// kindTypes are the types of JSON Schema that a value has.
func kindTypes(n *cfn.Node) typeSet {
	switch n.Kind {
	case cfn.Bool:
		return tBoolean
	case cfn.Int:
		return tInteger | tNumber
	case cfn.Float:
		if f, ok := n.Number(); ok && f == float64(int64(f)) {
			return tInteger | tNumber
		}
		return tNumber
	case cfn.String:
		return tString
	case cfn.List:
		return tArray
	case cfn.Map:
		return tObject
	default:
		return tNull
	}
}

// fits reports whether a value is of one of the types, as CloudFormation sees
// it: "1" is a number, and a number a text, unless types are strict.
func fits(sc *scope, types typeSet, n *cfn.Node) bool {
	have := kindTypes(n)
	if have&types != 0 {
		return true
	}
	if sc.strict && !sc.resolved || have&(tObject|tArray|tNull) != 0 {
		return false
	}
	switch {
	case types&tString != 0:
		return true
	case have == tBoolean:
		return false
	case types&tBoolean != 0 && n.Kind == cfn.String && isBooleanText(n.Text):
		return true
	case types&tNumber != 0:
		_, err := strconv.ParseFloat(strings.TrimSpace(n.Text), 64)
		return err == nil
	case types&tInteger != 0:
		if n.Kind != cfn.String {
			return true
		}
		_, err := strconv.ParseInt(strings.TrimSpace(n.Text), 10, 64)
		return err == nil
	}
	return false
}

func isBooleanText(s string) bool {
	switch s {
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return true
	}
	return false
}

// standard checks the keywords that hold for a value as it stands.
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
	if s.types != 0 && !fits(sc, s.types, n) && !(n.Kind == cfn.String && sc.resource != nil && packaged(at.kind)) {
		e.report(sc, at, s, n, "type", show(n)+" is "+kindWord(n)+", not "+typeWords(s.types), out)
	}
	switch n.Kind {
	case cfn.Map:
		e.object(sc, at, s, n, out)
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

func (e *engine) list(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	items := s.items
	if items == nil && s.types&tArray != 0 && sc.functions != 0 {
		items = allTypes
	}
	for i, item := range n.Items {
		here := at.item(i, item)
		switch {
		case i < len(s.prefixItems):
			e.check(sc, here.as("*"), s.prefixItems[i], item, out)
		case items != nil && !items.never:
			e.check(sc, here.as("*"), items, item, out)
		case items != nil && s.items != nil:
			e.report(sc, at, s, n, "items", "at most "+counted(len(s.prefixItems), "item")+", found "+strconv.Itoa(len(n.Items)), out)
			return
		}
	}
	if s.contains != nil {
		e.contains(sc, at, s, n, out)
	}
	if s.maxUniqueItems > 0 {
		distinct := map[string]bool{}
		for _, item := range n.Items {
			distinct[canonical(item)] = true
		}
		if len(distinct) > s.maxUniqueItems {
			e.report(sc, at, s, n, "maxUniqueItems", "at most "+counted(s.maxUniqueItems, "different item")+", found "+strconv.Itoa(len(distinct)), out)
		}
	}
	if len(s.uniqueKeys) > 0 && !uniqueBy(n, s.uniqueKeys) {
		e.report(sc, at, s, n, "uniqueKeys", "two items have the same "+strings.Join(s.uniqueKeys, " and "), out)
	}
}

func (e *engine) contains(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	open := false
	for i, item := range n.Items {
		var inner problems
		e.check(sc, at.item(i, item), s.contains, item, &inner)
		switch {
		case len(inner.list) == 0:
			return
		case len(inner.known()) == 0:
			open = true
		}
	}
	if open {
		out.add(problem{unknown: true})
		return
	}
	e.report(sc, at, s, n, "contains", "no item is of the kind that is wanted", out)
}

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

func (e *engine) unique(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	twice := duplicateItem(n)
	if twice == nil {
		return
	}
	if *s.uniqueItems {
		e.report(sc, at, s, n, "uniqueItems", show(twice)+" stands twice in the list", out)
		return
	}
	out.add(problem{path: at.path, rule: "I3037", fixed: true, message: show(twice) + " stands twice in the list"})
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

// branch is if, then, else.
func (e *engine) branch(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	quiet := sc.with(func(c *scope) { c.keywords, c.unknown = false, true })
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

func (e *engine) scalar(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if n.Kind == cfn.Null {
		return
	}
	if s.pattern != nil && !s.pattern.match(n.Text) && !e.patternExempt(n) {
		e.report(sc, at, s, n, "pattern", show(n)+" does not match "+s.pattern.text, out)
	}
	if s.format != "" {
		e.format(sc, at, s, n, out)
	}
	if n.Kind == cfn.String && (s.minLength > 0 || s.maxLength >= 0) {
		switch length := len([]rune(n.Text)); {
		case length < s.minLength:
			e.report(sc, at, s, n, "minLength", "at least "+counted(s.minLength, "character")+", found "+strconv.Itoa(length), out)
		case s.maxLength >= 0 && length > s.maxLength:
			e.report(sc, at, s, n, "maxLength", "at most "+counted(s.maxLength, "character")+", found "+strconv.Itoa(length), out)
		}
	}
	if s.minimum == nil && s.maximum == nil && s.above == nil && s.below == nil && s.multipleOf == nil || n.Kind == cfn.Bool {
		return
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(n.Text), 64)
	if err != nil {
		return
	}
	for _, b := range []struct {
		keyword string
		bound   *float64
		bad     bool
		words   string
	}{
		{"minimum", s.minimum, s.minimum != nil && f < *s.minimum, "at least"},
		{"maximum", s.maximum, s.maximum != nil && f > *s.maximum, "at most"},
		{"exclusiveMinimum", s.above, s.above != nil && f <= *s.above, "more than"},
		{"exclusiveMaximum", s.below, s.below != nil && f >= *s.below, "less than"},
		{"multipleOf", s.multipleOf, s.multipleOf != nil && *s.multipleOf != 0 && f/(*s.multipleOf) != float64(int64(f/(*s.multipleOf))), "a multiple of"},
	} {
		if b.bad {
			e.report(sc, at, s, n, b.keyword, show(n)+" must be "+b.words+" "+strconv.FormatFloat(*b.bound, 'f', -1, 64), out)
		}
	}
}

// values checks the keywords that name values.
func (e *engine) values(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if s.enum != nil && !oneOfNodes(n, s.enum, false) {
		e.report(sc, at, s, n, "enum", show(n)+" is not one of "+listed(s.enum, n), out)
	}
	if s.enumFold != nil && !oneOfNodes(n, s.enumFold, true) {
		e.report(sc, at, s, n, "enumCaseInsensitive", show(n)+" is not one of "+listed(s.enumFold, n), out)
	}
	if s.constant != nil && !same(n, s.constant) {
		e.report(sc, at, s, n, "const", show(n)+" must be "+show(s.constant), out)
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
		e.check(quiet, at, s.not, n, &inner)
		switch {
		case inner.unknown():
			out.add(problem{unknown: true})
		case len(inner.list) == 0:
			e.report(sc, at, s, n, "not", show(n)+" is of a kind that is not allowed here", out)
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
	e.report(sc, at, s, n, "anyOf", show(n)+" fits none of the forms that are allowed here", out)
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
		e.report(sc, at, s, n, "oneOf", show(n)+" fits none of the forms that are allowed here", out)
		out.list[len(out.list)-1].under = all
	case valid > 1:
		e.report(sc, at, s, n, "oneOf", show(n)+" fits more than one of the forms, of which one is wanted", out)
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
	if !n.IsString() {
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
		if !e.canRef(sc, n.Text) {
			fail(show(n)+" is neither a parameter nor a resource of this template", e.nearRef(n.Text))
		}
	}
}

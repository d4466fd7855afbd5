package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// atPath asks the rules that are registered for the generic path.
func (e *engine) atPath(sc *scope, at place, s *schema, n *cfn.Node, out *problems) {
	if sc.resource != nil {
		e.readOnly(sc, at, n, out)
	}
	if at.rule == nil || len(at.rule.rules) == 0 {
		return
	}
	inner := sc.with(func(c *scope) { c.keywords = false })
	for _, b := range at.rule.rules {
		b.check(e, b, inner, at, n, out)
	}
}

// byName asks the rules that a schema names.
func (e *engine) byName(sc *scope, at place, name string, s *schema, n *cfn.Node, out *problems) {
	inner := sc.with(func(c *scope) { c.keywords = false })
	for _, b := range e.lint.byName[name] {
		b.check(e, b, inner, at, n, out)
	}
}

// readOnly finds values of properties that only the service sets (E3040), nested
// ones too.
func (e *engine) readOnly(sc *scope, at place, n *cfn.Node, out *problems) {
	if at.kind.len() <= 3 || strings.HasPrefix(sc.resource.name, "AWS::Serverless::") {
		return
	}
	path := at.kind.path()[3:]
	if sc.resource.readOnly[strings.Join(path, "/")] {
		out.add(problem{path: at.path, rule: "E3040", fixed: true, message: strconv.Quote(path[len(path)-1]) + " is read-only: the service sets it and ignores this value"})
	}
}

// schemaRule is a rule that is nothing but a schema.
func (e *engine) schemaRule(b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	inner := sc.with(func(c *scope) { c.dynamic, c.keywords, c.unknown, c.rules = false, false, true, &ruleset{id: b.id} })
	if !b.regional {
		e.bySchema(b, inner, at, e.lint.schema(b.schema), n, "", out)
		return
	}
	for _, region := range sc.regions {
		one := inner.with(func(c *scope) { c.regions = []string{region} })
		e.bySchema(b, one, at, e.lint.regional(b.id, region), n, region, out)
	}
}

func (e *engine) bySchema(b *binding, sc *scope, at place, s *schema, n *cfn.Node, region string, out *problems) {
	var own problems
	e.check(sc, at, s, n, &own)
	list := own.known()
	if b.all {
		out.list = append(out.list, list...)
		return
	}
	if p, ok := best(list); ok {
		p.rule, p.fixed, p.under = b.id, true, nil
		if region == "" {
			p.message += " (" + lowerFirst(b.title) + ")"
		} else {
			p.message += " in " + region
		}
		out.add(p)
	}
}

// lowerFirst writes a title as the beginning of a sentence; names in capitals
// stay.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// section is a rule for a part of the template: its schema, the rules of its
// keywords, and what is allowed in it.
type section struct {
	schema string
	rules  map[string]string
	near   map[string]string // rules that tell that a limit is near
	change func(*scope)
	below  bool // rules by path are asked again below
}

func (s section) check(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	inner := sc.with(func(c *scope) {
		c.keywords, c.rules, c.below = false, &ruleset{id: b.id, of: s.rules, near: s.near}, s.below
		if s.change != nil {
			s.change(c)
		}
	})
	e.check(inner, at, e.lint.schema(s.schema), n, out)
}

// inline is a rule whose schema is made on the spot.
func (e *engine) inline(b *binding, sc *scope, at place, s *schema, n *cfn.Node, change func(*scope), out *problems) {
	inner := sc.with(func(c *scope) {
		c.keywords, c.rules = false, &ruleset{id: b.id}
		if change != nil {
			change(c)
		}
	})
	e.check(inner, at, s, n, out)
}

func loose(c *scope)       { c.strict = false }
func looseValues(c *scope) { c.strict, c.functions = false, fnValues }

// sectionRules are the rules of the parts of a template.
func sectionRules() map[string]checkFunc {
	return map[string]checkFunc{
		"E1004": section{schema: "other/template/description", rules: map[string]string{"maxLength": "E1003"}, near: map[string]string{"maxLength": "I1003"}}.check,
		"E1005": section{schema: "other/transforms/configuration"}.check,
		"E1700": section{schema: "other/rules/configuration", below: true, change: func(c *scope) { c.strict, c.noResources = false, true }}.check,
		"E1701": ruleFunctions,
		"E1702": ruleFunctions,
		"E2001": section{schema: "other/parameters/configuration", below: true, change: loose, rules: map[string]string{
			"maxLength": "E2011", "maxProperties": "E2010", "minProperties": "E2010", "pattern": "E2003", "enum": "E2002", "propertyNames/enum": "E2001"},
			near: map[string]string{"name": "I2011", "maxProperties": "I2010"}}.check,
		"E2002": parameterType,
		"W2002": undocumentedType,
		"E3001": resourcesSection,
		"E4002": section{schema: "other/metadata/configuration"}.check,
		"E4001": section{schema: "other/metadata/interface"}.check,
		"W4005": section{schema: "other/metadata/cfn_lint"}.check,
		"W4001": interfaceParameter,
		"E6001": section{schema: "other/outputs/configuration", below: true, change: loose, rules: map[string]string{
			"propertyNames": "E6011", "maxLength": "E6011", "pattern": "E6004", "required": "E6002", "type": "E6003", "maxProperties": "E6010"},
			near: map[string]string{"name": "I6011", "maxProperties": "I6010"}}.check,
		"E6005": conditionExists,
		"E6101": outputValue,
		"E6102": exportName,
		"E7001": section{schema: "other/mappings/configuration", change: loose, rules: map[string]string{"maxProperties": "E7010", "maxLength": "E7002"},
			near: map[string]string{"name": "I7002", "maxProperties": "I7010"}}.check,
		"E8001": section{schema: "other/conditions/conditions", change: func(c *scope) {
			c.functions, c.noResources, c.strict = fnConditions|fnCondition, true, false
		}}.check,
		"E3015": conditionExists,
	}
}

func ruleFunctions(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	e.inline(b, sc, at, &schema{types: tBoolean, maxItems: -1, maxLength: -1, maxProperties: -1}, n, func(c *scope) { c.functions = fnRules | fnCondition }, out)
}

func conditionExists(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && e.conds.named[n.Text] == nil {
		out.add(problem{path: at.path, rule: b.id, fixed: true, message: show(n) + " is not a condition of this template", hint: nearestHint(n.Text, e.conds.named)})
	}
}

func interfaceParameter(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && e.params[n.Text] == nil {
		out.add(problem{path: at.path, rule: b.id, fixed: true, message: show(n) + " is not a parameter of this template", hint: nearestHint(n.Text, e.params)})
	}
}

func outputValue(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	i := fieldIndex(n, "Value")
	if n.Kind != cfn.Map || i < 0 || n.Fields[i].Value.Kind == cfn.Null {
		return
	}
	conds := sc.conds
	if c := n.Get("Condition"); c.IsString() {
		if next, ok := e.conds.assume(conds, c.Text, true, true); ok {
			conds = next
		}
	}
	var own problems
	e.inline(b, sc, at.key(n.Fields[i]).as("Value"), stringSchema, n.Fields[i].Value, func(c *scope) { looseValues(c); c.conds = conds }, &own)
	for _, p := range own.list {
		if !p.fixed {
			p.rule = b.id
		}
		out.add(p)
	}
}

func exportName(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	e.inline(b, sc, at, stringSchema, n, func(c *scope) { c.functions, c.noResources = fnValues&^fnGetStackOutput, true }, out)
}

func resourcesSection(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	var own problems
	section{schema: "other/resources/configuration", below: true, rules: map[string]string{"maxProperties": "E3010"},
		near: map[string]string{"name": "I3012", "maxProperties": "I3010"}}.check(e, b, sc, at, n, &own)
	for _, p := range own.list {
		// The Serverless transform passes over keys that it does not know.
		if p.rule == b.id && p.keyword == "additionalProperties" && p.path.len() > 2 {
			if kind := n.Get(p.path.first(1)).Get("Type"); kind.IsString() && strings.HasPrefix(kind.Text, "AWS::Serverless::") {
				p.rule = "W3001"
			}
		}
		out.add(p)
	}
}

func parameterType(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || slices.Contains(parameterTypes(), n.Text) || strings.HasPrefix(n.Text, "AWS::SSM::Parameter::Value<") || strings.HasPrefix(n.Text, "List<") {
		return
	}
	names := map[string]bool{}
	for _, t := range parameterTypes() {
		names[t] = true
	}
	out.add(problem{path: at.path, rule: b.id, fixed: true, message: show(n) + " is not a parameter type", hint: nearestHint(n.Text, names)})
}

func undocumentedType(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && (strings.HasPrefix(n.Text, "AWS::SSM::Parameter::Value<") || strings.HasPrefix(n.Text, "List<")) && !slices.Contains(parameterTypes(), n.Text) {
		out.add(problem{path: at.path, rule: b.id, fixed: true, message: show(n) + " is not a documented type: CloudFormation may take it, but does not check the value"})
	}
}

// parameterTypes are the types of parameters that CloudFormation documents.
func parameterTypes() []string {
	single := []string{"AWS::EC2::AvailabilityZone::Name", "AWS::EC2::Image::Id", "AWS::EC2::Instance::Id", "AWS::EC2::KeyPair::KeyName",
		"AWS::EC2::SecurityGroup::GroupName", "AWS::EC2::SecurityGroup::Id", "AWS::EC2::Subnet::Id", "AWS::EC2::VPC::Id", "AWS::EC2::Volume::Id",
		"AWS::Route53::HostedZone::Id", "AWS::SSM::Parameter::Name", "Number", "String"}
	out := slices.Clone(single)
	for _, t := range single {
		out = append(out, "AWS::SSM::Parameter::Value<"+t+">")
		if t != "AWS::EC2::KeyPair::KeyName" && t != "AWS::SSM::Parameter::Name" {
			out = append(out, "List<"+t+">", "AWS::SSM::Parameter::Value<List<"+t+">>")
		}
	}
	return append(out, "CommaDelimitedList", "AWS::SSM::Parameter::Value<CommaDelimitedList>")
}

// propertyRules are what E3002 reports the keywords of a resource's schema under.
func propertyRules() map[string]string {
	return map[string]string{
		"anyOf": "E3017", "dependentExcluded": "E3020", "dependentRequired": "E3021", "required": "E3003", "requiredOr": "E3058",
		"requiredXor": "E3014", "enum": "E3030", "enumCaseInsensitive": "E3030", "type": "E3012", "minLength": "E3033", "maxLength": "E3033",
		"uniqueItems": "E3037", "maximum": "E3034", "minimum": "E3034", "exclusiveMaximum": "E3034", "exclusiveMinimum": "E3034",
		"maxItems": "E3032", "maxUniqueItems": "E3065", "minItems": "E3032", "pattern": "E3031", "prefixItems": "E3008", "oneOf": "E3018",
	}
}

// resourceProperties checks a resource's properties by its type's schema (E3002).
func resourceProperties(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	kind := n.Get("Type")
	if n.Kind != cfn.Map || !kind.IsString() {
		return
	}
	here := at.down("Properties", cfn.Pos{}) // told at the resource when there are none
	props := &cfn.Node{Kind: cfn.Map, Pos: n.Pos}
	if i := fieldIndex(n, "Properties"); i >= 0 {
		props, here = n.Fields[i].Value, at.key(n.Fields[i])
	}
	if props.Kind != cfn.Map || props.IsNoValue() {
		out.add(problem{path: here.path, rule: "E3012", fixed: true, message: "the properties are " + kindWord(props) + ", not a map"})
		return
	}
	t := e.lint.typeNamed(kind.Text)
	if t == nil {
		return
	}
	rules := &ruleset{id: b.id, of: propertyRules()}
	here.kind, here.rule = (place{rule: e.lint.paths}).as("Resources").as(kind.Text).as("Properties").kind, e.lint.paths.next("Resources").next(kind.Text).next("Properties")
	conds := sc.conds
	if c := n.Get("Condition"); c.IsString() {
		if next, ok := e.conds.assume(conds, c.Text, true, true); ok {
			conds = next
		}
	}
	regions := slices.DeleteFunc(slices.Clone(sc.regions), func(r string) bool { return !e.lint.archive.inRegion(t.name, r) })
	if len(regions) == 0 {
		return
	}
	inner := sc.with(func(c *scope) {
		c.functions, c.strict, c.keywords, c.conds, c.rules, c.regions, c.resource = fnValues, e.strict, true, conds, rules, regions, t
	})
	e.check(inner, here, t.schema, props, out)
	e.tags(inner, here, t, props, out)
	e.lifecycle(t, here, out)
}

// tags checks the tags of what can be tagged (E3024).
func (e *engine) tags(sc *scope, at place, t *resourceType, props *cfn.Node, out *problems) {
	tagging, _ := t.raw["tagging"].(map[string]any)
	if can, _ := tagging["taggable"].(bool); !can || !props.Has("Tags") {
		return
	}
	inner := sc.with(func(c *scope) { c.keywords, c.rules = false, &ruleset{id: "E3024"} })
	var own problems
	e.check(inner, at, e.lint.other("resources/tagging"), props, &own)
	for _, p := range own.list {
		if !p.fixed {
			p.rule = "E3024"
		}
		out.add(p)
	}
}

// policyDocument checks an IAM policy, also one that is a text of JSON.
func policyDocument(file string) checkFunc {
	return func(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
		inner := sc.with(func(c *scope) { c.keywords, c.rules = false, &ruleset{id: b.id} })
		if n.Kind == cfn.String {
			parsed, ok := parseText(n)
			if !ok {
				return
			}
			inner = inner.with(func(c *scope) { c.functions = 0 })
			n, at.frozen = parsed, true
		}
		var own problems
		e.check(inner, at, e.lint.other("iam/"+file), n, &own)
		for _, p := range own.list {
			// Statements of a bucket's policy may have the same Sid.
			if p.keyword == "uniqueKeys" && at.kind.first(1) == "AWS::S3::BucketPolicy" {
				continue
			}
			out.add(p)
		}
	}
}

// parseText reads a text of JSON in place of a value.
func parseText(n *cfn.Node) (*cfn.Node, bool) {
	v, ok := decode(n.Text)
	return nodeOf(v), ok
}

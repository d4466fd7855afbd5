package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// callGetAtt checks that the resource is there, has the attribute, and that the
// attribute is of the type and format that is wanted.
func (e *engine) callGetAtt(sc *scope, c call, out *problems) {
	target, items, ok := e.getAttArgument(c)
	if sc.unknown {
		var format problems
		if ok && e.resources[target[0]] != nil {
			e.getAttFormat(sc, c, target[0], target[1], &format)
		}
		if len(format.list) == 0 {
			format.add(problem{unknown: true})
		}
		out.list = append(out.list, format.list...)
		return
	}
	if !e.call(sc, c, out) {
		return
	}
	if c.arg.Kind == cfn.List && len(c.arg.Items) == 2 && !ok {
		e.computedGetAtt(sc, c, out)
		return
	}
	if !ok {
		c.fail(c.in, "Fn::GetAtt needs a resource and an attribute", "", out)
		return
	}
	name, attribute := target[0], target[1]
	r, t := e.getAttResource(sc, c, items[0], name, out)
	if t == nil {
		return
	}
	a, ok := t.attribute(attribute)
	if !ok {
		c.noAttribute(items[1], r, t, attribute, out)
		return
	}
	if outputs, missing := e.missingOutput(r, attribute); missing {
		c.fail(items[1], strconv.Quote(strings.TrimPrefix(attribute, "Outputs."))+" is not an output of the nested stack "+r.name, nearestHint(attribute, outputs), out)
		return
	}
	if !e.getAttType(c, t, a, r, attribute) {
		want := declaredTypes(c.s)
		c.fail(c.in, show(c.n)+" gives "+typeWords(e.attributeType(t, a))+", not "+typeWords(want), "", out)
		return
	}
	e.getAttFormat(sc, c, name, attribute, out)
}

// getAttResource finds the resource that is named and its type; a type that is
// nil ends the matter.
func (e *engine) getAttResource(sc *scope, c call, at place, name string, out *problems) (*resource, *resourceType) {
	r := e.resources[name]
	switch {
	case r == nil && e.moduleOf(name):
		return nil, nil
	case r != nil && sc.noResources:
		c.fail(at, strconv.Quote(name)+" is a resource, and resources cannot be used here", "", out)
		return nil, nil
	case r == nil:
		c.fail(at, strconv.Quote(name)+" is not a resource of this template", e.nearResource(name), out)
		return nil, nil
	}
	return r, e.lint.typeNamed(r.kind)
}

func (c call) noAttribute(at place, r *resource, t *resourceType, attribute string, out *problems) {
	c.fail(at, strconv.Quote(attribute)+" is not an attribute of "+r.name+" ("+r.kind+")", nearestHint(attribute, attributeNames(t)), out)
}

// computedGetAtt checks a Fn::GetAtt with functions in it, by what they resolve
// to.
func (e *engine) computedGetAtt(sc *scope, c call, out *problems) {
	first, second := c.in.item(0, c.arg.Items[0]), c.in.item(1, c.arg.Items[1])
	e.resolve(sc, c.arg.Items[0], func(name *cfn.Node, nsc *scope, fail *problem) bool {
		if fail != nil || !name.IsString() {
			return true
		}
		before := len(out.list)
		r, t := e.getAttResource(sc, c, first, name.Text, out)
		if t == nil {
			return len(out.list) == before
		}
		return e.resolve(nsc, c.arg.Items[1], func(attribute *cfn.Node, _ *scope, fail *problem) bool {
			if fail != nil || !attribute.IsString() {
				return true
			}
			if _, ok := t.attribute(attribute.Text); !ok {
				c.noAttribute(second, r, t, attribute.Text, out)
				return false
			}
			return true
		})
	})
}

// getAttArgument returns the resource and the attribute, with their places.
func (e *engine) getAttArgument(c call) (target [2]string, at [2]place, ok bool) {
	switch {
	case c.arg.IsString():
		name, attribute, found := strings.Cut(c.arg.Text, ".")
		target, at, ok = [2]string{name, attribute}, [2]place{c.in, c.in}, found
	case c.arg.Kind == cfn.List && len(c.arg.Items) == 2 && c.arg.Items[0].IsString() && c.arg.Items[1].IsString():
		target = [2]string{c.arg.Items[0].Text, c.arg.Items[1].Text}
		at = [2]place{c.in.item(0, c.arg.Items[0]), c.in.item(1, c.arg.Items[1])}
		ok = true
	}
	if !ok {
		return target, at, false
	}
	// What the Serverless transform makes has dots in its name.
	whole := target[0] + "." + target[1]
	for i := strings.LastIndexByte(whole, '.'); i > len(target[0]); i = strings.LastIndexByte(whole[:i], '.') {
		if e.resources[whole[:i]] != nil {
			return [2]string{whole[:i], whole[i+1:]}, at, true
		}
	}
	return target, at, true
}

func (e *engine) nearResource(name string) string {
	names := map[string]bool{}
	for n, r := range e.resources {
		if !r.implied {
			names[n] = true
		}
	}
	return nearestHint(name, names)
}

func attributeNames(t *resourceType) map[string]bool {
	names := map[string]bool{}
	for _, a := range t.attributes {
		names[a.name] = true
	}
	return names
}

// attributeType is the declared type of an attribute, 0 when it has none.
func (e *engine) attributeType(t *resourceType, a attribute) typeSet {
	if a.pointer == "" {
		if strings.HasPrefix(a.name, "Outputs") {
			return tString
		}
		return 0
	}
	return typesOf(t.property(a.pointer)["type"])
}

// getAttType reports whether the attribute's type is one that is wanted. Where
// a number or a boolean is wanted, a text may be one.
func (e *engine) getAttType(c call, t *resourceType, a attribute, r *resource, attribute string) bool {
	if c.s.types == 0 {
		return true
	}
	have := e.attributeType(t, a)
	if r.kind == "AWS::DocDB::DBCluster" && attribute == "Port" {
		have = tString
	}
	if have == 0 || c.s.types&(tBoolean|tInteger) != 0 {
		return true
	}
	return have&c.s.types != 0
}

// getAttFormat checks that the attribute has the format that is wanted (E1040).
func (e *engine) getAttFormat(sc *scope, c call, name, attribute string, out *problems) {
	want := c.s.format
	r := e.resources[name]
	if !strings.Contains(want, "::") {
		return
	}
	switch r.kind {
	case "AWS::CloudFormation::CustomResource", "AWS::CloudFormation::Stack", "AWS::Serverless::Application", "AWS::ServiceCatalog::CloudFormationProvisionedProduct":
		return
	}
	if r.kind == "AWS::SSM::Parameter" && attribute == "Value" {
		return
	}
	t := e.lint.typeNamed(r.kind)
	if t == nil {
		return
	}
	a, ok := t.attribute(attribute)
	if !ok || a.pointer == "" {
		return
	}
	have := formatsOf(t.property(a.pointer))
	if !slices.Contains(have, want) {
		out.add(problem{path: c.at.path, rule: "E1040", fixed: true, message: name + "." + attribute + " is " + formatWords(have) + ", not " + want})
	}
}

// refFormat checks that what a Ref to a resource gives has the format that is
// wanted (E1041).
func (e *engine) refFormat(sc *scope, c call, name string, out *problems) {
	want := c.s.format
	r := e.resources[name]
	if !strings.Contains(want, "::") || r == nil || r.implied || e.params[name] != nil || r.kind == "AWS::CloudFormation::CustomResource" {
		return
	}
	t := e.lint.typeNamed(r.kind)
	if t == nil {
		return
	}
	have := t.refFormats
	if r.kind == "AWS::EC2::SecurityGroup" {
		have = []string{"AWS::EC2::SecurityGroup.Name"}
		if r.node.Get("Properties").Has("VpcId") {
			have = []string{"AWS::EC2::SecurityGroup.Id"}
		}
	}
	if !slices.Contains(have, want) {
		out.add(problem{path: c.at.path, rule: "E1041", fixed: true, message: "Ref: " + name + " is " + formatWords(have) + ", not " + want})
	}
}

func formatWords(formats []string) string {
	if len(formats) == 0 {
		return "of another kind"
	}
	return strings.Join(formats, " or ")
}

// noEcho warns where a secret parameter would be readable.
func (e *engine) noEcho(c call, name string, out *problems) {
	p := e.params[name]
	if p == nil || !p.noEcho {
		return
	}
	section := c.at.path.first(0)
	if section == "Resources" && c.at.path.first(2) == "Metadata" || section == "Metadata" || section == "Outputs" {
		out.add(problem{path: c.in.path, rule: "W2010", fixed: true, message: "the parameter " + name + " is secret (NoEcho), but this value can be read by everyone who can read the stack"})
	}
}

package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

func (e *engine) callSub(sc *scope, c call, out *problems) {
	if !e.call(sc, c, out) {
		return
	}
	text, given := c.arg, (*cfn.Node)(nil)
	if c.arg.Kind == cfn.List {
		if len(c.arg.Items) != 2 {
			return
		}
		text, given = c.arg.Items[0], c.arg.Items[1]
	}
	inner := sc.with(func(x *scope) { x.strict, x.keywords, x.rules = true, false, nil })
	variables := cfn.Variables(text.Text)
	bad := false
	for _, v := range variables {
		fn := "Ref"
		if strings.Contains(v.Name, ".") {
			fn = "Fn::GetAtt"
		}
		if given.Has(v.Name) && !selfReference(given.Get(v.Name), v.Name) && fn == "Ref" || e.samStage(v.Name) {
			continue
		}
		if fn == "Fn::GetAtt" && given.Has(v.Name) {
			continue
		}
		node := &cfn.Node{Kind: cfn.Map, Fields: []cfn.Field{{Name: fn, Value: &cfn.Node{Kind: cfn.String, Text: v.Name}}}}
		var own problems
		e.check(inner, c.in, stringSchema, node, &own)
		for _, p := range own.list {
			if p.unknown {
				continue
			}
			bad = true
			p.path = c.in.path
			if p.rule != "W2010" {
				p.keyword, p.rule, p.fixed = c.keyword, c.rule, false
				p.message = "${" + v.Name + "}: " + p.message
			}
			out.add(p)
		}
	}
	if !bad {
		e.subUse(c, text, given, variables, out)
	}
}

var stringSchema = &schema{types: tString, maxItems: -1, maxLength: -1, maxProperties: -1}

func selfReference(n *cfn.Node, name string) bool {
	bit, arg := anyFunction(n)
	return bit == fnRef && arg.IsString() && arg.Text == name
}

// subUse warns of parameters that the text does not use, and of a text without
// variables.
func (e *engine) subUse(c call, text, given *cfn.Node, variables []cfn.Variable, out *problems) {
	if given != nil {
		for _, f := range given.Fields {
			if !slices.ContainsFunc(variables, func(v cfn.Variable) bool { return v.Name == f.Name }) {
				at := c.in.item(1, given).key(f)
				out.add(problem{path: at.path, rule: "W1019", fixed: true, message: strconv.Quote(f.Name) + " is not used in the text of Fn::Sub"})
			}
		}
	}
	if len(variables) == 0 && !e.sam && !e.filled[text] {
		at := c.in
		if c.arg.Kind == cfn.List {
			at = at.item(0, text)
		}
		out.add(problem{path: at.path, rule: "W1020", fixed: true, message: "Fn::Sub is not needed: the text has no variables"})
	}
}

// subNotJoin reports that Fn::Sub reads better than joining with nothing.
func (e *engine) subNotJoin(c call, out *problems) {
	if e.cdk || len(c.arg.Items) != 2 || !c.arg.Items[0].IsString() || c.arg.Items[0].Text != "" || c.arg.Items[1].Kind != cfn.List {
		return
	}
	for _, item := range c.arg.Items[1].Items {
		if item.Kind != cfn.Map || len(item.Fields) != 1 {
			continue
		}
		switch item.Fields[0].Name {
		case "Ref", "Fn::GetAtt":
		case "Fn::Sub":
			if !item.Fields[0].Value.IsString() {
				return
			}
		default:
			return
		}
	}
	out.add(problem{path: c.in.item(0, c.arg.Items[0]).path, rule: "I1022", fixed: true, message: "Fn::Sub reads better than Fn::Join with an empty delimiter"})
}

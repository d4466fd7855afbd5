package lint

import (
	"slices"
	"strconv"

	"refline/internal/cfn"
)

// intrinsic is what is known of a function: the rules that speak of it, the
// types it may give, and the schema of its argument.
type intrinsic struct {
	keyword  string
	rule     string
	resolved string // rule for the values it resolves to, "" when it is not resolved
	gives    typeSet
	schema   string
}

func intrinsicOf(bit fnSet) (intrinsic, bool) {
	switch bit {
	case fnRef:
		return intrinsic{"ref", "E1020", "W1030", tAll, "ref"}, true
	case fnBase64:
		return intrinsic{"fn_base64", "E1021", "", tString, "base64"}, true
	case fnCidr:
		return intrinsic{"fn_cidr", "E1024", "", tArray, "cidr"}, true
	case fnFindInMap:
		return intrinsic{"fn_findinmap", "E1011", "W1034", tArray | tSingle, "findinmap"}, true
	case fnGetAtt:
		return intrinsic{"fn_getatt", "E1010", "", tAll, "getatt"}, true
	case fnGetAZs:
		return intrinsic{"fn_getazs", "E1015", "W1036", tArray, "getazs"}, true
	case fnGetStackOutput:
		return intrinsic{"fn_getstackoutput", "E1033", "", tSingle, "getstackoutput"}, true
	case fnIf:
		return intrinsic{"fn_if", "E1028", "", tAll, "if"}, true
	case fnImportValue:
		return intrinsic{"fn_importvalue", "E1016", "", tSingle, "importvalue"}, true
	case fnJoin:
		return intrinsic{"fn_join", "E1022", "W1032", tString, "join"}, true
	case fnLength:
		return intrinsic{"fn_length", "E1030", "", tInteger, "length"}, true
	case fnSelect:
		return intrinsic{"fn_select", "E1017", "W1035", tAll, "select"}, true
	case fnSplit:
		return intrinsic{"fn_split", "E1018", "W1033", tArray, "split"}, true
	case fnSub:
		return intrinsic{"fn_sub", "E1019", "W1031", tString, "sub"}, true
	case fnToJSONString:
		return intrinsic{"fn_tojsonstring", "E1031", "W1040", tString, "tojsonstring"}, true
	case fnAnd:
		return intrinsic{"fn_and", "E8004", "", tBoolean, "and"}, true
	case fnOr:
		return intrinsic{"fn_or", "E8006", "", tBoolean, "or"}, true
	case fnNot:
		return intrinsic{"fn_not", "E8005", "", tBoolean, "not"}, true
	case fnEquals:
		return intrinsic{"fn_equals", "E8003", "", tBoolean, "equals"}, true
	case fnCondition:
		return intrinsic{"condition", "E8007", "", tBoolean, "condition"}, true
	}
	return intrinsic{}, false
}

// call is a function at its place.
type call struct {
	intrinsic
	bit  fnSet
	name string
	n    *cfn.Node // the map with the function
	arg  *cfn.Node
	s    *schema // of the value it stands for
	at   place   // of n
	in   place   // of arg
}

// function checks a function: its argument, the type of what it gives, and,
// where that can be known, the values it resolves to.
func (e *engine) function(sc *scope, at place, s *schema, n *cfn.Node, bit fnSet, arg *cfn.Node, out *problems) {
	in, ok := intrinsicOf(bit)
	if !ok {
		return
	}
	c := call{intrinsic: in, bit: bit, name: n.Fields[0].Name, n: n, arg: arg, s: s, at: at, in: at.key(n.Fields[0])}
	switch bit {
	case fnIf:
		e.callIf(sc, c, out)
	case fnRef:
		e.callRef(sc, c, out)
	case fnGetAtt:
		e.callGetAtt(sc, c, out)
	case fnSub:
		e.callSub(sc, c, out)
	case fnLength, fnToJSONString:
		e.extension(sc, c, out)
	case fnJoin:
		e.call(sc.with(func(x *scope) { x.strict = true }), c, out)
		e.subNotJoin(c, out)
	case fnSplit:
		if e.call(sc, c, out) && !sc.unknown && len(arg.Items) == 2 && arg.Items[1].IsString() && isDynamicReference(arg.Items[1].Text) {
			c.fail(c.in.item(1, arg.Items[1]), "Fn::Split cannot split a dynamic reference", "it is resolved after the template", out)
		}
	case fnImportValue:
		if e.call(sc, c, out) && at.path.first(0) == "Outputs" && at.path.first(2) == "Value" {
			out.add(problem{path: c.in.path, rule: "W6001", fixed: true, message: "this output is the output of another stack"})
		}
	case fnEquals:
		if e.call(sc, c, out) {
			e.usefulEquals(c, out)
		}
	case fnSelect:
		if e.call(sc, c, out) && len(arg.Items) == 2 && arg.Items[1].Kind == cfn.List {
			if i, err := strconv.Atoi(arg.Items[0].Text); err == nil && i >= len(arg.Items[1].Items) {
				c.fail(c.in.item(0, arg.Items[0]), "there is no item "+arg.Items[0].Text+": the list has "+counted(len(arg.Items[1].Items), "item")+", from 0", "", out)
			}
		}
	case fnGetAZs:
		if e.call(sc, c, out) && arg.IsString() && arg.Text != "" && !slices.Contains(e.lint.archive.regions, arg.Text) {
			c.fail(c.in, show(arg)+" is not a region", "", out)
		}
	default:
		e.call(sc, c, out)
	}
}

// extension is a function of the language extensions. Everything wrong in it is
// reported by its own rule.
func (e *engine) extension(sc *scope, c call, out *problems) {
	var own problems
	if e.languages {
		e.call(sc, c, &own)
	} else {
		c.fail(c.at, c.name+" needs the transform "+cfn.LanguageExtensions, "", &own)
	}
	for _, p := range own.list {
		if !p.fixed && !p.unknown && p.rule != c.intrinsic.resolved {
			p.rule, p.fixed = c.rule, true
		}
		out.add(p)
	}
}

func (c call) fail(at place, message, hint string, out *problems) {
	out.add(problem{path: at.path, keyword: c.keyword, rule: c.rule, message: message, hint: hint})
}

// call does what is the same for all functions. It reports whether the function
// is well formed and all its values are good.
func (e *engine) call(sc *scope, c call, out *problems) bool {
	if sc.unknown {
		out.add(problem{unknown: true})
		return false
	}
	var own problems
	e.outputType(c, &own)
	e.argument(sc, c, e.functionSchema(c), &own)
	if len(own.list) > 0 {
		out.list = append(out.list, own.list...)
		return false
	}
	before := len(out.list)
	e.resolved(sc, c, out)
	return len(out.list) == before
}

// outputType checks that the function can return a wanted type.
func (e *engine) outputType(c call, out *problems) {
	want := declaredTypes(c.s)
	if want != 0 && widened(c.gives)&want == 0 {
		c.fail(c.at, show(c.n)+" gives "+typeWords(c.gives)+", not "+typeWords(want), "", out)
	}
}

func declaredTypes(s *schema) typeSet {
	for range 20 {
		if s.types != 0 || s.ref == nil {
			return s.types
		}
		s = s.ref
	}
	return 0
}

// widened adds the types that CloudFormation makes of others.
func widened(t typeSet) typeSet {
	if t&tString != 0 {
		t |= tSingle
	}
	if t&tInteger != 0 {
		t |= tNumber | tString
	}
	if t&(tBoolean|tNumber) != 0 {
		t |= tString
	}
	return t
}

// functionSchema is the schema of a function's argument. That of Fn::Select
// knows how long a list is that is written out.
func (e *engine) functionSchema(c call) *schema { return e.lint.other("functions/" + c.schema) }

// argument checks a function's argument. A problem of another function in it is
// a problem of this one, as cfn-lint has it.
func (e *engine) argument(sc *scope, c call, s *schema, out *problems) {
	inner := sc.with(func(x *scope) { x.strict, x.keywords, x.rules = false, false, nil })
	var own problems
	e.check(inner, c.in, s, c.arg, &own)
	for _, p := range own.list {
		if p.keyword != "ref" && !p.fixed {
			p.keyword, p.rule = c.keyword, c.rule
		}
		out.add(p)
	}
}

// resolved checks the values that a function resolves to, when the schema says
// anything about them. One good value that does not come from a parameter is
// enough; else every problem is reported, at the function.
func (e *engine) resolved(sc *scope, c call, out *problems) {
	if c.intrinsic.resolved == "" || !c.s.constrains {
		return
	}
	loose := sc.with(func(x *scope) { x.strict = false })
	var all problems
	good := false
	e.resolve(loose, c.n, func(v *cfn.Node, rs *scope, fail *problem) bool {
		if fail != nil {
			if !rs.fromParameter {
				p := *fail
				p.keyword, p.rule = c.keyword, c.rule
				p.path = e.failPath(c, fail)
				all.add(p)
			}
			return true
		}
		var own problems
		here := c.in
		here.frozen = true
		e.check(rs, here, c.s, v, &own)
		if len(own.list) == 0 && !rs.fromParameter {
			good = true
			return false
		}
		for _, p := range own.list {
			all.add(c.resolvedProblem(p, v))
		}
		return true
	})
	if !good {
		out.list = append(out.list, all.list...)
	}
}

func (c call) resolvedProblem(p problem, v *cfn.Node) problem {
	if p.unknown {
		return p
	}
	p.rule, p.fixed = c.intrinsic.resolved, true
	if c.bit != fnRef || single(v) {
		p.message += " when " + show(c.n) + " is " + show(v)
	}
	for i, u := range p.under {
		p.under[i] = c.resolvedProblem(u, v)
	}
	return p
}

// failPath is where a value could not be resolved: an item of the argument.
func (e *engine) failPath(c call, fail *problem) *step {
	i, err := strconv.Atoi(fail.keyword)
	if err == nil && c.arg.Kind == cfn.List && i < len(c.arg.Items) {
		return c.in.item(i, c.arg.Items[i]).path
	}
	return c.in.path
}

func (e *engine) callIf(sc *scope, c call, out *problems) {
	var own problems
	e.outputType(c, &own)
	e.argument(sc, c, e.functionSchema(c), &own)
	if len(own.list) > 0 {
		out.list = append(out.list, own.list...)
		return
	}
	name := c.arg.Items[0].Text
	for i := 1; i <= 2; i++ {
		branch := c.in.item(i, c.arg.Items[i])
		inner := sc
		if next, ok := e.conds.assume(sc.conds, name, i == 1, true); ok {
			inner = sc.with(func(x *scope) { x.conds = next })
		} else if !e.conds.reachable(sc.conds, name, i == 1) {
			out.add(problem{path: branch.path, rule: "W1028", fixed: true,
				message: "this branch of Fn::If is never taken: " + strconv.Quote(name) + " cannot be " + strconv.FormatBool(i == 1) + " here"})
		}
		e.check(inner, branch, c.s, c.arg.Items[i], out)
	}
}

func (e *engine) callRef(sc *scope, c call, out *problems) {
	e.call(sc, c, out)
	if !c.arg.IsString() {
		return
	}
	name := c.arg.Text
	want := declaredTypes(c.s)
	gives := typeSet(0)
	if p := e.params[name]; p != nil {
		gives = tSingle
		if p.list {
			gives = tArray
		}
	} else if isPseudo(name) && name != "AWS::NoValue" {
		gives = tSingle
		if name == "AWS::NotificationARNs" {
			gives = tArray
		}
	} else if e.resources[name] != nil && !sc.noResources {
		gives = tSingle
		if want&tSingle != 0 {
			gives = 0
		}
	}
	if gives != 0 && want != 0 && gives&want == 0 {
		word := typeWords(tString)
		if gives == tArray {
			word = typeWords(tArray)
		}
		c.fail(c.at, show(c.n)+" gives "+word+", not "+typeWords(want), "", out)
		return
	}
	e.noEcho(c, name, out)
	e.dynamicSecret(c, name, out)
	e.imageParameter(c, name, out)
	e.refFormat(sc, c, name, out)
}

// usefulEquals warns of a comparison that has always the same result.
func (e *engine) usefulEquals(c call, out *problems) {
	if len(c.arg.Items) != 2 {
		return
	}
	a, aFixed := fixedText(c.arg.Items[0])
	b, bFixed := fixedText(c.arg.Items[1])
	equal := cfn.Equal(c.arg.Items[0], c.arg.Items[1]) || aFixed && bFixed && a == b
	if equal || aFixed && bFixed {
		out.add(problem{path: c.at.path, rule: "W8003", fixed: true, message: show(c.n) + " is always " + strconv.FormatBool(equal)})
	}
}

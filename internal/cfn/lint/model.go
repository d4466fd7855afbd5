package lint

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// resource is a resource of the template.
type resource struct {
	name      string
	kind      string // its type; a custom one is AWS::CloudFormation::CustomResource
	condition string
	node      *cfn.Node
	field     cfn.Field
	implied   bool // made by a transform, not written
}

func (e *engine) addResource(f cfn.Field) {
	kind := f.Value.Get("Type")
	if !kind.IsString() {
		return
	}
	r := &resource{name: f.Name, kind: kind.Text, node: f.Value, field: f}
	if strings.HasPrefix(r.kind, "Custom::") {
		r.kind = "AWS::CloudFormation::CustomResource"
	}
	if c := f.Value.Get("Condition"); c.IsString() {
		r.condition = c.Text
	}
	if strings.HasSuffix(r.kind, "::MODULE") || strings.HasPrefix(r.kind, "AWS::Serverless::") {
		e.modules = append(e.modules, f.Name)
	}
	e.resources[f.Name] = r
	e.order = append(e.order, f.Name)
}

// implied adds the resources that the Serverless transform makes and that a
// template may name.
func (e *engine) implied() {
	add := func(name, kind string) {
		if e.resources[name] == nil {
			e.resources[name] = &resource{name: name, kind: kind, node: &cfn.Node{Kind: cfn.Map}, implied: true}
		}
	}
	for _, name := range slices.Clone(e.order) {
		r := e.resources[name]
		props := r.node.Get("Properties")
		switch r.kind {
		case "AWS::Serverless::Function", "AWS::Serverless::StateMachine":
			e.impliedByFunction(name, r, props, add)
		case "AWS::Serverless::Api":
			add(name+"Stage", "AWS::ApiGateway::Stage")
			if props.Has("Domain") {
				add(name+"DomainName", "AWS::ApiGateway::DomainName")
			}
			if props.Has("Auth") {
				add(name+"UsagePlan", "AWS::ApiGateway::UsagePlan")
			}
		case "AWS::Serverless::HttpApi":
			add(name+"Stage", "AWS::ApiGatewayV2::Stage")
		}
	}
}

func (e *engine) impliedByFunction(name string, r *resource, props *cfn.Node, add func(name, kind string)) {
	if !props.Has("Role") {
		add(name+"Role", "AWS::IAM::Role")
	}
	if r.kind == "AWS::Serverless::Function" {
		if props.Has("AutoPublishAlias") || props.Has("DeploymentPreference") {
			add(name+".Version", "AWS::Lambda::Version")
			add(name+".Alias", "AWS::Lambda::Alias")
		}
		if props.Has("FunctionUrlConfig") {
			add(name+"Url", "AWS::Lambda::Url")
		}
		add("ServerlessDeploymentApplication", "AWS::CodeDeploy::Application")
		add(name+"DeploymentGroup", "AWS::CodeDeploy::DeploymentGroup")
		add("CodeDeployServiceRole", "AWS::IAM::Role")
	}
	events := props.Get("Events")
	if events == nil {
		return
	}
	for _, ev := range events.Fields {
		add(name+ev.Name+"Permission", "AWS::Lambda::Permission")
		kind := ev.Value.Get("Type")
		switch {
		case kind.IsString() && kind.Text == "Api" && !ev.Value.Get("Properties").Has("RestApiId"):
			add("ServerlessRestApi", "AWS::Serverless::Api")
			add("ServerlessRestApiStage", "AWS::ApiGateway::Stage")
		case kind.IsString() && kind.Text == "HttpApi" && !ev.Value.Get("Properties").Has("ApiId"):
			add("ServerlessHttpApi", "AWS::Serverless::HttpApi")
			add("ServerlessHttpApiStage", "AWS::ApiGatewayV2::Stage")
		}
	}
}

// moduleOf reports whether a name may be of a resource that a module, a
// transform or a loop over what cannot be known makes.
func (e *engine) moduleOf(name string) bool {
	if slices.ContainsFunc(e.open, func(names *regexp.Regexp) bool { return names.MatchString(name) }) {
		return true
	}
	return slices.ContainsFunc(e.modules, func(m string) bool { return len(name) > len(m) && strings.HasPrefix(name, m) })
}

// samStage reports whether a text names the stage of a serverless API.
func (e *engine) samStage(name string) bool {
	api, ok := strings.CutSuffix(name, ".Stage")
	if !ok || e.resources[api] == nil {
		return false
	}
	kind := e.resources[api].kind
	return (kind == "AWS::Serverless::Api" || kind == "AWS::Serverless::HttpApi") && e.resources[api+"Stage"] != nil
}

// parameter is a parameter of the template.
type parameter struct {
	kind   string
	list   bool
	ssm    bool
	noEcho bool
	path   string // of an SSM parameter: its default
	values []parameterValue
}

// parameterValue is a value that a parameter may have and where it is written.
type parameterValue struct {
	value *cfn.Node
	at    *step
}

func newParameter(f cfn.Field) *parameter {
	kind := f.Value.Get("Type")
	if !kind.IsString() {
		return nil
	}
	p := &parameter{kind: kind.Text}
	p.list = p.kind == "CommaDelimitedList" || strings.HasPrefix(p.kind, "List<") ||
		strings.HasPrefix(p.kind, "AWS::SSM::Parameter::Value<List<") || p.kind == "AWS::SSM::Parameter::Value<CommaDelimitedList>"
	p.ssm = strings.HasPrefix(p.kind, "AWS::SSM::Parameter::")
	if n := f.Value.Get("NoEcho"); n != nil && (n.Kind == cfn.Bool || n.Kind == cfn.String) {
		p.noEcho, _ = booleanOf(n)
	}
	base := place{}.down("Parameters", f.Pos).key(f)
	if p.ssm {
		if d := f.Value.Get("Default"); d.IsString() {
			p.path = d.Text
		}
		return p
	}
	if list := f.Value.Get("AllowedValues"); list != nil && list.Kind == cfn.List && len(list.Items) > 0 {
		at := base.key(f.Value.Fields[fieldIndex(f.Value, "AllowedValues")])
		for i, v := range list.Items {
			p.add(v, at.item(i, v).path)
		}
		return p
	}
	for _, key := range []string{"Default", "MinValue", "MaxValue"} {
		if v := f.Value.Get(key); v != nil && v.Kind != cfn.Null {
			p.add(v, base.key(f.Value.Fields[fieldIndex(f.Value, key)]).path)
		}
	}
	return p
}

// add notes a value; that of a list is split at its commas.
func (p *parameter) add(v *cfn.Node, at *step) {
	if !single(v) {
		return
	}
	if p.list && p.kind != "" {
		list := &cfn.Node{Kind: cfn.List, Pos: v.Pos}
		for part := range strings.SplitSeq(textOf(v), ",") {
			list.Items = append(list.Items, text2node(strings.TrimSpace(part), v.Pos))
		}
		v = list
	} else {
		v = text2node(textOf(v), v.Pos)
	}
	p.values = append(p.values, parameterValue{v, at})
}

// given takes the values that a stack will get and checks them (E2900).
func (e *engine) given(values map[string]string, unknown []string) {
	section := e.root.Get("Parameters")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !section.Has(name) {
			e.add("E2900", e.stepTo("Parameters"), "the configuration sets "+strconv.Quote(name)+", which is not a parameter of the template", nearestHint(name, e.params))
		}
	}
	if section == nil {
		return
	}
	for _, f := range section.Fields {
		p := e.params[f.Name]
		text, ok := values[f.Name]
		switch {
		case p == nil:
			continue
		case !ok && slices.Contains(unknown, f.Name):
			p.values = nil
			continue
		case !ok:
			if !f.Value.Has("Default") {
				e.add("E2900", e.stepTo("Parameters", f.Name), "the parameter "+strconv.Quote(f.Name)+" has no value and no default", "")
			}
			continue
		}
		if wrong := p.refuses(f.Value, text); wrong != "" {
			shown := "the value"
			if !p.noEcho {
				shown += " " + strconv.Quote(text)
			}
			e.add("E2900", e.stepTo("Parameters", f.Name), shown+" of the parameter "+f.Name+" "+wrong, "")
		}
		if p.values = nil; !p.noEcho && !p.ssm {
			p.add(&cfn.Node{Kind: cfn.String, Text: text, Pos: f.Pos}, e.stepTo("Parameters", f.Name))
		}
	}
}

// refuses returns why a parameter does not accept a value, "" if it does. Of a
// list every item must be allowed, or the whole.
func (p *parameter) refuses(n *cfn.Node, text string) string {
	if p.ssm {
		return "" // the value is the name of what is taken
	}
	if p.kind == "Number" {
		if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
			return "is not a number"
		}
	}
	wrong := defaultProblem(n, text, nil)
	if wrong == "" || !p.list {
		return wrong
	}
	for part := range strings.SplitSeq(text, ",") {
		if defaultProblem(n, strings.TrimSpace(part), nil) != "" {
			return wrong
		}
	}
	return ""
}

// canRef reports whether a Ref may name something here.
func (e *engine) canRef(sc *scope, name string) bool {
	switch {
	case isPseudo(name):
		return sc.pseudo == nil || slices.Contains(sc.pseudo, name)
	case e.params[name] != nil, sc.refs.find(name) != nil:
		return true
	case sc.noResources:
		return false
	}
	return e.resources[name] != nil || e.moduleOf(name)
}

func (e *engine) nearRef(name string) string {
	names := map[string]bool{}
	for n := range e.params {
		if n != loopValue {
			names[n] = true
		}
	}
	for n, r := range e.resources {
		if !r.implied {
			names[n] = true
		}
	}
	for _, p := range []string{"AccountId", "NoValue", "NotificationARNs", "Partition", "Region", "StackId", "StackName", "URLSuffix"} {
		names["AWS::"+p] = true
	}
	if near := nearest(name, names); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

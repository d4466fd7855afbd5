package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"refline/internal/cfn"
)

// wholeTemplate checks what needs all of the template at once.
func (e *engine) wholeTemplate() {
	e.size()
	e.entries()
	e.subNeeded()
	e.parameterDefaults()
	e.uniqueNames()
	e.passwords()
	g := e.graph()
	e.circles(g)
	e.availability(g)
	e.unused(g)
	e.primaryIdentifiers()
	e.subscriptionFilters()
	e.routeTables()
	e.networks()
	e.privateNames()
	e.artifactNames()
	e.moduleParts()
	e.nestedStacks()
	e.aliases()
	e.oldInstances()
	e.fixedPartitions()
}

func (e *engine) add(rule string, at *step, message, hint string) {
	e.found.add(problem{path: at, rule: rule, fixed: true, message: message, hint: hint})
}

// stepTo is the step to a path of the template.
func (e *engine) stepTo(path ...string) *step {
	at := place{}
	n := e.root
	for _, name := range path {
		switch {
		case n != nil && n.Kind == cfn.List:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(n.Items) {
				return at.down(name, cfn.Pos{}).path
			}
			n = n.Items[i]
			at = at.item(i, n)
		case n != nil && fieldIndex(n, name) >= 0:
			f := n.Fields[fieldIndex(n, name)]
			at, n = at.key(f), f.Value
		default:
			at, n = at.down(name, cfn.Pos{}), nil
		}
	}
	return at.path
}

const mostBytes = 1_000_000

func (e *engine) size() {
	switch size := e.template.Size; {
	case size > mostBytes:
		e.add("E1002", nil, "the template has "+strconv.Itoa(size)+" bytes; CloudFormation accepts at most "+strconv.Itoa(mostBytes), "nested stacks split it")
	case size > mostBytes/10*9:
		e.add("I1002", nil, "the template has "+strconv.Itoa(size)+" bytes, near the "+strconv.Itoa(mostBytes)+" that CloudFormation accepts", "")
	}
}

// mostEntries is how many parameters and mappings a template may have. The
// schemas of these sections do not have the limit.
const mostEntries = 200

func (e *engine) entries() {
	for _, section := range []struct{ name, over, near string }{{"Parameters", "E2010", "I2010"}, {"Mappings", "E7010", "I7010"}} {
		at := fieldIndex(e.root, section.name)
		if at < 0 || e.root.Fields[at].Value.Kind != cfn.Map {
			continue
		}
		switch number := len(e.root.Fields[at].Value.Fields); {
		case number > mostEntries:
			e.add(section.over, e.stepTo(section.name), "at most "+strconv.Itoa(mostEntries)+" entries, found "+strconv.Itoa(number), "nested stacks split the template")
		case near(number, mostEntries):
			e.add(section.near, e.stepTo(section.name), strconv.Itoa(number)+" entries, near the "+strconv.Itoa(mostEntries)+" that are allowed", "")
		}
	}
}

var embedded = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{[A-Za-z0-9_:\.]+\}`) })

// subNeeded finds variables in texts that Fn::Sub does not see (E1029).
func (e *engine) subNeeded() {
	e.visit(place{}, e.root, func(at place, n *cfn.Node) bool {
		if !n.IsString() {
			return at.path == nil || at.path.name != "Fn::Sub"
		}
		if !strings.Contains(n.Text, "${") || at.path.name == "TemplateBody" || at.path.has("Fn::Sub") {
			return true
		}
		for _, found := range embedded().FindAllString(n.Text, -1) {
			name := found[2 : len(found)-1]
			if e.substituted(at.path, name) {
				continue
			}
			if e.isReference(name) || at.path.has("DefinitionString") {
				e.add("E1029", at.path, found+" is not replaced here", "put the text into Fn::Sub")
			}
		}
		return true
	})
}

// substituted reports whether a state machine replaces the name itself.
func (e *engine) substituted(at *step, name string) bool {
	if at.first(2) != "Properties" || at.first(3) != "DefinitionString" && at.first(3) != "Definition" {
		return false
	}
	return e.root.Get("Resources").Get(at.first(1)).Get("Properties").Get("DefinitionSubstitutions").Has(name)
}

// isReference reports whether ${name} would be replaced by Fn::Sub.
func (e *engine) isReference(name string) bool {
	if isPseudo(name) || e.params[name] != nil || e.resources[name] != nil {
		return true
	}
	resource, attribute, ok := strings.Cut(name, ".")
	r := e.resources[resource]
	if !ok || r == nil {
		return false
	}
	t := e.lint.typeNamed(r.kind)
	if t == nil {
		return false
	}
	_, ok = t.attribute(attribute)
	return ok
}

// visit calls f for a value and all below it, until f says no.
func (e *engine) visit(at place, n *cfn.Node, f func(place, *cfn.Node) bool) {
	if n == nil || !f(at, n) {
		return
	}
	for _, field := range n.Fields {
		e.visit(at.key(field), field.Value, f)
	}
	for i, item := range n.Items {
		e.visit(at.item(i, item), item, f)
	}
}

// parameterDefaults checks that a parameter's default is one it allows (E2015).
func (e *engine) parameterDefaults() {
	section := e.root.Get("Parameters")
	if section == nil {
		return
	}
	for _, f := range section.Fields {
		d := f.Value.Get("Default")
		if d == nil || !single(d) {
			continue
		}
		wrong := defaultProblem(f.Value, textOf(d), d)
		if p := e.params[f.Name]; wrong != "" && p != nil && p.list {
			ok := true
			for part := range strings.SplitSeq(textOf(d), ",") {
				ok = ok && defaultProblem(f.Value, strings.TrimSpace(part), nil) == ""
			}
			if ok {
				wrong = ""
			}
		}
		if wrong != "" {
			e.add("E2015", e.stepTo("Parameters", f.Name, "Default"), "the default "+show(d)+" "+wrong, "")
		}
	}
}

func defaultProblem(p *cfn.Node, text string, d *cfn.Node) string {
	if re := p.Get("AllowedPattern"); re.IsString() && !newPattern("^(?:"+re.Text+")").match(text) {
		return "does not match AllowedPattern " + re.Text
	}
	if list := p.Get("AllowedValues"); list != nil && list.Kind == cfn.List && len(list.Items) > 0 &&
		!slices.ContainsFunc(list.Items, func(v *cfn.Node) bool { return single(v) && textOf(v) == text }) {
		return "is not one of AllowedValues"
	}
	length := len([]rune(text))
	if n := p.Get("MinLength"); n != nil && n.Kind == cfn.Int && length < numberOf(n) {
		return "is shorter than MinLength " + n.Text
	}
	if n := p.Get("MaxLength"); n != nil && n.Kind == cfn.Int && length > numberOf(n) {
		return "is longer than MaxLength " + n.Text
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || d != nil && d.Kind != cfn.Int {
		return ""
	}
	if n := p.Get("MinValue"); n != nil && n.Kind == cfn.Int && value < float64(numberOf(n)) {
		return "is less than MinValue " + n.Text
	}
	if n := p.Get("MaxValue"); n != nil && n.Kind == cfn.Int && value > float64(numberOf(n)) {
		return "is more than MaxValue " + n.Text
	}
	return ""
}

func numberOf(n *cfn.Node) int {
	f, _ := n.Number()
	return int(f)
}

// uniqueNames finds names that a resource and a parameter share (E3007).
func (e *engine) uniqueNames() {
	if section := e.root.Get("Resources"); section != nil {
		for _, f := range section.Fields {
			if e.root.Get("Parameters").Has(f.Name) {
				e.add("E3007", e.stepTo("Resources", f.Name), strconv.Quote(f.Name)+" is the name of a parameter too", "")
			}
		}
	}
}

// passwords finds secrets that are written out or shown (W2501).
func (e *engine) passwords() {
	names := []string{"AccountPassword", "AdminPassword", "ADDomainJoinPassword", "CrossRealmTrustPrincipalPassword", "KdcAdminPassword",
		"Password", "DbPassword", "MasterUserPassword", "PasswordParam"}
	shown := map[string]string{}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		e.visit(at, props, func(at place, n *cfn.Node) bool {
			if !slices.Contains(names, at.path.name) {
				return true
			}
			switch bit, arg := anyFunction(n); {
			case n.IsString() && !isDynamicReference(n.Text):
				e.add("W2501", at.path, "the password is hard-coded", "use a dynamic reference to Secrets Manager")
			case n.IsString() && strings.Contains(n.Text, "{{resolve:ssm:"):
				e.add("W2501", at.path, "the password comes from a plain SSM parameter", "use ssm-secure or secretsmanager")
			case bit == fnRef && arg.IsString() && e.params[arg.Text] != nil && !e.params[arg.Text].noEcho:
				shown[arg.Text] = at.path.name
			case n.Kind == cfn.Map && len(n.Fields) != 1:
				e.add("W2501", at.path, "a password must be a string, not a map", "")
			}
			return true
		})
	})
	for name, use := range shown {
		e.add("W2501", e.stepTo("Parameters", name), "the parameter "+name+" is a password ("+use+") and is visible to everyone", "set NoEcho: true")
	}
}

// eachResource calls f with the properties of every resource that has some.
func (e *engine) eachResource(f func(r *resource, at place, props *cfn.Node)) {
	root := place{}.down("Resources", e.root.Pos)
	for _, name := range e.order {
		r := e.resources[name]
		if i := fieldIndex(r.node, "Properties"); i >= 0 {
			f(r, root.key(r.field).key(r.node.Fields[i]), r.node.Fields[i].Value)
		}
	}
}

// identity is what makes a resource the one it is, under some conditions.
type identity struct {
	key   string
	conds *assumption
	name  string
	at    *step
}

// primaryIdentifiers finds resources that would be the same one (E3019).
func (e *engine) primaryIdentifiers() {
	byType := map[string][]identity{}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		if ids := e.identifiers(r.kind); len(ids) > 0 {
			byType[r.kind] = append(byType[r.kind], e.identities(r, at, props, ids)...)
		}
	})
	for _, list := range byType {
		told := map[string]bool{}
		for i, a := range list {
			for _, b := range list[i+1:] {
				if a.name == b.name || a.key != b.key || !e.together(a.conds, b.conds) {
					continue
				}
				for _, x := range []identity{a, b} {
					if !told[x.name] {
						told[x.name] = true
						e.add("E3019", x.at, a.name+" and "+b.name+" have the same primary identifier: they would be one resource", "")
					}
				}
			}
		}
	}
}

// identifiers are the properties that identify a resource of a type, none when
// the service chooses one of them.
func (e *engine) identifiers(kind string) []string {
	t := e.lint.typeNamed(kind)
	switch {
	case t == nil:
		return nil
	case kind == "AWS::CodeBuild::Project":
		return []string{"Name"} // its schema has the id, which the service makes of it
	}
	var ids []string
	for _, p := range t.primary {
		id := strings.TrimPrefix(p, "/properties/")
		if t.readOnly[id] || strings.Contains(id, "/") {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// identities gives a resource's identity in each case of its conditions.
func (e *engine) identities(r *resource, at place, props *cfn.Node, ids []string) []identity {
	var conds *assumption
	if r.condition != "" {
		conds, _ = e.conds.assume(nil, r.condition, true, true)
	}
	// Only the identifiers matter: the conditions of the rest would multiply.
	partial := &cfn.Node{Kind: cfn.Map, Pos: props.Pos}
	for _, id := range ids {
		if i := fieldIndex(props, id); i >= 0 {
			partial.Fields = append(partial.Fields, props.Fields[i])
		}
	}
	if bit, _ := anyFunction(props); bit != 0 {
		partial = props
	}
	where := at.path
	if len(ids) == 1 {
		where = at.down(ids[0], cfn.Pos{}).path
		if i := fieldIndex(props, ids[0]); i >= 0 {
			where = at.key(props.Fields[i]).path
		}
	}
	var out []identity
	for _, v := range e.cases(&scope{functions: fnValues, conds: conds, regions: e.regions}, partial) {
		key := ""
		for _, id := range ids {
			x := v.value.Get(id)
			if x == nil {
				key = ""
				break
			}
			key += id + canonical(x)
		}
		if key != "" {
			out = append(out, identity{key, v.scope.conds, r.name, where})
		}
	}
	return out
}

// together reports whether two sets of assumptions can hold at once.
func (e *engine) together(a, b *assumption) bool {
	all := a
	for ; b != nil; b = b.next {
		if v, ok := all.find(b.name); ok && v != b.value {
			return false
		}
		all = &assumption{name: b.name, value: b.value, next: all}
	}
	return e.conds.possible(all, nil, false)
}

// allImplied reports whether what holds of a makes all of b hold.
func (e *engine) allImplied(a, b *assumption) bool {
	for ; b != nil; b = b.next {
		if v, ok := a.find(b.name); ok && v == b.value {
			continue
		}
		if _, possible := e.conds.assume(a, b.name, !b.value, true); possible {
			return false
		}
	}
	return true
}

// subscriptionFilters counts the filters of a log group (E2529).
func (e *engine) subscriptionFilters() {
	const most = 5
	groups := map[string][]*step{}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		if i := fieldIndex(props, "LogGroupName"); i >= 0 && r.kind == "AWS::Logs::SubscriptionFilter" && r.condition == "" {
			key := canonical(props.Fields[i].Value)
			groups[key] = append(groups[key], at.key(props.Fields[i]).path)
		}
		if events := props.Get("Events"); events != nil && r.kind == "AWS::Serverless::Function" {
			for _, f := range events.Fields {
				if kind := f.Value.Get("Type"); kind.IsString() && kind.Text == "CloudWatchLogs" && f.Value.Get("Properties").Has("LogGroupName") {
					key := canonical(f.Value.Get("Properties").Get("LogGroupName"))
					groups[key] = append(groups[key], e.stepTo("Resources", r.name, "Properties", "Events", f.Name, "Properties", "LogGroupName"))
				}
			}
		}
	})
	for _, list := range groups {
		if len(list) > most {
			e.add("E2529", list[2], "a log group has at most "+counted(most, "subscription filter")+"; the template has "+strconv.Itoa(len(list)), "")
		}
	}
}

// aliases warns of what CloudFormation's own reader of YAML refuses, and SAM
// does not (W1100, W1101).
func (e *engine) aliases() {
	if e.sam || len(e.template.Aliases) == 0 {
		return
	}
	of := map[*cfn.Node][]cfn.Alias{}
	for _, a := range e.template.Aliases {
		of[a.Value] = append(of[a.Value], a)
	}
	const hint = "aws cloudformation package resolves it"
	e.visit(place{}, e.template.Root, func(at place, n *cfn.Node) bool {
		for i, a := range of[n] {
			here := &step{}
			if at.path != nil {
				*here = *at.path
			}
			if a.Merged && i == 0 {
				e.add("W1100", at.path, "CloudFormation does not support YAML merge keys (<<)", hint)
			}
			here.pos = a.Pos
			e.add("W1101", here, "CloudFormation does not support YAML aliases: *"+a.Name, hint)
		}
		return true
	})
}

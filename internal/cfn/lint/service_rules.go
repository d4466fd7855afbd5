package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// lifecycle reports services that end (E3710, W3696, W3697).
func (e *engine) lifecycle(t *resourceType, at place, out *problems) {
	life, _ := t.raw["lifecycle"].(map[string]any)
	status, _ := life["status"].(string)
	date, _ := life["date"].(string)
	if date != "" {
		date = ", since " + date
	}
	rule, words := "", ""
	switch status {
	case "shutdown":
		rule, words = "E3710", " belongs to a discontinued service"
	case "sunset":
		rule, words, date = "W3696", " belongs to a service that will be discontinued", strings.Replace(date, "since", "on", 1)
	case "maintenance":
		rule, words = "W3697", " belongs to a service that gets no new features"
	default:
		return
	}
	out.add(problem{path: at.path, rule: rule, fixed: true, message: t.name + words + date})
}

// moduleParts finds what a module must not have (E5001).
func (e *engine) moduleParts() {
	for _, name := range e.order {
		r := e.resources[name]
		if !strings.HasSuffix(r.kind, "::MODULE") {
			continue
		}
		for _, path := range [][]string{{"CreationPolicy"}, {"UpdatePolicy"}, {"Properties", "Tags"}, {"Metadata", "AWS::CloudFormation::Module"}} {
			n := r.node
			for _, key := range path {
				n = n.Get(key)
			}
			if n != nil {
				e.add("E5001", e.stepTo(append([]string{"Resources", name}, path...)...), strings.Join(path, "/")+" is not allowed in a module", "")
			}
		}
	}
}

// serverlessGlobals checks Globals and what resources leave out of it (E3724).
func serverlessGlobals(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !e.sam {
		wrong(b, at.path, "Globals needs the transform "+cfn.Serverless, "", out)
		return
	}
	inner := sc.with(func(c *scope) {
		c.functions, c.strict, c.unknown, c.dynamic, c.rules = fnValues, false, true, false, &ruleset{id: b.id}
	})
	var own problems
	e.check(inner, at, e.lint.schema(b.schema), n, &own)
	if p, ok := best(own.known()); ok {
		p.rule, p.fixed = b.id, true
		out.add(p)
	}
	for _, name := range e.order {
		r := e.resources[name]
		list, given := r.node.Get("IgnoreGlobals"), n.Get(globalKind(r.kind))
		if list == nil || list.Kind != cfn.List || given == nil || given.Kind != cfn.Map {
			continue
		}
		for i, item := range list.Items {
			if item.IsString() && !given.Has(item.Text) {
				wrong(b, e.stepTo("Resources", name, "IgnoreGlobals", strconv.Itoa(i)), show(item)+" is not in the Globals of "+globalKind(r.kind), nearestHint(item.Text, fieldNames(given)), out)
			}
		}
	}
}

// projectRole warns of a Ref to a role with a path (E3050): it returns the name
// only.
func projectRole(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, f := range e.follow(sc, at, n, []string{"ServiceRole"}) {
		bit, arg := anyFunction(f.value)
		if bit != fnRef || !arg.IsString() || e.resources[arg.Text] == nil {
			continue
		}
		if path := e.resources[arg.Text].node.Get("Properties").Get("Path"); path.IsString() && path.Text != "/" && path.Text != "" {
			wrong(b, f.at.key(f.value.Fields[0]).path, "Ref returns the name of "+arg.Text+" without its path "+path.Text, "use Fn::GetAtt …Arn", out)
		}
	}
}

// cacheCluster checks a replication group with cluster mode (E3026).
func cacheCluster(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, group := range e.follow(sc, at, n, []string{"CacheParameterGroupName"}) {
		bit, arg := anyFunction(group.value)
		if bit != fnRef || !arg.IsString() || e.resources[arg.Text] == nil {
			continue
		}
		settings := e.resources[arg.Text].node.Get("Properties").Get("Properties")
		if settings == nil {
			continue
		}
		for _, on := range e.follow(group.scope, place{}, settings, []string{"cluster-enabled"}) {
			if !on.value.IsString() || on.value.Text != "yes" {
				continue
			}
			for _, v := range e.cases(on.scope, n) {
				if f := v.value.Get("AutomaticFailoverEnabled"); f != nil && single(f) && textOf(f) == "false" {
					wrong(b, group.at.key(group.value.Fields[0]).path, "with cluster mode AutomaticFailoverEnabled must be true", "", out)
				}
				count := v.value.Get("NumCacheClusters")
				if v.value.Has("NumNodeGroups") || count != nil && !single(count) {
					continue
				}
				if number, err := strconv.Atoi(textOfOr(count, "0")); err == nil && number <= 1 {
					wrong(b, group.at.key(group.value.Fields[0]).path, "with cluster mode NumCacheClusters must be more than one", "", out)
				}
			}
		}
	}
}

func textOfOr(n *cfn.Node, other string) string {
	if n == nil {
		return other
	}
	return textOf(n)
}

// scheduleExpression checks the schedule of a rule of EventBridge (E3027).
func scheduleExpression(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() {
		return
	}
	inside := func(name string) (string, bool) {
		rest, ok := strings.CutPrefix(n.Text, name+"(")
		rest, end := strings.CutSuffix(rest, ")")
		return rest, ok && end
	}
	if rate, ok := inside("rate"); ok {
		value, unit, two := strings.Cut(rate, " ")
		number, err := strconv.Atoi(value)
		units := []string{"minutes", "hours", "days"}
		if number == 1 {
			units = []string{"minute", "hour", "day"}
		}
		if !two || err != nil || number < 1 || !slices.Contains(units, unit) {
			wrong(b, at.path, show(n)+" is not a rate", "write rate(value unit), as rate(1 hour) or rate(5 minutes)", out)
		}
		return
	}
	cron, ok := inside("cron")
	if !ok {
		wrong(b, at.path, show(n)+" is neither cron(…) nor rate(…)", "", out)
		return
	}
	fields := strings.Split(cron, " ")
	if len(fields) != 6 {
		wrong(b, at.path, show(n)+" has "+counted(len(fields), "field")+", not six", "minutes hours day-of-month month day-of-week year", out)
	} else if fields[2] != "?" && fields[4] != "?" {
		wrong(b, at.path, show(n)+" sets both the day of the month and the day of the week", "one of the two must be ?", out)
	}
}

// hostPort checks the ports of containers with a network of their own (E3053).
func hostPort(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, mode := range e.follow(sc, at, n, []string{"NetworkMode"}) {
		if !mode.value.IsString() || mode.value.Text != "awsvpc" {
			continue
		}
		for _, m := range e.follow(mode.scope, at, n, []string{"ContainerDefinitions", "*", "PortMappings", "*"}) {
			if m.value == nil || m.value.Kind != cfn.Map {
				continue
			}
			for _, host := range e.follow(m.scope, m.at, m.value, []string{"HostPort"}) {
				for _, inside := range e.follow(host.scope, m.at, m.value, []string{"ContainerPort"}) {
					if host.value != nil && inside.value != nil && single(host.value) && single(inside.value) && textOf(host.value) != textOf(inside.value) && !isDynamicReference(textOf(host.value)) {
						wrong(b, host.at.path, "with the network mode awsvpc the host port is the container port: "+textOf(host.value)+" is not "+textOf(inside.value), "", out)
					}
				}
			}
		}
	}
}

// tieringDays checks after how many days a bucket's objects move (E3061).
func tieringDays(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	least := map[string]int{"ARCHIVE_ACCESS": 90, "DEEP_ARCHIVE_ACCESS": 180}
	tier, days := n.Get("AccessTier"), n.Get("Days")
	if !tier.IsString() || days == nil || !single(days) || least[tier.Text] == 0 {
		return
	}
	if number, err := strconv.Atoi(textOf(days)); err == nil && (number < least[tier.Text] || number > 730) {
		wrong(b, at.key(n.Fields[fieldIndex(n, "Days")]).path, "for "+tier.Text+" the days are from "+strconv.Itoa(least[tier.Text])+" to 730", "", out)
	}
}

func detectorSources(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Has("DataSources") && n.Has("Features") {
		wrong(b, at.path, "only one of DataSources and Features is allowed", "Features is the newer one", out)
	}
}

func roleArn(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !e.lint.pattern(`^arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+$`).match(n.Text) {
		wrong(b, at.path, show(n)+" is not the ARN of a role", "", out)
	}
}

// mixedApi warns of an API that is written twice (W3660).
func mixedAPI(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	kinds := []string{"AWS::ApiGateway::Method", "AWS::ApiGateway::Model", "AWS::ApiGateway::Resource", "AWS::ApiGateway::GatewayResponse",
		"AWS::ApiGateway::RequestValidator", "AWS::ApiGateway::Authorizer"}
	name := at.path.resource()
	for _, other := range e.order {
		if slices.Contains(kinds, e.resources[other].kind) && e.mentions(other, name) {
			wrong(b, at.path, at.path.name+" defines the API, and "+other+" defines it too", "", out)
		}
	}
}

func forwardedIgnored(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Has("CachePolicyId") && n.Has("ForwardedValues") {
		wrong(b, at.key(n.Fields[fieldIndex(n, "ForwardedValues")]).path, "ForwardedValues is ignored when CachePolicyId is set", "", out)
	}
}

func methodSettings(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Kind != cfn.Map || len(n.Fields) == 0 {
		return
	}
	for _, f := range n.Fields {
		if f.Name != "HttpMethod" && f.Name != "ResourcePath" {
			return
		}
	}
	wrong(b, at.path, "this entry changes no setting", "", out)
}

func patternCompiles(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !newPattern(n.Text).valid() {
		wrong(b, at.path, show(n)+" is not a regular expression", "", out)
	}
}

// documentContent checks a document of Systems Manager (E3051).
func documentContent(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	inner := sc.with(func(c *scope) { c.keywords, c.strict, c.rules = false, true, &ruleset{id: b.id} })
	if n.IsString() {
		parsed, err := cfn.Parse("", []byte(n.Text))
		if err != nil {
			wrong(b, at.path, "the document is neither JSON nor YAML", "", out)
			return
		}
		n, at.frozen = parsed.Root, true
		inner = inner.with(func(c *scope) { c.functions = 0 })
	}
	e.check(inner, at, e.lint.schema(b.schema), n, out)
}

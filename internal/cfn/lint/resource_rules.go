package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// handWritten are the rules that are more than a schema, and those that are
// checked elsewhere: nil is a rule without a check of its own.
func handWritten() map[string]checkFunc {
	all := sectionRules()
	for id, check := range map[string]checkFunc{
		"E3002": resourceProperties,
		"E3005": dependsOnExists,
		"W3005": dependsOnObsolete,
		"E3006": typeExists,
		"E3009": section{schema: "other/resources/cfn_init", change: func(c *scope) { c.functions = fnValues }}.check,
		"E3013": cloudFrontAlias,
		"E3016": updatePolicy,
		"E3028": section{schema: "other/resources/metadata", below: true, change: looseValues}.check,
		"E3035": deletionPolicy,
		"E3036": deletionPolicy,
		"E3038": serverlessTransform,
		"E3055": creationPolicy,
		"E3066": serverlessAttribute,
		"E3510": policyDocument("policy_identity"),
		"E3512": policyDocument("policy_resource"),
		"E3513": policyDocument("policy_resource_ecr"),
		"E3514": policyResource,
		"E3530": policyDocument("policy_trust"),
		"W2511": policyVersion,
		"W3037": policyActions,
		"W3010": zoneWritten,
		"W3045": accessControl,
		"E3041": recordSetName,
		"E3503": validationDomain,
		"E3504": backupLifecycle,
		"E3056": healthCheckTypes,
		"E3057": targetOrigin,
		"E3697": environmentSize,
		"W3671": iopsIgnored,
		"W3698": virtualName,
		"W3699": replicaMode,
		"W3700": eipDomain,
		"W3701": parameterName,
		"E3025": databaseClass,
		"E3062": databaseClass,
		"E3691": databaseClass,
		"E3682": databaseClass,
		"E3694": withoutFunctions,
		"E2531": runtimeEnded,
		"E2533": runtimeEnded,
		"W2531": runtimeEnded,
		"I3011": statefulPolicies,
		"W3011": bothPolicies,
		"E3039": tableAttributes,
		"E3700": pipelineSource,
		"E3601": stateMachine,
		"E3049": dynamicPorts,
		"E2530": snapStartRuntime,
		"W2530": snapStartVersion,
		"E3716": layerLength,
		"E3673": instanceImage,
		"E3702": actionArtifacts,
		"E3703": actionConfiguration,
		"E3724": serverlessGlobals,
		"E3053": hostPort,
		"E3061": tieringDays,
		"E3063": detectorSources,
		"E3511": roleArn,
		"W3002": packageOnly,
		"W3660": mixedAPI,
		"W3704": forwardedIgnored,
		"W3705": methodSettings,
		"I2003": patternCompiles,
		"E3051": documentContent,
		"W2533": zipRequired,
		"E3026": cacheCluster,
		"E3027": scheduleExpression,
		"E3050": projectRole,
	} {
		all[id] = check
	}
	return all
}

// pathsOf are where rules are checked that cfn-lint looks for by itself.
func pathsOf(id string) []string {
	switch id {
	case "E3039":
		return []string{"Resources/AWS::DynamoDB::Table/Properties"}
	case "W2533":
		return []string{"Resources/AWS::Lambda::Function/Properties", "Resources/AWS::Serverless::Function/Properties"}
	case "E3026":
		return []string{"Resources/AWS::ElastiCache::ReplicationGroup/Properties"}
	case "E3027":
		return []string{"Resources/AWS::Events::Rule/Properties/ScheduleExpression"}
	case "E3050":
		return []string{"Resources/AWS::CodeBuild::Project/Properties"}
	}
	return nil
}

func wrong(b *binding, at *step, message, hint string, out *problems) {
	out.add(problem{path: at, rule: b.id, fixed: true, message: message, hint: hint})
}

func dependsOnExists(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || e.moduleOf(n.Text) && e.resources[n.Text] == nil {
		return
	}
	name := at.path.resource()
	to := e.resources[n.Text]
	if to == nil || n.Text == name {
		wrong(b, at.path, show(n)+" is not another resource of this template", e.nearResource(n.Text), out)
		return
	}
	if to.condition == "" || e.conds.named[to.condition] == nil {
		return
	}
	var conds *assumption
	if c := e.resources[name]; c != nil && c.condition != "" {
		conds = &assumption{name: c.condition, value: true, hard: true}
	}
	if !e.conds.implies(conds, to.condition) {
		wrong(b, at.path, show(n)+" is there only when "+strconv.Quote(to.condition)+" is true", "", out)
	}
}

// dependsOnObsolete warns of a dependency that a reference already makes.
func dependsOnObsolete(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() {
		return
	}
	r := e.resources[at.path.resource()]
	if r == nil || e.resources[n.Text] == nil {
		return
	}
	g := &graph{params: map[string]bool{}, conds: map[string]bool{}, maps: map[string]bool{}}
	e.uses(g, r.name, place{}, r.node, nil)
	if slices.ContainsFunc(g.edges, func(x edge) bool { return x.to == n.Text }) {
		wrong(b, at.path, "DependsOn "+show(n)+" is not needed: a reference in the resource says so already", "", out)
	}
}

func typeExists(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	i := fieldIndex(n, "Type")
	if n.Kind != cfn.Map || i < 0 || !n.Fields[i].Value.IsString() {
		return
	}
	kind := n.Fields[i].Value.Text
	if strings.HasPrefix(kind, "Custom::") || strings.HasSuffix(kind, "::MODULE") {
		return
	}
	for _, region := range sc.regions {
		if e.lint.archive.inRegion(kind, region) || !e.inRegion(n.Get("Condition"), region) {
			continue
		}
		hint := ""
		if e.lint.typeNamed(kind) == nil {
			hint = nearestHint(kind, e.lint.archive.entries)
		}
		wrong(b, at.key(n.Fields[i]).path, "there is no type "+kind+" in "+region, hint, out)
	}
}

// inRegion reports whether a condition can be true in a region.
func (e *engine) inRegion(condition *cfn.Node, region string) bool {
	if !condition.IsString() {
		return true
	}
	ref := &reference{name: "AWS::Region", value: text2node(region, cfn.Pos{})}
	return e.conds.possible(&assumption{name: condition.Text, value: true}, ref, false)
}

func cloudFrontAlias(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || isDynamicReference(n.Text) {
		return
	}
	for _, p := range []string{`^(?!.*(?:\.\*\.)).*`, `^(?:[a-z0-9\*](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$`} {
		if !e.lint.pattern(p).match(n.Text) {
			wrong(b, at.path, show(n)+" is not a domain name", "", out)
			return
		}
	}
}

func deletionPolicy(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	values := []string{"Delete", "Retain"}
	if b.id == "E3035" {
		values = append(values, "RetainExceptOnCreate")
	}
	snapshots := []string{"AWS::DocDB::DBCluster", "AWS::EC2::Volume", "AWS::ElastiCache::CacheCluster", "AWS::ElastiCache::ReplicationGroup",
		"AWS::Neptune::DBCluster", "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::Redshift::Cluster"}
	if r := e.resources[at.path.resource()]; r != nil && slices.Contains(snapshots, r.kind) {
		values = append(values, "Snapshot")
	}
	s := &schema{types: tString, maxItems: -1, maxLength: -1, maxProperties: -1, constrains: true}
	for _, v := range values {
		s.enum = append(s.enum, text2node(v, cfn.Pos{}))
	}
	e.inline(b, sc, at, s, n, func(c *scope) { c.functions = fnSub | fnSelect | fnFindInMap | fnIf | fnRef }, out)
}

// policySelect reports Fn::Select where CloudFormation wants the map itself.
func (e *engine) policySelect(b *binding, at place, n *cfn.Node, out *problems) bool {
	if bit, _ := anyFunction(n); bit != fnSelect || e.languages {
		return false
	}
	wrong(b, at.path, show(n)+" is not resolved here: a map is wanted", "", out)
	return true
}

func updatePolicy(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if i := fieldIndex(n, "UpdatePolicy"); i >= 0 && e.policySelect(b, at.key(n.Fields[i]), n.Fields[i].Value, out) {
		return
	}
	section{schema: "other/resources/update_policy", change: looseValues}.check(e, b, sc, at, n, out)
}

func creationPolicy(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	r := e.resources[at.path.resource()]
	if r == nil || e.policySelect(b, at, n, out) {
		return
	}
	const signal = `"ResourceSignal":{"additionalProperties":false,"type":"object","properties":{"Timeout":{"type":"string"},"Count":{"type":"integer"}}}`
	text := ""
	switch r.kind {
	case "AWS::AppStream::Fleet":
		text = `{"type":"object","additionalProperties":false,"properties":{"StartFleet":{"type":"boolean"}}}`
	case "AWS::AutoScaling::AutoScalingGroup":
		text = `{"type":"object","additionalProperties":false,"properties":{"AutoScalingCreationPolicy":{"type":"object","additionalProperties":false,` +
			`"properties":{"MinSuccessfulInstancesPercent":{"type":"integer"}}},` + signal + `}}`
	case "AWS::CloudFormation::WaitCondition":
		text = `{"type":"object","additionalProperties":false,"properties":{` + signal + `}}`
	default:
		return
	}
	e.inline(b, sc, at, e.lint.written(text), n, looseValues, out)
}

func serverlessTransform(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !e.sam && strings.HasPrefix(n.Text, "AWS::Serverless::") {
		wrong(b, at.path, n.Text+" needs the transform "+cfn.Serverless, "", out)
	}
}

func serverlessAttribute(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !e.sam {
		wrong(b, at.path, at.path.name+" needs the transform "+cfn.Serverless, "", out)
	}
}

func policyResource(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || at.kind.len() < 2 {
		return
	}
	p := `^(arn:aws[A-Za-z\-]*?:[^:]+:[^:]*(:(?:\d{12}|\*|aws)?:.+|)|\*)$`
	if at.kind.first(1) == "AWS::S3::BucketPolicy" {
		p = `^arn:aws[A-Za-z\-]*?:[^:]+:[^:]*(:(?:\d{12}|\*|aws)?:.+|)$`
	}
	if !e.lint.pattern(p).match(n.Text) {
		wrong(b, at.path, show(n)+" is not an ARN", "", out)
	}
}

func policyVersion(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && n.Text == "2008-10-17" {
		wrong(b, at.path, "the version of this policy is the old one", "write 2012-10-17", out)
	}
}

// policyActions checks that the actions of a policy exist (W3037).
func policyActions(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if e.sam {
		return
	}
	actions := n.Items
	if n.Kind != cfn.List {
		actions = []*cfn.Node{n}
	}
	services := e.lint.services()
	for _, a := range actions {
		if !a.IsString() || a.Text == "*" {
			continue
		}
		service, action, ok := strings.Cut(strings.ToLower(a.Text), ":")
		if !ok {
			wrong(b, at.path, show(a)+" is not an action", "write service:action", out)
			return
		}
		known, ok := services[service]
		switch {
		case !ok:
			wrong(b, at.path, "there is no service "+strconv.Quote(service), nearestHint(service, services), out)
		case strings.ContainsAny(action, "*?"):
			if !slices.ContainsFunc(known, func(k string) bool { return wildcard(action, k) }) {
				wrong(b, at.path, show(a)+" fits no action of "+service, "", out)
			}
		case !slices.Contains(known, action):
			names := map[string]bool{}
			for _, k := range known {
				names[k] = true
			}
			wrong(b, at.path, show(a)+" is not an action of "+service, nearestHint(action, names), out)
		}
	}
}

// wildcard matches a pattern with * and ? against a whole text.
func wildcard(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case star >= 0:
			p = star + 1
			mark++
			t = mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func zoneWritten(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !at.frozen && !e.cdk && n.Text != "all" && !insideFunction(at.path) && !isDynamicReference(n.Text) {
		wrong(b, at.path, "the availability zone "+show(n)+" is written out", "Fn::GetAZs finds those of the region", out)
	}
}

func accessControl(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if i := fieldIndex(n, "AccessControl"); i >= 0 && !n.Fields[i].Value.IsNoValue() {
		wrong(b, at.key(n.Fields[i]).path, "AccessControl is the old way", "use AWS::S3::BucketPolicy", out)
	}
}

func recordSetName(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, v := range e.cases(sc, n) {
		name, zone := v.value.Get("Name"), v.value.Get("HostedZoneName")
		if !name.IsString() || !zone.IsString() {
			continue
		}
		z, full := zone.Text, strings.TrimSuffix(name.Text, ".")+"."
		if !strings.HasSuffix(z, ".") {
			wrong(b, at.down("HostedZoneName", zone.Pos).path, show(zone)+" must end in a dot", "", out)
			z += "."
		}
		if full != z && !strings.HasSuffix(full, "."+z) {
			wrong(b, at.down("Name", name.Pos).path, show(name)+" is not in the zone "+show(zone), "", out)
		}
	}
}

func validationDomain(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, v := range e.cases(sc, n) {
		name, domain := v.value.Get("DomainName"), v.value.Get("ValidationDomain")
		if name.IsString() && domain.IsString() && name.Text != domain.Text && !strings.HasSuffix(name.Text, "."+domain.Text) {
			wrong(b, at.down("DomainName", name.Pos).path, show(name)+" is not in "+show(domain), "", out)
		}
	}
}

func backupLifecycle(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	del, cold := n.Get("DeleteAfterDays"), n.Get("MoveToColdStorageAfterDays")
	if del != nil && cold != nil && del.Kind == cfn.Int && cold.Kind == cfn.Int && numberOf(del)-numberOf(cold) < 90 {
		wrong(b, at.key(n.Fields[fieldIndex(n, "DeleteAfterDays")]).path, "a backup is kept at least 90 days in cold storage: "+del.Text+" - "+cold.Text+" is less", "", out)
	}
}

func healthCheckTypes(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || !strings.Contains(n.Text, ",") {
		return
	}
	for part := range strings.SplitSeq(n.Text, ",") {
		if strings.TrimSpace(part) == "EC2" {
			wrong(b, at.path, "EC2 cannot be combined with other health checks", "", out)
		}
	}
}

func targetOrigin(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, target := range e.follow(sc, at, n, []string{"DefaultCacheBehavior", "TargetOriginId"}) {
		if !target.value.IsString() {
			continue
		}
		found := false
		var ids []string
		for _, path := range [][]string{{"Origins", "*", "Id"}, {"OriginGroups", "Items", "*", "Id"}} {
			for _, id := range e.follow(target.scope, at, n, path) {
				switch {
				case id.value == nil && path[0] == "OriginGroups":
				case !id.value.IsString() || id.value.Text == target.value.Text:
					found = true
				default:
					ids = append(ids, id.value.Text)
				}
			}
		}
		if !found {
			wrong(b, target.at.path, show(target.value)+" is not the Id of an origin; there is "+quoted(ids), "", out)
		}
	}
}

func environmentSize(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	total := 0
	for _, f := range n.Fields {
		total += len(f.Name)
		if single(f.Value) {
			total += len(textOf(f.Value))
		}
	}
	if total > 4096 {
		wrong(b, at.path, "the environment has "+strconv.Itoa(total)+" bytes; Lambda takes 4096", "", out)
	}
}

func iopsIgnored(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if v := n.Get("VolumeType"); v.IsString() && n.Has("Iops") && slices.Contains([]string{"gp2", "st1", "sc1", "standard"}, strings.ToLower(v.Text)) {
		wrong(b, at.key(n.Fields[fieldIndex(n, "Iops")]).path, "Iops is ignored for volumes of type "+v.Text, "", out)
	}
}

func virtualName(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Has("VirtualName") && n.Has("Ebs") {
		wrong(b, at.key(n.Fields[fieldIndex(n, "VirtualName")]).path, "VirtualName is ignored beside Ebs", "", out)
	}
}

func replicaMode(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	engine := n.Get("Engine")
	if !n.Has("ReplicaMode") || !engine.IsString() {
		return
	}
	if name := strings.ToLower(engine.Text); !strings.HasPrefix(name, "oracle") && !strings.HasPrefix(name, "db2") && !strings.HasPrefix(name, "custom-oracle") {
		wrong(b, at.key(n.Fields[fieldIndex(n, "ReplicaMode")]).path, "ReplicaMode is ignored for the engine "+engine.Text, "", out)
	}
}

func eipDomain(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !slices.Contains([]string{"vpc", "standard"}, strings.ToLower(n.Text)) {
		wrong(b, at.path, show(n)+" is taken as vpc", "", out)
	}
}

func parameterName(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() {
		return
	}
	name := strings.ToLower(strings.TrimPrefix(n.Text, "/"))
	if strings.HasPrefix(name, "aws") || strings.HasPrefix(name, "ssm") {
		wrong(b, at.path, "names that begin with aws or ssm are reserved", "", out)
	}
}

// databaseClass compares a database's values as they are written: engines are
// told apart without regard for capitals, and functions are not followed.
func databaseClass(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Kind != cfn.Map {
		return
	}
	if engine := n.Get("Engine"); engine.IsString() {
		if lower := strings.ToLower(engine.Text); lower != engine.Text {
			c := &cfn.Node{Kind: cfn.Map, Pos: n.Pos, Fields: slices.Clone(n.Fields)}
			c.Fields[fieldIndex(n, "Engine")].Value = text2node(lower, engine.Pos)
			n = c
		}
	}
	if b.id == "E3025" || b.id == "E3062" {
		withoutFunctions(e, b, sc, at, n, out)
		return
	}
	e.schemaRule(b, sc, at, n, out)
}

func withoutFunctions(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	e.schemaRule(b, sc.with(func(c *scope) { c.functions = 0 }), at, n, out)
}

func statefulPolicies(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	kind := n.Get("Type")
	if !kind.IsString() || !e.lint.stateful()[kind.Text] {
		return
	}
	for _, key := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
		if !n.Has(key) {
			wrong(b, at.path, key+" is not set: the data is deleted with the resource", "set it, also to Delete", out)
		}
	}
}

func bothPolicies(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if kind := n.Get("Type"); kind.IsString() && (kind.Text == "AWS::Lambda::Version" || kind.Text == "AWS::Lambda::LayerVersion") {
		return
	}
	del, replace := n.Get("DeletionPolicy"), n.Get("UpdateReplacePolicy")
	deletes := func(p *cfn.Node) bool { return p.IsString() && p.Text == "Delete" }
	if (del == nil) == (replace == nil) || deletes(del) || deletes(replace) {
		return
	}
	wrong(b, at.path, "only one of DeletionPolicy and UpdateReplacePolicy is set: the other way the resource is deleted", "set both", out)
}

// tableAttributes checks that a table defines the attributes that its keys use,
// and no others (E3039).
func tableAttributes(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, v := range e.cases(sc, n) {
		defined, ok1 := attributeSet(v.value.Get("AttributeDefinitions"))
		used, ok2 := attributeSet(v.value.Get("KeySchema"))
		for _, index := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
			list := v.value.Get(index)
			if list == nil {
				continue
			}
			for _, item := range list.Items {
				more, ok := attributeSet(item.Get("KeySchema"))
				ok2 = ok2 && ok
				used = append(used, more...)
			}
			ok2 = ok2 && list.Kind == cfn.List
		}
		slices.Sort(defined)
		slices.Sort(used)
		defined, used = slices.Compact(defined), slices.Compact(used)
		if ok1 && ok2 && !slices.Equal(defined, used) {
			wrong(b, at.path, "the table defines the attributes "+quoted(defined)+", its keys use "+quoted(used), "", out)
		}
	}
}

// attributeSet gives the names in a list of attributes; ok is false when they
// are not all written out.
func attributeSet(n *cfn.Node) (names []string, ok bool) {
	if n == nil {
		return nil, true
	}
	if n.Kind != cfn.List {
		return nil, false
	}
	for _, item := range n.Items {
		name := item.Get("AttributeName")
		if !name.IsString() {
			return nil, false
		}
		names = append(names, name.Text)
	}
	return names, true
}

func pipelineSource(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	stage := ""
	for s := at.path; s != nil && s.parent != nil; s = s.parent {
		if s.parent.name == "Stages" {
			stage = s.name
		}
	}
	first := stage == "0"
	if n.IsString() && stage != "" && first != (n.Text == "Source") {
		wrong(b, at.path, "actions of the category Source stand in the first stage, and only they do", "", out)
	}
}

// packaged reports whether a path is one where the package command of the AWS
// command line takes the path of a file.
func packaged(kind *step) bool {
	if kind.len() < 4 {
		return false
	}
	switch kind.path().String() {
	case "Resources/AWS::ApiGateway::RestApi/Properties/BodyS3Location",
		"Resources/AWS::Lambda::Function/Properties/Code",
		"Resources/AWS::Lambda::LayerVersion/Properties/Content",
		"Resources/AWS::ElasticBeanstalk::ApplicationVersion/Properties/SourceBundle",
		"Resources/AWS::StepFunctions::StateMachine/Properties/DefinitionS3Location",
		"Resources/AWS::AppSync::GraphQLSchema/Properties/DefinitionS3Location",
		"Resources/AWS::AppSync::Resolver/Properties/RequestMappingTemplateS3Location",
		"Resources/AWS::AppSync::Resolver/Properties/ResponseMappingTemplateS3Location",
		"Resources/AWS::AppSync::FunctionConfiguration/Properties/RequestMappingTemplateS3Location",
		"Resources/AWS::AppSync::FunctionConfiguration/Properties/ResponseMappingTemplateS3Location",
		"Resources/AWS::CloudFormation::Stack/Properties/TemplateURL",
		"Resources/AWS::CodeCommit::Repository/Properties/Code/S3":
		return true
	}
	return false
}

// packageOnly warns of a path that only the package command replaces (W3002).
func packageOnly(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !e.sam && !strings.HasPrefix(n.Text, "s3://") && !strings.HasPrefix(n.Text, "https://") && !at.frozen &&
		!strings.HasPrefix(at.path.name, "Fn::") && at.path.name != "Ref" {
		wrong(b, at.path, show(n)+" is a path that CloudFormation does not know", "the package command or refline stack puts the file into S3", out)
	}
}

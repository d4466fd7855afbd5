package lint

import (
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

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
	if c := e.root.Get("Resources").Get(name).Get("Condition"); c.IsString() {
		conds = &assumption{name: c.Text, value: true, hard: true}
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
	if r == nil || !e.named(n.Text) {
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
		wrong(b, at.key(n.Fields[i]).path, "unknown resource type "+kind+" in "+region, hint, out)
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
	i := fieldIndex(n, "UpdatePolicy")
	if bit, _ := anyFunction(n); n.Kind == cfn.Map && i < 0 && bit == 0 {
		return
	}
	if i >= 0 && e.policySelect(b, at.key(n.Fields[i]), n.Fields[i].Value, out) {
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

// retention reports data without a chosen retention period (I3013).
func retention(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	kind := at.kind.first(1)
	required := map[string][]string{
		"AWS::Kinesis::Stream":    {"RetentionPeriodHours"},
		"AWS::SQS::Queue":         {"MessageRetentionPeriod"},
		"AWS::DocDB::DBCluster":   {"BackupRetentionPeriod"},
		"AWS::Synthetics::Canary": {"SuccessRetentionPeriod", "FailureRetentionPeriod"},
		"AWS::Redshift::Cluster":  {"AutomatedSnapshotRetentionPeriod"},
		"AWS::Neptune::DBCluster": {"BackupRetentionPeriod"},
		"AWS::RDS::DBCluster":     {"BackupRetentionPeriod"},
		"AWS::Logs::LogGroup":     {"RetentionInDays"},
	}[kind]
	if kind == "AWS::RDS::DBInstance" {
		e.schemaRule(b, sc, at, n, out)
		return
	}
	for _, v := range e.cases(sc, n) {
		for _, name := range required {
			if !v.value.Has(name) {
				wrong(b, at.path, strconv.Quote(name)+" is not set: data is deleted after a time that is the service's choice", "", out)
				return
			}
		}
	}
}

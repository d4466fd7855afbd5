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
		"W3691": databaseClass,
		"E3682": databaseClass,
		"E3694": withoutFunctions,
		"E2531": runtimeEnded,
		"E2533": runtimeEnded,
		"W2531": runtimeEnded,
		"I3011": statefulPolicies,
		"I3013": retention,
		"W3011": bothPolicies,
		"E3039": tableAttributes,
		"E3700": pipelineSource,
		"E3601": stateMachine,
		"E3049": dynamicPorts,
		"E3048": fargateTask,
		"I3510": statementResources,
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

func zoneWritten(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.IsString() && !at.frozen && !e.cdk && n.Text != "all" && !insideFunction(at.path) && !isDynamicReference(n.Text) {
		wrong(b, at.path, "the availability zone "+show(n)+" is hard-coded", "Fn::GetAZs returns those of the region", out)
	}
}

func accessControl(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if i := fieldIndex(n, "AccessControl"); i >= 0 && !n.Fields[i].Value.IsNoValue() {
		wrong(b, at.key(n.Fields[i]).path, "AccessControl is a legacy setting", "use AWS::S3::BucketPolicy", out)
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
		wrong(b, at.path, "the environment has "+strconv.Itoa(total)+" bytes; Lambda accepts at most 4096", "", out)
	}
}

func iopsIgnored(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if v := n.Get("VolumeType"); v.IsString() && n.Has("Iops") && slices.Contains([]string{"gp2", "st1", "sc1", "standard"}, strings.ToLower(v.Text)) {
		wrong(b, at.key(n.Fields[fieldIndex(n, "Iops")]).path, "Iops is ignored for volumes of type "+v.Text, "", out)
	}
}

func virtualName(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Has("VirtualName") && n.Has("Ebs") {
		wrong(b, at.key(n.Fields[fieldIndex(n, "VirtualName")]).path, "VirtualName is ignored when Ebs is set", "", out)
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

func pipelineSource(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	stage := ""
	path := at.path.path()
	for i := slices.Index(path, "Stages") + 1; i > 0 && i < len(path); i++ {
		if path[i] == "Fn::If" {
			i++ // and the branch
			continue
		}
		if i+1 < len(path) && path[i+1] == "Fn::If" {
			return // a stage that may be absent moves those after it
		}
		stage = path[i]
		break
	}
	first := stage == "0"
	if n.IsString() && stage != "" && first != (n.Text == "Source") {
		wrong(b, at.path, "the first stage must contain Source actions only, and no other stage may contain them", "", out)
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
		if at.kind.last() == "TemplateURL" && e.nested(n.Text) != nil {
			return // refline stack stages it
		}
		wrong(b, at.path, show(n)+" is a local path, which CloudFormation cannot read", "aws cloudformation package and refline stack upload the file to S3", out)
	}
}

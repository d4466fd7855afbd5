package lint

import (
	"slices"
	"strings"

	"refline/internal/cfn"
)

// artifactCount is how many artifacts an action of CodePipeline takes and gives.
type artifactCount struct{ minIn, maxIn, minOut, maxOut int }

// artifactCounts are the numbers that CodePipeline documents, by owner,
// category and provider.
func artifactCounts() map[string]artifactCount {
	one, none := artifactCount{1, 1, 0, 0}, artifactCount{0, 0, 1, 1}
	return map[string]artifactCount{
		"AWS/Source/S3": none, "AWS/Source/CodeCommit": none, "AWS/Source/ECR": none, "ThirdParty/Source/GitHub": none,
		"AWS/Test/CodeBuild": {1, 5, 0, 5}, "AWS/Build/CodeBuild": {1, 5, 0, 5}, "AWS/Test/DeviceFarm": one,
		"AWS/Approval/Manual": {}, "AWS/Deploy/S3": one, "AWS/Deploy/CloudFormation": {0, 10, 0, 1}, "AWS/Deploy/CodeDeploy": one,
		"AWS/Deploy/ElasticBeanstalk": one, "AWS/Deploy/OpsWorks": one, "AWS/Deploy/ECS": one, "AWS/Deploy/ServiceCatalog": one,
		"AWS/Invoke/Lambda": {0, 5, 0, 5}, "ThirdParty/Deploy/AlexaSkillsKit": {0, 2, 0, 0},
		"Custom/Build/Jenkins": {0, 5, 0, 5}, "Custom/Test/Jenkins": {0, 5, 0, 5},
	}
}

// actionArtifacts checks the number of artifacts of an action (E3702).
func actionArtifacts(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, v := range e.cases(sc, n) {
		kind := v.value.Get("ActionTypeId")
		owner, category, provider := kind.Get("Owner"), kind.Get("Category"), kind.Get("Provider")
		if !owner.IsString() || !category.IsString() || !provider.IsString() {
			continue
		}
		name := owner.Text + "/" + category.Text + "/" + provider.Text
		want, ok := artifactCounts()[name]
		if !ok {
			continue
		}
		for _, side := range []struct {
			key      string
			min, max int
		}{{"InputArtifacts", want.minIn, want.maxIn}, {"OutputArtifacts", want.minOut, want.maxOut}} {
			list := v.value.Get(side.key)
			here := at
			if i := fieldIndex(n, side.key); i >= 0 {
				here = at.key(n.Fields[i])
			}
			count := 0
			if list != nil {
				if list.Kind != cfn.List {
					continue
				}
				count = len(list.Items)
			}
			switch {
			case count < side.min:
				wrong(b, here.path, name+" needs at least "+counted(side.min, "artifact")+" in "+side.key, "", out)
			case count > side.max:
				wrong(b, here.path, name+" takes at most "+counted(side.max, "artifact")+" in "+side.key, "", out)
			}
		}
	}
}

// actionConfiguration checks the template that an action names (E3703).
func actionConfiguration(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, path := range e.follow(sc, at, n, []string{"Configuration", "TemplatePath"}) {
		if !path.value.IsString() {
			continue
		}
		var names []string
		found := false
		for _, in := range e.follow(path.scope, at, n, []string{"InputArtifacts", "*", "Name"}) {
			if in.value.IsString() {
				names = append(names, in.value.Text)
				found = found || strings.HasPrefix(path.value.Text, in.value.Text+"::")
			}
		}
		if !found {
			wrong(b, path.at.path, show(path.value)+" is not in an input artifact of the action; there is "+quoted(names), "", out)
		}
	}
	for _, role := range e.follow(sc, at, n, []string{"Configuration", "RoleArn"}) {
		if role.value != nil {
			e.inline(b, role.scope, role.at, e.lint.written(`{"format":"AWS::IAM::Role.Arn"}`), role.value, nil, out)
		}
	}
}

// artifactNames checks that an artifact is made once, before it is used (E3701).
func (e *engine) artifactNames() {
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		stages := props.Get("Stages")
		if r.kind != "AWS::CodePipeline::Pipeline" || stages == nil || stages.Kind != cfn.List {
			return
		}
		sc := &scope{functions: fnValues}
		type made struct {
			name  string
			conds *assumption
			at    *step
		}
		var known []made
		for _, action := range e.follow(sc, at, props, []string{"Stages", "*", "Actions", "*"}) {
			if action.value == nil || action.value.Kind != cfn.Map {
				continue
			}
			var own []made
			for _, out := range e.follow(action.scope, action.at, action.value, []string{"OutputArtifacts", "*", "Name"}) {
				if !out.value.IsString() {
					continue
				}
				if slices.ContainsFunc(append(slices.Clone(known), own...), func(m made) bool { return m.name == out.value.Text && e.together(m.conds, out.scope.conds) }) {
					e.add("E3701", out.at.path, show(out.value)+" is already an output of an earlier action", "")
					continue
				}
				own = append(own, made{out.value.Text, out.scope.conds, out.at.path})
			}
			for _, in := range e.follow(action.scope, action.at, action.value, []string{"InputArtifacts", "*", "Name"}) {
				if in.value.IsString() && !slices.ContainsFunc(known, func(m made) bool { return m.name == in.value.Text && e.together(m.conds, in.scope.conds) }) {
					e.add("E3701", in.at.path, show(in.value)+" is not an output of an earlier action", "")
				}
			}
			known = append(known, own...) // its own output is not its input
		}
	})
}

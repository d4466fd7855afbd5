package lint

import (
	"slices"
	"strconv"

	"refline/internal/cfn"
)

// nestedStacks checks the parameters that are given to the templates of nested
// stacks which are files beside this one (E3043).
func (e *engine) nestedStacks() {
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		key := map[string]string{"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}[r.kind]
		url := props.Get(key)
		if key == "" || !url.IsString() {
			return
		}
		nested, err := e.template.Beside(url.Text)
		if err != nil {
			return // it is elsewhere, or not readable here: nothing is known
		}
		wanted := nested.Root.Get("Parameters")
		given := props.Get("Parameters")
		here := at
		if i := fieldIndex(props, "Parameters"); i >= 0 {
			here = at.key(props.Fields[i])
		}
		if given == nil {
			given = &cfn.Node{Kind: cfn.Map, Pos: props.Pos}
		}
		if bit, _ := anyFunction(given); bit != 0 && bit != fnIf {
			return
		}
		sc := &scope{functions: fnValues, regions: e.regions}
		variants := e.cases(sc, given)
		for _, v := range variants {
			e.nestedParameters(here, wanted, v.value, len(variants) > 1 || v.value != given)
		}
	})
}

// nestedParameters compares what one combination of conditions gives. byCase is
// true when that is not what is written.
func (e *engine) nestedParameters(at place, wanted, given *cfn.Node, byCase bool) {
	if wanted == nil {
		wanted = &cfn.Node{Kind: cfn.Map}
	}
	for _, f := range given.Fields {
		if wanted.Has(f.Name) {
			continue
		}
		here := at
		if !byCase {
			here = at.key(f)
		}
		e.add("E3043", here.path, "the nested template has no parameter "+strconv.Quote(f.Name), nearestHint(f.Name, fieldNames(wanted)))
	}
	for _, f := range wanted.Fields {
		if !f.Value.Has("Default") && !given.Has(f.Name) {
			e.add("E3043", at.path, "the nested template needs the parameter "+strconv.Quote(f.Name), "")
		}
	}
}

// imageParameter warns of a parameter for an image whose type does not say so
// (W2506).
func (e *engine) imageParameter(c call, name string, out *problems) {
	p := e.params[name]
	paths := []string{
		"Resources/AWS::AutoScaling::LaunchConfiguration/Properties/ImageId",
		"Resources/AWS::Batch::ComputeEnvironment/Properties/ComputeResources/ImageId",
		"Resources/AWS::Cloud9::EnvironmentEC2/Properties/ImageId",
		"Resources/AWS::EC2::Instance/Properties/ImageId",
		"Resources/AWS::EC2::LaunchTemplate/Properties/LaunchTemplateData/ImageId",
		"Resources/AWS::EC2::SpotFleet/Properties/SpotFleetRequestConfigData/LaunchSpecifications/*/ImageId",
		"Resources/AWS::ImageBuilder::Image/Properties/ImageId",
	}
	if p == nil || name == loopValue || p.kind == "AWS::EC2::Image::Id" || p.kind == "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>" || !slices.Contains(paths, c.at.kind.path().String()) {
		return
	}
	out.add(problem{path: e.stepTo("Parameters", name, "Type"), rule: "W2506", fixed: true,
		message: "the parameter " + name + " is an image, but its type is " + p.kind, hint: "AWS::EC2::Image::Id is checked, and offered in the console"})
}

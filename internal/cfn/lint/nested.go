package lint

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// nestedReader reads each template that nested stacks name once.
func nestedReader(ctx context.Context, t *cfn.Template) func(url string) *cfn.Template {
	known := map[string]*cfn.Template{}
	return func(url string) *cfn.Template {
		nested, ok := known[url]
		if !ok {
			var err error
			if nested, err = t.Beside(ctx, url); err != nil {
				nested = nil // what is wrong with it is found where it is checked itself
			}
			known[url] = nested
		}
		return nested
	}
}

// missingOutput reports whether an attribute names an output that the template
// of a nested stack, a file, does not have; outputs are those that it has.
func (e *engine) missingOutput(r *resource, attribute string) (outputs map[string]bool, missing bool) {
	name, ok := strings.CutPrefix(attribute, "Outputs.")
	url := r.node.Get("Properties").Get("TemplateURL")
	if !ok || r.kind != "AWS::CloudFormation::Stack" || !url.IsString() {
		return nil, false
	}
	nested := e.nested(url.Text)
	if nested == nil || nested.Root.Has("Transform") {
		return nil, false // a transform may make more
	}
	outputs = map[string]bool{}
	if section := nested.Root.Get("Outputs"); section != nil {
		for _, f := range section.Fields {
			outputs["Outputs."+f.Name] = true
		}
	}
	return outputs, !outputs["Outputs."+name]
}

// nestedStacks checks the parameters that are given to the templates of nested
// stacks which are files beside this one (E3043).
func (e *engine) nestedStacks() {
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		key := map[string]string{"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}[r.kind]
		url := props.Get(key)
		if key == "" || !url.IsString() {
			return
		}
		nested := e.nested(url.Text)
		if nested == nil {
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
		message: "the parameter " + name + " holds an image id, but its type is " + p.kind, hint: "CloudFormation checks values of AWS::EC2::Image::Id, and the console lists them"})
}

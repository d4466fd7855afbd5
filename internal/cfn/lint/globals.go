package lint

import (
	"slices"

	"refline/internal/cfn"
)

// globalKinds are the parts of Globals and the types of resources they are for.
func globalKind(kind string) string {
	switch kind {
	case "AWS::Serverless::Function":
		return "Function"
	case "AWS::Serverless::Api":
		return "Api"
	case "AWS::Serverless::HttpApi":
		return "HttpApi"
	case "AWS::Serverless::SimpleTable":
		return "SimpleTable"
	case "AWS::Serverless::StateMachine":
		return "StateMachine"
	case "AWS::Serverless::LayerVersion":
		return "LayerVersion"
	case "AWS::Serverless::CapacityProvider":
		return "CapacityProvider"
	}
	return ""
}

// withGlobals gives every serverless resource what Globals says for all of its
// kind, as the transform does: its own values win, maps are joined, lists are
// put one after the other.
func withGlobals(root *cfn.Node) *cfn.Node {
	globals, resources := root.Get("Globals"), root.Get("Resources")
	if globals == nil || globals.Kind != cfn.Map || resources == nil || resources.Kind != cfn.Map {
		return root
	}
	list := &cfn.Node{Kind: cfn.Map, Pos: resources.Pos, Fields: slices.Clone(resources.Fields)}
	for i, f := range list.Fields {
		kind := f.Value.Get("Type")
		if !kind.IsString() || globalKind(kind.Text) == "" {
			continue
		}
		given := globals.Get(globalKind(kind.Text))
		if given == nil || given.Kind != cfn.Map {
			continue
		}
		list.Fields[i].Value = addGlobals(f.Value, given)
	}
	out := &cfn.Node{Kind: cfn.Map, Pos: root.Pos, Fields: slices.Clone(root.Fields)}
	out.Fields[fieldIndex(out, "Resources")].Value = list
	return out
}

func addGlobals(resource, given *cfn.Node) *cfn.Node {
	ignore := resource.Get("IgnoreGlobals")
	if ignore.IsString() && ignore.Text == "*" {
		return resource
	}
	skip := textsOf(ignore)
	kept := &cfn.Node{Kind: cfn.Map, Pos: given.Pos}
	for _, f := range given.Fields {
		if !slices.Contains(skip, f.Name) {
			kept.Fields = append(kept.Fields, f)
		}
	}
	c := &cfn.Node{Kind: cfn.Map, Pos: resource.Pos, Fields: slices.Clone(resource.Fields)}
	if i := fieldIndex(c, "Properties"); i >= 0 {
		c.Fields[i].Value = join(kept, c.Fields[i].Value)
	} else {
		c.Fields = append(c.Fields, cfn.Field{Name: "Properties", Value: kept})
	}
	return c
}

// join puts local over global.
func join(global, local *cfn.Node) *cfn.Node {
	if bit, _ := anyFunction(local); bit != 0 {
		return local
	}
	switch {
	case global.Kind == cfn.Map && local.Kind == cfn.Map:
		out := &cfn.Node{Kind: cfn.Map, Pos: local.Pos, Fields: slices.Clone(local.Fields)}
		for _, f := range global.Fields {
			if i := fieldIndex(out, f.Name); i >= 0 {
				out.Fields[i].Value = join(f.Value, out.Fields[i].Value)
			} else {
				out.Fields = append(out.Fields, f)
			}
		}
		return out
	case global.Kind == cfn.List && local.Kind == cfn.List:
		return &cfn.Node{Kind: cfn.List, Pos: local.Pos, Items: append(slices.Clone(global.Items), local.Items...)}
	}
	return local
}

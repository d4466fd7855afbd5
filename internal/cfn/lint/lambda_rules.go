package lint

import (
	"slices"
	"strings"

	"refline/internal/cfn"
)

// zipRequired checks what a function deployed as an archive needs (W2533).
func zipRequired(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	serverless := at.kind.first(1) == "AWS::Serverless::Function"
	for _, v := range e.cases(sc, n) {
		where, zip := zipBy(v.value, serverless)
		if !zip {
			continue
		}
		var missing []string
		for _, name := range []string{"Handler", "Runtime"} {
			if !v.value.Has(name) {
				missing = append(missing, name)
			}
		}
		if len(missing) == 0 {
			continue
		}
		here := at
		if i := fieldIndex(n, where); i >= 0 {
			here = at.key(n.Fields[i])
		}
		wrong(b, here.path, "a function deployed as an archive needs "+quoted(missing), "", out)
	}
}

// zipBy reports whether a function is an archive and which property says so.
func zipBy(props *cfn.Node, serverless bool) (property string, zip bool) {
	kind := props.Get("PackageType")
	packed := kind.IsString() && kind.Text == "Zip"
	switch {
	case packed:
		return "PackageType", true
	case kind.IsString() && kind.Text == "Image":
		return "", false
	case !serverless:
		code := props.Get("Code")
		return "Code", code.Has("ZipFile") || code.Has("S3Key")
	case props.Has("ImageUri"):
		return "", false
	case props.Has("CodeUri"):
		return "CodeUri", true
	case props.Has("InlineCode"):
		return "InlineCode", true
	}
	return "", true
}

// noSnapStart are the regions where functions have no SnapStart.
func noSnapStart(region string) bool {
	return strings.HasPrefix(region, "cn-") || strings.HasPrefix(region, "us-gov-") || strings.HasPrefix(region, "us-iso") ||
		strings.HasPrefix(region, "eu-iso") || slices.Contains([]string{"ap-east-2", "ap-southeast-6", "eusc-de-east-1"}, region)
}

// snapStartRuntime checks that SnapStart can be used (E2530), and notes where it
// could be (I2530).
func snapStartRuntime(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	missing := slices.DeleteFunc(slices.Clone(sc.regions), func(r string) bool { return !noSnapStart(r) })
	for _, v := range e.cases(sc, n) {
		snap, runtime := v.value.Get("SnapStart"), v.value.Get("Runtime")
		apply := snap.Get("ApplyOn")
		if snap == nil && runtime.IsString() && len(missing) == 0 &&
			strings.HasPrefix(runtime.Text, "java") && runtime.Text != "java8" && runtime.Text != "java8.al2" {
			out.add(problem{path: e.snapStart(at, n, n.Get("SnapStart")).path, rule: "I2530", fixed: true, message: "SnapStart would let a function of the runtime " + runtime.Text + " start faster"})
		}
		if apply.IsString() && apply.Text == "PublishedVersions" && len(missing) > 0 {
			wrong(b, e.snapStart(at, n, snap).path, "SnapStart is not available in "+strings.Join(missing, ", "), "", out)
		}
		if !apply.IsString() || apply.Text != "PublishedVersions" || !runtime.IsString() {
			continue
		}
		name := runtime.Text
		old := []string{"dotnet5.0", "dotnet6", "dotnet7", "java8.al2", "java8", "python3.10", "python3.11", "python3.7", "python3.8", "python3.9"}
		known := strings.HasPrefix(name, "python") || strings.HasPrefix(name, "java") || strings.HasPrefix(name, "dotnet") && !strings.HasPrefix(name, "dotnetcore")
		if !known || slices.Contains(old, name) {
			wrong(b, e.snapStart(at, n, snap).path, "SnapStart does not support the runtime "+name, "", out)
		}
	}
}

// snapStart is the place of SnapStart's ApplyOn.
func (e *engine) snapStart(at place, n, snap *cfn.Node) place {
	i := fieldIndex(n, "SnapStart")
	if i < 0 {
		return at
	}
	at = at.key(n.Fields[i])
	if i := fieldIndex(snap, "ApplyOn"); i >= 0 {
		at = at.key(snap.Fields[i])
	}
	return at
}

// snapStartVersion warns of SnapStart without a published version (W2530).
func snapStartVersion(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() || n.Text != "PublishedVersions" {
		return
	}
	name := at.path.resource()
	r := e.resources[name]
	if r == nil {
		return
	}
	if r.kind == "AWS::Serverless::Function" {
		if props := r.node.Get("Properties"); !props.Has("AutoPublishAlias") {
			wrong(b, at.path, "SnapStart works for published versions only, and the template publishes none", "set AutoPublishAlias", out)
		}
		return
	}
	for _, other := range e.order {
		if e.resources[other].kind == "AWS::Lambda::Version" && e.mentions(other, name) {
			return
		}
	}
	wrong(b, at.path, "SnapStart works for published versions only, and the template publishes none", "add an AWS::Lambda::Version", out)
}

// mentions reports whether a resource refers to another one.
func (e *engine) mentions(from, to string) bool {
	g := &graph{params: map[string]bool{}, conds: map[string]bool{}, maps: map[string]bool{}}
	e.uses(g, from, place{}, e.resources[from].node, nil)
	return slices.ContainsFunc(g.edges, func(x edge) bool { return x.to == to })
}

// layerLength checks the length of a layer's ARN (E3716).
func layerLength(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if !n.IsString() {
		return
	}
	for _, region := range sc.regions {
		if most := 176 + len(partition(region)) + len(region); len(n.Text) > most {
			wrong(b, at.path, "the ARN of a layer has at most "+counted(most, "character")+" in "+region, "", out)
		}
	}
}

package stack

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// LoadImports reads a list of resources to take into a stack, as the service's
// own command line has it: [{LogicalResourceId, ResourceType,
// ResourceIdentifier: {…}}, …] in JSON; the type may be left out.
func LoadImports(file string, read jsonnet.Read) ([]ImportResource, error) {
	text, err := read(file)
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: no such file", file)
	}
	// The reader of templates wants a map.
	const around = `{"resources":`
	t, err := cfn.Parse(file, []byte(around+string(text)+"}"))
	shift := func(p diag.Place) diag.Place {
		if p.Line == 1 {
			p.Column = max(1, p.Column-len(around))
		}
		return p
	}
	if failure := (*diag.Failure)(nil); errors.As(err, &failure) {
		found := slices.Clone(failure.Findings)
		for i := range found {
			found[i].Place = shift(found[i].Place)
		}
		return nil, found.Err()
	}
	r := &configReader{source: t}
	out := r.imports(t.Root.Get("resources"), cfn.Path{"resources"})
	for i := range r.found {
		r.found[i].Place = shift(r.found[i].Place)
	}
	for i := range out {
		out[i].Place = shift(out[i].Place)
	}
	return out, r.found.Sort().Err()
}

func (r *configReader) imports(n *cfn.Node, at cfn.Path) []ImportResource {
	if n.Kind != cfn.List || len(n.Items) == 0 {
		r.errorf(at, `it looks like [{"LogicalResourceId": "Bucket", "ResourceType": "AWS::S3::Bucket", "ResourceIdentifier": {"BucketName": "landing"}}]`,
			"resources to import are a list with at least one item")
		return nil
	}
	var out []ImportResource
	for i, item := range n.Items {
		at := step(at, fmt.Sprint(i))
		in := ImportResource{Identifier: map[string]string{}, Place: r.source.Place(at)}
		r.fields("a resource to import", item, at, []field{
			{"LogicalResourceId", r.text(&in.LogicalID)},
			{"ResourceType", r.text(&in.Type)},
			{"ResourceIdentifier", func(n *cfn.Node, at cfn.Path) {
				r.each("ResourceIdentifier", n, at, func(name string, n *cfn.Node, at cfn.Path) {
					var value string
					r.text(&value)(n, at)
					in.Identifier[name] = value
				})
			}},
		})
		if item.Kind == cfn.Map && !item.Has("LogicalResourceId") {
			r.errorf(at, "", "a resource to import has no LogicalResourceId")
		}
		if item.Kind == cfn.Map && (!item.Has("ResourceIdentifier") || len(in.Identifier) == 0) {
			r.errorf(at, "it names what exists: {\"BucketName\": \"landing\"}", "%s has no ResourceIdentifier", cmp.Or(in.LogicalID, "a resource to import"))
		}
		out = append(out, in)
	}
	return out
}

// checkImports finds what AWS would refuse, and fills in the types.
func (t *Template) checkImports(list []ImportResource) ([]ImportResource, error) {
	var found diag.List
	var known []string
	for _, f := range t.resources() {
		known = append(known, f.Name)
	}
	list = slices.Clone(list)
	for i, in := range list {
		refuse := func(place diag.Place, hint, format string, args ...any) {
			found = append(found, diag.Finding{Place: place, Level: diag.Error, Rule: "import", Subject: in.LogicalID, Message: fmt.Sprintf(format, args...), Hint: hint})
		}
		n := t.tree.At(cfn.Path{"Resources", in.LogicalID})
		if n == nil {
			hint := "the template has " + strings.Join(known, ", ")
			if near := diag.Nearest(in.LogicalID, known); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			refuse(in.Place, hint, "%s, which is to be imported, is not in %s", in.LogicalID, t.File)
			continue
		}
		at := t.where(cfn.Path{"Resources", in.LogicalID})
		kind := n.Get("Type")
		if kind.IsString() && in.Type == "" {
			list[i].Type = kind.Text
		} else if kind.IsString() && in.Type != kind.Text {
			refuse(in.Place, "", "%s is of type %s in %s, not %s", in.LogicalID, kind.Text, t.File, in.Type)
		}
		if !n.Has("DeletionPolicy") {
			refuse(at, "add DeletionPolicy: Retain; it can be changed later", "%s is imported and needs a DeletionPolicy", in.LogicalID)
		}
		if slices.ContainsFunc(list[:i], func(x ImportResource) bool { return x.LogicalID == in.LogicalID }) {
			refuse(in.Place, "", "%s is in the import list twice", in.LogicalID)
		}
	}
	return list, found.Sort().Err()
}

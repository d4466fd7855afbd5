package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"refline/internal/stack/planfile"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// Limits of CloudFormation, in bytes.
const (
	inlineLimit   = 51_200
	templateLimit = 1_000_000
)

// Template is what CloudFormation gets for a stack, and where it was written.
type Template struct {
	File string
	Text []byte
	// Nested are the templates in files that AWS::CloudFormation::Stack
	// resources name, by logical id.
	Nested map[string]*Template

	tree  *cfn.Template
	where func(cfn.Path) diag.Place
}

// Digest is "sha256:" and the hexadecimal hash of the text.
func (t *Template) Digest() string { return planfile.DigestOf(t.Text) }

// Input is what a target's template is evaluated from.
func (c *Config) Input(t *Target, read jsonnet.Read) jsonnet.Input {
	dir := path.Dir(c.File)
	in := jsonnet.Input{File: path.Join(dir, t.Template), Read: read, Arguments: t.Arguments,
		External: []jsonnet.Binding{
			{Name: "stack", Value: t.Name}, {Name: "environment", Value: t.Env.Name},
			{Name: "account", Value: t.Env.Account}, {Name: "region", Value: t.Env.Region},
		}}
	in.External = append(in.External, t.External...)
	for _, l := range t.Libraries {
		in.SearchPaths = append(in.SearchPaths, path.Join(dir, l))
	}
	return in
}

// Render makes a target's template, nested ones included.
func (c *Config) Render(ctx context.Context, t *Target, read jsonnet.Read) (*Template, error) {
	tmpl, err := render(ctx, c.Input(t, read), nil)
	if errs.Is(err, errs.NotFound) {
		return nil, diag.List{{Place: t.Written, Level: diag.Error, Rule: "stacks", Subject: t.Name, Message: err.Error()}}.Err()
	}
	return tmpl, err
}

func render(ctx context.Context, in jsonnet.Input, above []string) (*Template, error) {
	if slices.Contains(above, in.File) {
		return nil, errs.E(errs.Invalid, "nested templates form a cycle: %s", strings.Join(append(above, in.File), " → "))
	}
	t, err := renderOne(ctx, in)
	if err != nil {
		return nil, err
	}
	for _, r := range t.resources() {
		file, ok := nestedFile(r.Value)
		if !ok {
			continue
		}
		child := in
		child.File = path.Join(path.Dir(in.File), file)
		nested, err := render(ctx, child, append(slices.Clone(above), in.File))
		if err != nil {
			if errs.Is(err, errs.NotFound) {
				at := t.where(cfn.Path{"Resources", r.Name, "Properties", "TemplateURL"})
				return nil, diag.List{{Place: at, Level: diag.Error, Rule: "stacks", Message: err.Error(),
					Hint: "TemplateURL is a file beside this template, or an https URL"}}.Err()
			}
			return nil, err
		}
		if t.Nested == nil {
			t.Nested = map[string]*Template{}
		}
		t.Nested[r.Name] = nested
	}
	return t, nil
}

func renderOne(ctx context.Context, in jsonnet.Input) (*Template, error) {
	t := &Template{File: in.File}
	if !cfn.IsJsonnet(in.File) {
		read := in.Read
		if read == nil {
			read = os.ReadFile
		}
		text, err := read(in.File)
		if errors.Is(err, os.ErrNotExist) {
			return nil, errs.E(errs.NotFound, "%s: no such file", in.File)
		} else if err != nil {
			return nil, err
		}
		t.Text = text
	} else {
		in.Output = jsonnet.JSON
		res, err := jsonnet.Evaluate(ctx, in)
		if err != nil {
			return nil, err
		}
		t.Text = []byte(res.Text)
		places := sync.OnceValue(func() jsonnet.Locations {
			// An error means that ctx ended; the places are then just the file.
			l, _ := jsonnet.Locate(ctx, in, res) //nolint:errcheck // see above
			return l
		})
		t.where = func(p cfn.Path) diag.Place { return places().At(p.Pointer()) }
	}
	tree, err := cfn.Parse(in.File, t.Text)
	if err != nil {
		return nil, err
	}
	t.tree = tree
	if t.where == nil {
		t.where = tree.Place
	}
	return t, nil
}

func (t *Template) resources() []cfn.Field {
	if r := t.tree.Root.Get("Resources"); r != nil && r.Kind == cfn.Map {
		return r.Fields
	}
	return nil
}

// nestedFile returns the file that a nested stack names, when it is one.
func nestedFile(resource *cfn.Node) (string, bool) {
	kind, url := resource.Get("Type"), resource.Get("Properties").Get("TemplateURL")
	if !kind.IsString() || kind.Text != nestedStack || !url.IsString() || strings.Contains(url.Text, "://") {
		return "", false
	}
	return url.Text, url.Text != ""
}

const nestedStack = "AWS::CloudFormation::Stack"

// Place returns where the value at path of a resource was written: of the
// template itself, or of a nested one when the stack's path leads there. It is
// zero when the source does not have that resource (a macro made it).
func (t *Template) Place(stackPath []string, logicalID string, below ...string) diag.Place {
	for _, id := range stackPath {
		if t = t.Nested[id]; t == nil {
			return diag.Place{}
		}
	}
	if at := t.pathOf(logicalID); at != nil {
		return t.where(append(at, below...))
	}
	return diag.Place{}
}

// pathOf leads to a resource, or to the loop that makes one of its name. It is
// nil when there is none.
func (t *Template) pathOf(logicalID string) cfn.Path {
	at := cfn.Path{"Resources", logicalID}
	if t.tree.At(at) != nil {
		return at
	}
	if r := t.tree.Root.Get("Resources"); r != nil && r.Kind == cfn.Map {
		return loopFor(r, logicalID, at[:1])
	}
	return nil
}

// loopFor looks through the Fn::ForEach in a map for a key whose pattern fits a
// name: Topic${Name}.
func loopFor(m *cfn.Node, name string, at cfn.Path) cfn.Path {
	for _, f := range m.Fields {
		in := append(slices.Clone(at), f.Name)
		switch {
		case strings.HasPrefix(f.Name, "Fn::ForEach::"):
			if f.Value.Kind != cfn.List || len(f.Value.Items) != 3 || f.Value.Items[2].Kind != cfn.Map {
				continue
			}
			if found := loopFor(f.Value.Items[2], name, append(in, "2")); found != nil {
				return found
			}
		case like(loopVariable().ReplaceAllString(f.Name, "*"), name):
			return in
		}
	}
	return nil
}

var loopVariable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[$&]\{[^}]*\}`) })

// resource finds a resource as the template has it, or nil.
func (t *Template) resource(stackPath []string, logicalID string) *cfn.Node {
	for _, id := range stackPath {
		if t = t.Nested[id]; t == nil {
			return nil
		}
	}
	if at := t.pathOf(logicalID); at != nil {
		return t.tree.At(at)
	}
	return nil
}

// parameters are the names that the template declares, and whether a value
// must be given.
func (t *Template) parameters() (names []string, required map[string]bool) {
	required = map[string]bool{}
	declared := t.tree.Root.Get("Parameters")
	if declared == nil {
		return nil, required
	}
	for _, f := range declared.Fields {
		names = append(names, f.Name)
		required[f.Name] = !f.Value.Has("Default")
	}
	return names, required
}

// noEcho reports whether a parameter's value is a secret.
func (t *Template) noEcho(key string) bool {
	n := t.tree.At(cfn.Path{"Parameters", key, "NoEcho"})
	return n != nil && (n.Kind == cfn.Bool && n.Bool() || n.IsString() && strings.EqualFold(n.Text, "true"))
}

// linked returns the text with each nested file replaced by its URL. A template
// without nested files is its text as it is.
func (t *Template) linked(url func(*Template) string) []byte {
	if len(t.Nested) == 0 {
		return t.Text
	}
	root := *t.tree.Root
	root.Fields = slices.Clone(root.Fields)
	for i, f := range root.Fields {
		if f.Name == "Resources" {
			root.Fields[i].Value = t.linkedResources(f.Value, url)
		}
	}
	return root.JSON()
}

// sent is the text that CloudFormation gets: JSON without white space, and YAML
// as it is, unless only as compact JSON it fits a request.
func (t *Template) sent(url func(*Template) string) []byte {
	text := t.Text
	if url != nil {
		text = t.linked(url)
	}
	var b bytes.Buffer
	if json.Valid(text) && json.Compact(&b, text) == nil {
		return b.Bytes()
	}
	if len(text) > inlineLimit && json.Compact(&b, t.tree.Root.JSON()) == nil {
		return b.Bytes()
	}
	return text
}

func (t *Template) linkedResources(resources *cfn.Node, url func(*Template) string) *cfn.Node {
	out := &cfn.Node{Kind: cfn.Map}
	for _, f := range resources.Fields {
		if child := t.Nested[f.Name]; child != nil {
			f.Value = replaceField(f.Value, "Properties", func(p *cfn.Node) *cfn.Node {
				return replaceField(p, "TemplateURL", func(*cfn.Node) *cfn.Node {
					return &cfn.Node{Kind: cfn.String, Text: url(child)}
				})
			})
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

func replaceField(n *cfn.Node, name string, with func(*cfn.Node) *cfn.Node) *cfn.Node {
	out := &cfn.Node{Kind: cfn.Map}
	for _, f := range n.Fields {
		if f.Name == name {
			f.Value = with(f.Value)
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

// checkSize refuses what CloudFormation would.
func (t *Template) checkSize(text []byte, bucket string) error {
	if len(text) > templateLimit {
		return errs.E(errs.Invalid, "%s is %d bytes; CloudFormation accepts at most %d: split it into nested stacks", t.File, len(text), templateLimit)
	}
	if len(text) > inlineLimit && bucket == "" {
		return errs.E(errs.Invalid, "%s is %d bytes; more than %d must go through a bucket: give the environment bucket: NAME", t.File, len(text), inlineLimit)
	}
	if len(t.Nested) > 0 && bucket == "" {
		return fmt.Errorf("%s: %w", t.File, errs.E(errs.Invalid, "nested templates must go through a bucket: give the environment bucket: NAME"))
	}
	return nil
}
